import {readFileSync} from 'node:fs'
import {enableCompileCache} from 'node:module'

enableCompileCache()
const args = process.argv.slice(2)
if (args.length === 1 && args[0] === '--version') {
  const pjson = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  console.log(`registry/${pjson.version} ${process.platform}-${process.arch} node-${process.version}`)
} else {
  const {flush, handle, run} = await import('@oclif/core')
  await run(args, import.meta.url)
    .catch(handle)
    .finally(flush)
}
