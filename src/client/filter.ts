import type {Health} from '../registry/instance.ts'
import type {ServiceEntry} from './service-entry.ts'

/** What entries are wanted; all conditions must hold. */
export interface ServiceFilter {
  /** Has this type, or a tag of this name: the registry takes both for the same. */
  readonly type?: string | undefined
  readonly name?: string | undefined
  readonly tag?: string | undefined
  readonly health?: Health | undefined
  /**
   * Values that the metadata must have, by key; `true` asks only that the key is there. A key that is not there is taken as a path
   * (`position.row`). A text is compared with the value as JSON writes it, without quotes: `"5"` fits 5 and "5".
   */
  readonly metadata?: Readonly<Record<string, string | true>> | undefined
}

/** Tells whether the entry is one of those wanted. */
export function matches(entry: ServiceEntry, filter: ServiceFilter): boolean {
  const {type, name, tag, health, metadata = {}} = filter
  return (
    (type === undefined || entry.type === type || entry.tags.includes(type)) &&
    (name === undefined || entry.name === name) &&
    (tag === undefined || entry.tags.includes(tag)) &&
    (health === undefined || entry.health === health) &&
    Object.entries(metadata).every(([key, wanted]) => hasValue(entry.metadata, key, wanted))
  )
}

function hasValue(metadata: Readonly<Record<string, unknown>>, key: string, wanted: string | true): boolean {
  const value = Object.hasOwn(metadata, key) ? metadata[key] : atPath(metadata, key.split('.'))
  if (value === undefined) return false
  return wanted === true || (typeof value === 'string' ? value : JSON.stringify(value)) === wanted
}

function atPath(start: unknown, path: readonly string[]): unknown {
  let value = start
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[key]
  }
  return value
}
