import {RegistryError} from '../base/errors.ts'
import {readConfigFile} from '../config/read-file.ts'
import {plainValue, readYaml} from '../config/yaml.ts'
import {YAML_LIMITS} from '../config/yaml-scalars.ts'
import type {Value} from '../wire/msgpack/value.ts'

/** What a command line says of a service, that its file may say too. */
export interface ServiceFlags {
  readonly user?: string | undefined
  readonly 'dmon-port'?: number | undefined
  readonly 'https-port'?: number | undefined
}

/** Options that are said by flags, and would be overruled by the file without a word. */
const BY_FLAG = {user: 'aha:user', 'dmon-port': 'dmon:listen', 'https-port': 'https:port'} as const
/** Options that AHA decides, whatever the file says. */
const BY_AHA = {
  'aha:network': 'the AHA decides it',
  mirror: 'give --mirror LEADER',
  'aha:provision': 'it is what is made here',
} as const

/**
 * Reads the file with more configuration for a service.
 *
 * @throws RegistryError `REG_CONFIG_INVALID` for a file that is not there or no mapping; `REG_USAGE` for an option that a flag or the AHA decides
 */
export async function readServiceConf(file: string, flags: ServiceFlags): Promise<Readonly<Record<string, Value>>> {
  const text = await readConfigFile(file)
  if (text === undefined) throw new RegistryError('REG_CONFIG_INVALID', `${file} is not there`, {hints: []})
  const node = readYaml(text, {source: file, maxBytes: YAML_LIMITS.fileBytes})
  if (node.type === 'null') return {}
  if (node.type !== 'map')
    throw new RegistryError('REG_CONFIG_INVALID', `${file} must be a mapping of options to values`)
  for (const {key} of node.entries) {
    const why = Object.entries(BY_AHA).find(([option]) => option === key)?.[1]
    if (why !== undefined) throw new RegistryError('REG_USAGE', `${file}: ${key} cannot be set there: ${why}`)
    const flag = Object.entries(BY_FLAG).find(
      ([name, option]) => option === key && flags[name as keyof typeof BY_FLAG] !== undefined,
    )
    if (flag !== undefined)
      throw new RegistryError('REG_USAGE', `${file} has ${key}, which --${flag[0]} says too: give one`)
  }
  return plainValue(node) as Readonly<Record<string, Value>>
}
