// A member of a cell with all parts that keep something, on a store in memory: what a leader has, and a mirror makes again.
import {NO_POLICY} from '../../src/auth/policy.ts'
import {Passwords} from '../../src/cell/passwords.ts'
import {openUserBook, type UserBook} from '../../src/cell/user-book.ts'
import {ChangeLog, COMMIT_LIMITS, type LogHead} from '../../src/nexus/change-log.ts'
import {LogReaders} from '../../src/nexus/log-reader.ts'
import {checkLog, type LogVerdict} from '../../src/server/log-check.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import type {Appended, Entry, NewEntry} from '../../src/store/store.ts'
import {silentLog} from '../wire/telepath/silent-log.ts'
import {openAhaParts, type TestAhaParts} from './aha.ts'
import {type FakeClock, TestApi} from './api.ts'

const CELL_IDEN = 'c0ffee00c0ffee00c0ffee00c0ffee00'
const FOLLOWING = {kind: 'replicated', reason: 'another member leads'} as const
const POLICY = {...NO_POLICY, previous: 2}

/** A store that another one can begin with. */
class CopiedStore extends MemoryStore {
  readonly appended: NewEntry[] = []

  override append(entries: readonly NewEntry[]): Promise<Appended> {
    this.appended.push(...entries)
    return super.append(entries)
  }
}

export class ReplayMember {
  readonly store: CopiedStore
  readonly clock: FakeClock
  readonly changes: ChangeLog
  readonly users: UserBook
  readonly api: TestApi
  readonly aha: TestAhaParts
  /** What its log said, without times. */
  readonly lines: string[]
  /** Users that may not go on. */
  readonly barred: string[] = []

  private constructor(
    parts: Pick<ReplayMember, 'store' | 'clock' | 'changes' | 'users' | 'aha' | 'lines'>,
    isUnique: boolean,
  ) {
    this.store = parts.store
    this.clock = parts.clock
    this.changes = parts.changes
    this.users = parts.users
    this.aha = parts.aha
    this.lines = parts.lines
    this.users.onBarred((iden) => this.barred.push(iden))
    this.api = TestApi.on({...parts, uniqueTypes: isUnique})
  }

  static async leader(clock: FakeClock): Promise<ReplayMember> {
    const store = new CopiedStore()
    return await ReplayMember.#open(store, clock, await store.open(), true)
  }

  /** Begins with a copy of what the leader has now, and follows. */
  static async mirrorOf(leader: ReplayMember, clock: FakeClock): Promise<ReplayMember> {
    const store = new CopiedStore()
    await store.open()
    await store.append(leader.store.appended)
    return await ReplayMember.#open(store, clock, leader.changes.head, false)
  }

  /** What those who ask get to see after a start with what is in the store, services of ZeroMQ left out. */
  async visibleAgain(): Promise<unknown> {
    const again = await ReplayMember.#open(this.store, this.clock, this.changes.head, false)
    again.close()
    return {...again.visible(), catalog: this.visible().catalog}
  }

  static async #open(store: CopiedStore, clock: FakeClock, head: LogHead, isLeader: boolean): Promise<ReplayMember> {
    const changes = new ChangeLog(store, {...COMMIT_LIMITS, clock, head})
    if (!isLeader) changes.setSource(FOLLOWING)
    const lines: string[] = []
    const log = silentLog(lines)
    const passwords = new Passwords({iterations: 1})
    const users = await openUserBook(
      {store, changeLog: changes, log, clock, passwords},
      {cellIden: CELL_IDEN, policy: POLICY, maxUsers: 0},
    )
    const aha = await openAhaParts({store, changeLog: changes, clock, users, log})
    await changes.settled()
    return new ReplayMember({store, clock, changes, users, aha, lines}, true)
  }

  lead(): void {
    this.changes.setSource({kind: 'own'})
  }

  /** Takes over what the leader has beyond its own log, in steps of so many entries. */
  async follow(leader: ReplayMember, step: number): Promise<void> {
    this.changes.setSource(FOLLOWING)
    const entries = await leader.entries(this.changes.nextOffset)
    const starts = Array.from({length: Math.ceil(entries.length / step)}, (_, index) => index * step)
    await Promise.all(starts.map((at) => this.changes.replicate(entries.slice(at, at + step))))
  }

  entries(from = 0): Promise<readonly Entry[]> {
    return this.store.read(from, 100_000)
  }

  /** What is in the store: all but when services were last renewed. */
  async stored() {
    const instances = await allOf(this.store.instances())
    const records = await allOf(this.store.records())
    return {
      entries: await this.entries(),
      instances: instances.map(({seq, service}) => ({seq, service})),
      records,
    }
  }

  /** What those who ask get to see. */
  visible() {
    const {users, aha, api} = this
    const all = users.users()
    return {
      users: all.map((user) => ({...user, keys: users.apiKeysOf(user.iden)})),
      roles: users.roles(),
      gates: users.gates(),
      services: aha.ledger.visible.list(),
      pools: aha.pools.list(),
      servers: aha.servers.list(),
      // Those of one moment are listed as they came, and after a start in any order.
      tickets: aha.tickets.list().toSorted((one, other) => (one.ticket.idenSha256 < other.ticket.idenSha256 ? -1 : 1)),
      catalog: Array.from(api.catalog.all(), (one) => [
        one.seq,
        one.storedText(),
        one.groups.map(({key, size}) => [key, size]),
      ]),
    }
  }

  /** What a check of its log against what it keeps finds. */
  check(): Promise<LogVerdict> {
    const {store, changes} = this
    return checkLog({entries: new LogReaders({store, changes}), changes}, AbortSignal.timeout(150_000))
  }

  close(): void {
    this.api.close()
  }
}

async function allOf<T>(chunks: AsyncIterable<readonly T[]>): Promise<readonly T[]> {
  const all: T[] = []
  for await (const chunk of chunks) all.push(...chunk)
  return all
}
