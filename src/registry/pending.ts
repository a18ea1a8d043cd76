import type {Catalog} from './catalog.ts'
import type {Service} from './service.ts'

/** An entry as it will be when all that is under way has been committed. */
export interface Standing {
  readonly seq: number
  /** What the pending change says; undefined when the entry stands in the catalog only. */
  readonly service: Service | undefined
}

interface Slot {
  readonly seq: number
  /** Undefined: to be removed. */
  readonly service: Service | undefined
  /** How many changes of this id are under way; the last of them is what the slot says. */
  changes: number
}

/**
 * The catalog as it will be: the visible one with what is being committed laid over it. Changes are decided against this, reads never
 * see it.
 */
export class Pending {
  readonly #catalog: Catalog
  readonly #slots = new Map<string, Slot>()

  constructor(catalog: Catalog) {
    this.#catalog = catalog
  }

  /** Gives the entry with this id, or undefined when there will be none. */
  get(id: string): Standing | undefined {
    const slot = this.#slots.get(id)
    if (slot !== undefined) return slot.service === undefined ? undefined : slot
    const instance = this.#catalog.get(id)
    return instance === undefined ? undefined : {seq: instance.seq, service: undefined}
  }

  /** Lays a change over the catalog; undefined removes. */
  set(id: string, seq: number, service: Service | undefined): void {
    const changes = (this.#slots.get(id)?.changes ?? 0) + 1
    this.#slots.set(id, {seq, service, changes})
  }

  /** Says that the oldest change of this id has become visible. */
  settle(id: string): void {
    const slot = this.#slots.get(id)
    if (slot === undefined) return
    slot.changes -= 1
    if (slot.changes === 0) this.#slots.delete(id)
  }

  /** Throws away all that was under way. */
  clear(): void {
    this.#slots.clear()
  }

  /** Gives the ids of leased entries other than `exceptId` that will carry the label: in the catalog order, then those under way. */
  *holders(label: string, exceptId: string): Iterable<string> {
    for (const instance of this.#catalog.labelled(label)?.members() ?? []) {
      if (instance.isLeased && instance.id !== exceptId && !this.#slots.has(instance.id)) yield instance.id
    }
    for (const [id, slot] of this.#slots) {
      if (id !== exceptId && slot.service?.labels.includes(label)) yield id
    }
  }
}
