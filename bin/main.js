import {existsSync, readFileSync} from 'node:fs'
import {enableCompileCache} from 'node:module'
import {fileURLToPath} from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const args = process.argv.slice(2)
const bundle = new URL('../dist/cli/main.js', import.meta.url)
if (args[0] === '--version') {
  // Asked often by scripts, and answered without loading anything.
  const {version} = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
  const platform = `${process.platform}-${process.arch}`
  const text = `registry/${version} ${platform} node-${process.version}`
  console.log(args.includes('--json') ? JSON.stringify({version, platform, node: process.version}) : text)
} else if (existsSync(bundle)) {
  // Not in the shared temporary directory, which is Node's choice: who writes there could make others run code. Whoever may write
  // beside the program could change the program itself; where it is read-only there is no cache.
  enableCompileCache(`${root}/dist/.cache`)
  const {main} = await import(bundle.href)
  await main(args, {root, fromSource: false})
} else {
  console.error('registry is not built yet: run npm run build in its folder first')
  process.exitCode = 2
}
