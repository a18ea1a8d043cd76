/**
 * Takes away from a restored directory all that could lead its service to others. Its configuration begins anew: only what is known to be harmless
 * stays, for a list of what is not would miss what comes with the next version.
 */
import {readdir, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {RegistryError} from '../../base/errors.ts'
import {readConfigFile} from '../../config/read-file.ts'
import {encodeYaml, plainMapping, type YamlValue} from '../../config/yaml-rewrite.ts'

const CERTIFICATE = '.crt'
const FILE = 'cell.yaml'
/** Stronger than that. */
const MODS_FILE = 'cell.mods.yaml'

/** `aha`: a real one, which does not start without its network. */
export type HarmlessKind = 'registry' | 'synapse' | 'aha'

const SYNAPSE_KEPT = ['nexslog:en', 'cell:guid', 'max:users', 'max:bytes', 'max:count', 'max:nodes']

/** Names and limits: without the first two a registry does not read its services of AHA. */
const KEPT: Readonly<Record<HarmlessKind, ReadonlySet<string>>> = {
  registry: new Set(['aha:network', 'dns:name', 'backend', 'auth:passwd:policy', 'max:users', 'zmq:types:unique']),
  synapse: new Set(SYNAPSE_KEPT),
  aha: new Set([...SYNAPSE_KEPT, 'aha:network']),
}

const SYNAPSE_SET: Readonly<Record<string, YamlValue>> = {
  safemode: true,
  'dmon:listen': 'tcp://127.0.0.1:0',
  'https:port': null,
  'limit:disk:free': null,
  'health:sysctl:checks': false,
}

const SET: Readonly<Record<HarmlessKind, Readonly<Record<string, YamlValue>>>> = {
  registry: {
    safemode: true,
    bind: '127.0.0.1',
    'zmq:req:port': null,
    'zmq:pub:port': null,
    'zmq:hb:port': null,
    'dmon:listen': null,
    'provision:listen': null,
    'https:port': null,
    'limit:disk:free': null,
    'health:sysctl:checks': false,
  },
  synapse: SYNAPSE_SET,
  aha: SYNAPSE_SET,
}

/** What was done to the configuration. */
export interface Harmless {
  /** Options that were taken away, in order. */
  readonly taken: readonly string[]
  /** Files that could not be read, and of which nothing was used. */
  readonly unread: readonly string[]
}

/** Rewrites the configuration of a restored directory. Throws what the system says. */
export async function makeHarmless(dir: string, kind: HarmlessKind): Promise<Harmless> {
  const unread: string[] = []
  const given: Record<string, unknown> = {}
  for (const name of [FILE, MODS_FILE]) {
    try {
      Object.assign(given, plainMapping((await readConfigFile(join(dir, name))) ?? '', name))
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      unread.push(name)
    }
  }
  const kept = Object.entries(given).filter(([name]) => KEPT[kind].has(name))
  const network = kind === 'aha' ? await certifiedNetwork(dir) : {}
  const conf = {...network, ...Object.fromEntries(kept), ...SET[kind]} as Readonly<Record<string, YamlValue>> // as it was read from YAML
  const lines = Object.entries(conf).map(([name, value]) => `${name}: ${encodeYaml(value)}\n`)
  await rm(join(dir, MODS_FILE), {force: true})
  await writeFile(join(dir, FILE), lines.join(''), {mode: 0o600})
  const isHarmless = (name: string) => KEPT[kind].has(name) || isSame(given[name], SET[kind][name])
  const taken = Object.keys(given).filter((name) => !isHarmless(name))
  return {taken: taken.sort(), unread}
}

/** Where the environment named its network: an AHA has a CA of that name. */
async function certifiedNetwork(dir: string): Promise<Readonly<Record<string, string>>> {
  const names = await readdir(join(dir, 'certs', 'cas')).catch(() => [])
  const [name, ...more] = names
    .filter((one) => one.endsWith(CERTIFICATE))
    .map((one) => one.slice(0, -CERTIFICATE.length))
  return name === undefined || more.length > 0 ? {} : {'aha:network': name}
}

function isSame(one: unknown, other: unknown): boolean {
  return other !== undefined && JSON.stringify(one) === JSON.stringify(other)
}
