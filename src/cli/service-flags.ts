import {Flags} from '@oclif/core'
import {messageOf, RegistryError} from '../base/errors.ts'
import type {ServiceFilter} from '../client/filter.ts'
import type {ServiceInfo} from '../client/service-info.ts'
import {parseExact} from './exact-json.ts'
import {durationFlag} from './flags.ts'

const HEALTHS = ['passing', 'critical'] as const

/** Flags that choose among services. */
export const filterFlags = {
  type: Flags.string({summary: 'Only services of this type; a tag of that name counts as well.', helpGroup: 'FILTER'}),
  name: Flags.string({summary: 'Only services of this name.', helpGroup: 'FILTER'}),
  tag: Flags.string({summary: 'Only services with this tag.', helpGroup: 'FILTER'}),
  health: Flags.option({options: HEALTHS, summary: 'Only services of this health.', helpGroup: 'FILTER'})(),
  metadata: Flags.string({
    summary:
      'Only services whose metadata has this value (or only this key); a.b looks into a. May be given several times.',
    helpValue: '<key>[=<value>]',
    multiple: true,
    multipleNonGreedy: true,
    helpGroup: 'FILTER',
  }),
}

interface FilterValues {
  readonly type?: string | undefined
  readonly name?: string | undefined
  readonly tag?: string | undefined
  readonly health?: (typeof HEALTHS)[number] | undefined
  readonly metadata?: readonly string[] | undefined
}

/** Makes the filter that the flags describe. */
export function filterOf({type, name, tag, health, metadata = []}: FilterValues): ServiceFilter {
  const wanted = metadata.map((text): [string, string | true] => {
    const {key, value} = splitPair(text)
    return [key, value ?? true]
  })
  return {type, name, tag, health, metadata: Object.fromEntries(wanted)}
}

/** Flags that say what a service is. */
export const infoFlags = {
  name: Flags.string({summary: 'Name of the service.', required: true}),
  port: Flags.integer({summary: 'Port that it listens on.', min: 0, max: 65_535, required: true}),
  host: Flags.string({
    summary: 'Host that others reach it at. Without it: the address of this machine towards the registry.',
  }),
  type: Flags.string({summary: 'Type that it is discovered by.'}),
  id: Flags.string({summary: 'Id of its entry; one that is there is replaced. Without it one is made.'}),
  tag: Flags.string({summary: 'A tag. May be given several times.', multiple: true, multipleNonGreedy: true}),
  metadata: Flags.string({
    summary: 'A text in its metadata. May be given several times.',
    helpValue: '<key>=<value>',
    multiple: true,
    multipleNonGreedy: true,
  }),
  'metadata-json': Flags.string({summary: 'Metadata as a JSON object.', helpValue: '<json>'}),
  ttl: durationFlag({summary: 'Time without a renewal after which its lease ends; 30s unless given.'}),
  singleton: Flags.boolean({summary: 'Refuse when a service of this type is there.', exclusive: ['duplicates']}),
  duplicates: Flags.boolean({summary: 'Allow others of this type where the registry wants types to be unique.'}),
}

interface InfoValues {
  readonly name: string
  readonly port: number
  readonly host?: string | undefined
  readonly type?: string | undefined
  readonly id?: string | undefined
  readonly tag?: readonly string[] | undefined
  readonly metadata?: readonly string[] | undefined
  readonly 'metadata-json'?: string | undefined
  readonly singleton?: boolean | undefined
  readonly duplicates?: boolean | undefined
}

/** Makes what the flags say of a service; the host is the caller's to find. */
export function infoOf(flags: InfoValues): Omit<ServiceInfo, 'host'> {
  const pairs = (flags.metadata ?? []).map((text): [string, string] => {
    const {key, value} = splitPair(text)
    if (value === undefined) throw new RegistryError('REG_USAGE', `--metadata ${text}: expected key=value`)
    return [key, value]
  })
  const json = flags['metadata-json']
  return {
    name: flags.name,
    port: flags.port,
    id: flags.id,
    type: flags.type,
    tags: flags.tag,
    metadata: {...(json === undefined ? {} : metadataOf(json)), ...Object.fromEntries(pairs)},
    singleton: flags.singleton,
    allowDuplicateType: flags.duplicates,
  }
}

/** Gives the ttl in seconds, as the protocol has it. */
export function ttlSeconds(ttlMs: number | undefined): number | undefined {
  return ttlMs === undefined ? undefined : ttlMs / 1000
}

function splitPair(text: string): {readonly key: string; readonly value: string | undefined} {
  const at = text.indexOf('=')
  if (at === 0) throw new RegistryError('REG_USAGE', `--metadata ${text}: the key is missing`)
  return at < 0 ? {key: text, value: undefined} : {key: text.slice(0, at), value: text.slice(at + 1)}
}

function metadataOf(json: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = parseExact(json)
  } catch (cause) {
    throw notJson(cause)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return {...value}
  throw new RegistryError('REG_USAGE', '--metadata-json must be a JSON object')
}

function notJson(cause: unknown): RegistryError {
  return new RegistryError('REG_USAGE', `--metadata-json is not JSON: ${messageOf(cause)}`, {cause})
}
