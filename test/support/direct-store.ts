// The database file as the worker of a store uses it, without the worker: a thousand files are opened in the time that ten threads take to start.
import {SqliteFile} from '../../src/store/sqlite-file.ts'
import {decodeEntries, decodeInstances, decodeRecords, type Flat} from '../../src/store/sqlite-messages.ts'
import type {Store, StoreHead} from '../../src/store/store.ts'

const MANY = 100_000

export class DirectStore implements Disposable, Pick<Store, 'instances' | 'records' | 'read'> {
  readonly #file: SqliteFile

  constructor(path: string) {
    this.#file = new SqliteFile(path)
  }

  get head(): StoreHead {
    return this.#file.head
  }

  /** Frees all that culled entries took. */
  freeAll(): void {
    while (this.#file.free() === 'more');
  }

  async *instances(): ReturnType<Store['instances']> {
    yield decodeInstances(answer((flat) => this.#file.instances(flat, -1, MANY)))
  }

  async *records(table = ''): ReturnType<Store['records']> {
    const place = {table, key: '', limit: MANY, isOneTable: true}
    yield decodeRecords(answer((flat) => this.#file.records(flat, place)))
  }

  async read(offset: number, limit: number): ReturnType<Store['read']> {
    return decodeEntries(answer((flat) => this.#file.read(flat, offset, limit)))
  }

  [Symbol.dispose](): void {
    this.#file.close()
  }
}

function answer(fill: (flat: Flat) => void): Flat {
  const flat: Flat = [0, 1]
  fill(flat)
  return flat
}
