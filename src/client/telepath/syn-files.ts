import {homedir} from 'node:os'
import {join} from 'node:path'
import {RegistryError} from '../../base/errors.ts'
import {readConfigFile} from '../../config/read-file.ts'
import {YAML_LIMITS} from '../../config/yaml-scalars.ts'
import type {Urls} from './telepath-client.ts'

/** What `telepath.yaml` and a service's directory say. */
export interface SynFiles {
  readonly ahaServers: readonly Urls[]
  readonly certDirs: readonly string[]
}

const NOTHING: SynFiles = {ahaServers: [], certDirs: []}

/**
 * Reads `telepath.yaml`; one that is not there, or is of another version than 1, says nothing. In it `~` is the user's home.
 *
 * @throws RegistryError `REG_CONFIG_INVALID`
 */
export async function readTelepathYaml(file: string, onWarning: (text: string) => void): Promise<SynFiles> {
  const conf = await readMap(file)
  if (conf === undefined) return NOTHING
  if (conf['version'] !== 1) {
    onWarning(`${file} is ignored: its version is ${String(conf['version'])}, not 1`)
    return NOTHING
  }
  const {'aha:servers': servers = [], certdirs = []} = conf
  if (!Array.isArray(servers) || !servers.every(isUrls)) {
    throw invalid(file, 'aha:servers must be a list of URLs, or of lists of URLs')
  }
  if (!Array.isArray(certdirs) || !certdirs.every(isText)) throw invalid(file, 'certdirs must be a list of directories')
  return {ahaServers: servers, certDirs: certdirs.map(belowHome)}
}

/** Reads what the directory of a service has of this: its certificates, and the AHA servers of its configuration. Throws as `readTelepathYaml`. */
export async function readServiceDir(dir: string): Promise<SynFiles> {
  const file = join(dir, 'cell.yaml')
  const registry = (await readMap(file))?.['aha:registry']
  const certDirs = [join(dir, 'certs')]
  if (registry === undefined || registry === null) return {ahaServers: [], certDirs}
  if (!isUrls(registry)) throw invalid(file, 'aha:registry must be a URL, or a list of URLs')
  return {ahaServers: [registry], certDirs}
}

/** Reads `aliases.yaml`: name to URL. Throws as `readTelepathYaml`. */
export async function readAliases(file: string): Promise<ReadonlyMap<string, string>> {
  const entries = Object.entries((await readMap(file)) ?? {})
  return new Map(entries.filter((entry): entry is [string, string] => isText(entry[1])))
}

async function readMap(file: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const text = await readConfigFile(file)
  if (text === undefined) return undefined
  const {plainValue, readYaml} = await import('../../config/yaml.ts')
  const node = readYaml(text, {source: file, maxBytes: YAML_LIMITS.fileBytes})
  if (node.type === 'null') return undefined
  if (node.type !== 'map') throw invalid(file, 'it must be a mapping')
  return plainValue(node) as Readonly<Record<string, unknown>>
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isUrls(value: unknown): value is Urls {
  return isText(value) || (Array.isArray(value) && value.length > 0 && value.every(isText))
}

function belowHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path
}

function invalid(file: string, what: string): RegistryError {
  return new RegistryError('REG_CONFIG_INVALID', `${file}: ${what}`, {info: {source: file}})
}
