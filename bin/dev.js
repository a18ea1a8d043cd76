#!/usr/bin/env node
// Runs the sources without a build; Node strips the types itself.
import {readFile} from 'node:fs/promises'
import {Config, flush, handle, run} from '@oclif/core'

const root = new URL('..', import.meta.url).pathname
const pjson = JSON.parse(await readFile(`${root}/package.json`, 'utf8'))
pjson.oclif.commands = {...pjson.oclif.commands, target: './src/commands'}
process.env['NODE_ENV'] = 'development'
const config = await Config.load({root, pjson, enablePerf: false, ignoreManifest: true})
try {
  await run(process.argv.slice(2), config)
} catch (error) {
  await handle(/** @type {Error} */ (error))
} finally {
  await flush()
}
