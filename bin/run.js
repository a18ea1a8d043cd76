#!/usr/bin/env node
// Stays readable for old versions of Node: they must reach the check below.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  console.error(
    `registry needs Node 24 or newer and this is ${process.version}: start it with bin/registry (or npx -- registry), which uses the Node that npm installed`,
  )
  process.exitCode = 2
} else {
  await import('./main.js')
}
