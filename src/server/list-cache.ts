import type {Catalog} from '../registry/catalog.ts'
import type {Group} from '../registry/group.ts'
import type {Instance} from '../registry/instance.ts'

/** Lists larger than this are made anew each time. */
const LIST_MAX_BYTES = 1024 * 1024
/** All that is kept, at the most. */
const TOTAL_MAX_BYTES = 16 * 1024 * 1024
const NONE = Buffer.from('{"success":true,"services":[]}')

/** Joins service objects to a JSON list, in the order given. */
export function listText(instances: Iterable<Instance>): string {
  let text = ''
  for (const instance of instances) text += text === '' ? instance.text() : `,${instance.text()}`
  return `[${text}]`
}

/** Keeps the encoded answers of `list` until one of their members changes: a list that is asked for often is encoded once. */
export class ListCache {
  readonly #catalog: Catalog
  #kept = new Map<Group | Catalog, {readonly version: number; readonly bytes: Buffer}>()
  #totalBytes = 0

  constructor(catalog: Catalog) {
    this.#catalog = catalog
  }

  /** Gives the answer for a type or tag, or for all. The buffer must not be changed. */
  answer(label: string | undefined): Buffer {
    const source = label === undefined ? this.#catalog : this.#catalog.labelled(label)
    if (source === undefined) return NONE
    const kept = this.#kept.get(source)
    if (kept?.version === source.version) return kept.bytes
    const members = source === this.#catalog ? this.#catalog.all() : (source as Group).members()
    const bytes = Buffer.from(`{"success":true,"services":${listText(members)}}`)
    this.#totalBytes += bytes.length - (kept?.bytes.length ?? 0)
    this.#kept.set(source, {version: source.version, bytes})
    if (bytes.length > LIST_MAX_BYTES || this.#totalBytes > TOTAL_MAX_BYTES) this.#forget()
    return bytes
  }

  #forget(): void {
    this.#kept = new Map()
    this.#totalBytes = 0
  }
}
