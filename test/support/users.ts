import {NO_POLICY, readPolicy} from '../../src/auth/policy.ts'
import {RegistryError} from '../../src/base/errors.ts'
import {createLog} from '../../src/base/log.ts'
import {Passwords} from '../../src/cell/passwords.ts'
import {openUserBook, type UserBook, type UserBookOptions} from '../../src/cell/user-book.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import type {Appended, Entry, NewEntry, StoredRecord} from '../../src/store/store.ts'
import {FakeClock} from './api.ts'

const CELL_IDEN = 'c0ffee00c0ffee00c0ffee00c0ffee00'

/** A store in memory whose commits can be held up, and made to fail. */
export class GatedStore extends MemoryStore {
  isBroken = false
  #gate: PromiseWithResolvers<void> | undefined

  /** Commits wait until the function that this gives is called. */
  hold(): () => void {
    const gate = Promise.withResolvers<void>()
    this.#gate = gate
    return () => {
      this.#gate = undefined
      gate.resolve()
    }
  }

  override async append(entries: readonly NewEntry[]): Promise<Appended> {
    await this.#gate?.promise
    if (this.isBroken) throw new RegistryError('REG_STORE_FAILED', 'the disk is full')
    return super.append(entries)
  }

  override async probe(): Promise<void> {
    if (this.isBroken) throw new RegistryError('REG_STORE_FAILED', 'the disk is still full')
  }

  async allEntries(): Promise<readonly Entry[]> {
    return this.read(0, 10_000)
  }

  async allRecords(): Promise<readonly StoredRecord[]> {
    const found: StoredRecord[] = []
    for await (const chunk of this.records()) found.push(...chunk)
    return found
  }
}

export interface TestBook extends Disposable {
  readonly book: UserBook
  readonly store: GatedStore
  readonly changeLog: ChangeLog
  readonly clock: FakeClock
  readonly logged: readonly string[]
  /** Opens what is in the store once more, as after a restart. */
  again(options?: BookOptions): Promise<TestBook>
}

export interface BookOptions extends Partial<Omit<UserBookOptions, 'policy'>> {
  /** As it stands in the configuration. */
  readonly policy?: unknown
  readonly passwords?: Passwords
}

/** Opens users in a new store in memory, or in the one given; hashes are of one round. */
export async function openBook(options: BookOptions = {}, given?: GatedStore): Promise<TestBook> {
  const store = given ?? new GatedStore()
  if (given === undefined) await store.open()
  const clock = new FakeClock()
  const logged: string[] = []
  const log = createLog({level: 'debug', structured: true, clock, write: (line) => logged.push(line)})
  const changeLog = new ChangeLog(store, {...COMMIT_LIMITS, clock})
  const {passwords = new Passwords({iterations: 1}), policy, ...others} = options
  const book = await openUserBook(
    {store, changeLog, log, clock, passwords},
    {cellIden: CELL_IDEN, maxUsers: 0, ...others, policy: policy === undefined ? NO_POLICY : readPolicy(policy)},
  )
  return {
    book,
    store,
    changeLog,
    clock,
    logged,
    again: (more = {}) => openBook(more, store),
    [Symbol.dispose]: () => changeLog.close(),
  }
}

/** Gives what a call was refused with. */
export async function refusal(call: Promise<unknown> | (() => Promise<unknown>)): Promise<RegistryError> {
  try {
    await (typeof call === 'function' ? call() : call)
  } catch (error) {
    if (error instanceof RegistryError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
