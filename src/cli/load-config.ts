import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {Config, settings} from '@oclif/core'

/** Loads oclif's view of the commands: from the manifest and dist, or with `fromSource` from src itself. */
export async function loadCliConfig(root: string, fromSource: boolean): Promise<Config> {
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  if (fromSource) pjson.oclif.commands = {...pjson.oclif.commands, target: './src/commands'}
  // Else NODE_ENV=test or development would make oclif look for sources and for a transpiler.
  settings.enableAutoTranspile = false
  const config = new Config({root, pjson, ignoreManifest: fromSource})
  await config.load()
  config.userAgent = `${config.bin}/${config.version} ${process.platform}-${process.arch} node-${process.version}`
  return config
}
