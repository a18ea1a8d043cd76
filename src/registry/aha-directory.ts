import {type AhaChange, type AhaRecord, recordsOfAha, subjectOf} from './aha-change.ts'
import {type AhaEntry, idenOf, isAlias, onlineOf, runOf} from './aha-entry.ts'

/**
 * The services of AHA by full name, with an index by cell. It is altered by records only, the same that go to the store: what is loaded from
 * there is what was in memory. The entries are never altered, so a copy is independent.
 */
export class AhaDirectory {
  readonly #entries = new Map<string, AhaEntry>()
  /** Full names by iden of the cell. */
  readonly #byIden = new Map<string, Set<string>>()
  /** Full names in order; undefined until somebody asks. */
  #order: readonly string[] | undefined

  get size(): number {
    return this.#entries.size
  }

  get(full: string): AhaEntry | undefined {
    return this.#entries.get(full)
  }

  /** In order of network and name. */
  list(network?: string): readonly AhaEntry[] {
    this.#order ??= [...this.#entries.values()].sort(byPlace).map(({full}) => full)
    const all = this.#order.flatMap((full) => this.#entries.get(full) ?? [])
    return network === undefined ? all : all.filter((entry) => entry.network === network)
  }

  /** Entries of a cell, mirrors and alias included, in the order of `list`. */
  ofIden(iden: string): readonly AhaEntry[] {
    const names = [...(this.#byIden.get(iden) ?? [])]
    return names.flatMap((full) => this.#entries.get(full) ?? []).sort(byPlace)
  }

  /** Gives the records that a change alters; the directory stays as it is. */
  recordsOf(change: AhaChange): readonly AhaRecord[] {
    return recordsOfAha(change, this.#entries.get(subjectOf(change)))
  }

  /** Takes records over, in order. */
  put(records: Iterable<AhaRecord>): void {
    for (const {key, value} of records) {
      const old = this.#entries.get(key)
      if (old !== undefined) this.#unindex(old)
      if ((old === undefined) !== (value === undefined)) this.#order = undefined
      if (value === undefined) this.#entries.delete(key)
      else this.#add(value)
    }
  }

  copy(): AhaDirectory {
    const copy = new AhaDirectory()
    copy.put(this.records())
    return copy
  }

  /** Gives all that there is, as records. */
  *records(): Iterable<AhaRecord> {
    for (const [key, value] of this.#entries) yield {key, value}
  }

  #add(entry: AhaEntry): void {
    this.#entries.set(entry.full, entry)
    const iden = idenOf(entry)
    if (iden === undefined) return
    const names = this.#byIden.get(iden) ?? new Set()
    this.#byIden.set(iden, names.add(entry.full))
  }

  #unindex(entry: AhaEntry): void {
    const iden = idenOf(entry) ?? ''
    const names = this.#byIden.get(iden)
    names?.delete(entry.full)
    if (names?.size === 0) this.#byIden.delete(iden)
  }
}

/**
 * Of the entries of a cell, gives one for each start of it: its own entry, and the alias only where there is no other.
 *
 * @see spec/aha.md, section 3.1, `getAhaSvcsByIden`
 */
export function oneOfEachRun(entries: readonly AhaEntry[], skipRun: string | undefined): readonly AhaEntry[] {
  const wanted = skipRun === undefined ? entries : entries.filter((entry) => runOf(entry) !== skipRun)
  const own = firstOfEachRun(wanted.filter((entry) => !isAlias(entry)))
  const aliases = firstOfEachRun(wanted.filter(isAlias))
  return [...own.values(), ...[...aliases].flatMap(([run, entry]) => (own.has(run) ? [] : [entry]))]
}

/** Of the entries of a cell, gives those of its mirrors that take calls: online, ready, not kept from leading, and not those of the start that leads. */
export function mirrorsAmong(entries: readonly AhaEntry[]): readonly AhaEntry[] {
  const able = entries.filter(
    (entry) => onlineOf(entry) !== undefined && entry.info['ready'] === true && entry.info['fenced'] === undefined,
  )
  const leading = new Set(able.filter(isAlias).map(runOf))
  const others = able.filter((entry) => !isAlias(entry) && !leading.has(runOf(entry)))
  return [...firstOfEachRun(others).values()]
}

function firstOfEachRun(entries: readonly AhaEntry[]): Map<string | undefined, AhaEntry> {
  const first = new Map<string | undefined, AhaEntry>()
  for (const entry of entries) if (!first.has(runOf(entry))) first.set(runOf(entry), entry)
  return first
}

/** Orders by network and name, by code units: the same on every machine. */
export function byPlace(one: AhaEntry, other: AhaEntry): number {
  return compare(one.network, other.network) || compare(one.name, other.name)
}

function compare(one: string, other: string): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}
