import {readFileSync} from 'node:fs'
import type {Command} from '@oclif/core'
import {loadCliConfig} from '../../src/cli/load-config.ts'

/** Gives the commands of the sources as oclif's manifest has them: file names as built, nothing that depends on the machine. */
export async function commandsOfSource(root: string): Promise<readonly Command.Cached[]> {
  const config = await loadCliConfig(root, true)
  return config.commands
    .map(({load: _, ...command}) => ({...command, ...builtPlace(command.id)}))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/** Gives the text of oclif.manifest.json. */
export async function manifestText(root: string): Promise<string> {
  const pjson: {version: string} = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
  const commands = Object.fromEntries((await commandsOfSource(root)).map((command) => [command.id, command]))
  return `${JSON.stringify({commands, version: pjson.version}, undefined, 2)}\n`
}

function builtPlace(id: string) {
  return {isESM: true, relativePath: ['dist', 'commands', ...`${id}.js`.split(':')]}
}
