import {NO_POLICY} from '../../src/auth/policy.ts'
import {createLog} from '../../src/base/log.ts'
import {healthReport} from '../../src/cell/health.ts'
import {type CellFacts, cellInfo} from '../../src/cell/info.ts'
import {LogTail} from '../../src/cell/log-tail.ts'
import {Passwords} from '../../src/cell/passwords.ts'
import {systemInfo} from '../../src/cell/system-info.ts'
import {openUserBook, type UserBook} from '../../src/cell/user-book.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import {LogReaders} from '../../src/nexus/log-reader.ts'
import {Archivers} from '../../src/server/archivers.ts'
import {Backups} from '../../src/server/backups.ts'
import type {CellParts} from '../../src/server/cell-parts.ts'
import {Freezer} from '../../src/server/freezer.ts'
import {LogKeeper} from '../../src/server/log-keeper.ts'
import {LogTrim} from '../../src/server/log-trim.ts'
import {Snapshots} from '../../src/server/mirroring/snapshots.ts'
import {Tasks} from '../../src/server/tasks.ts'
import {CellFrame, type CellSettings} from '../../src/server/telepath-api.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Answer, Greeting, Opened, Peer} from '../../src/wire/telepath/share.ts'
import {type AhaPorts, openAhaParts} from './aha.ts'
import {FakeClock} from './api.ts'
import {openMirroring} from './mirroring.ts'

const CELL_IDEN = 'c0ffee00c0ffee00c0ffee00c0ffee00'
const NO_SETTINGS: CellSettings = {network: undefined, anonymous: undefined, ahaName: undefined, shareNames: []}
const TCP: Peer = {family: 'tcp', address: '127.0.0.1', port: 40_000}
export const UNIX: Peer = {family: 'unix', address: '/cell/sock', port: null}

/** A cell without sockets: a real user book on a store in memory, and what it logs. */
export class TestCell {
  readonly users: UserBook
  readonly frame: CellFrame
  readonly parts: CellParts
  readonly changeLog: ChangeLog
  readonly store: MemoryStore
  readonly logged: string[]
  stops = 0
  #sessions = 0

  private constructor(
    users: UserBook,
    store: MemoryStore,
    changeLog: ChangeLog,
    parts: CellParts,
    frame: CellFrame,
    logged: string[],
    onStop: (stop: () => void) => void,
  ) {
    this.users = users
    this.store = store
    this.changeLog = changeLog
    this.parts = parts
    this.frame = frame
    this.logged = logged
    onStop(() => {
      this.stops += 1
    })
  }

  static async open(
    settings: Partial<CellSettings> = {},
    given: Partial<CellParts> = {},
    ahaPorts: Pick<AhaPorts, 'certs' | 'openPeer'> = {},
  ): Promise<TestCell> {
    const store = new MemoryStore()
    const head = await store.open()
    const clock = new FakeClock()
    const changeLog = new ChangeLog(store, {...COMMIT_LIMITS, clock})
    const logged: string[] = []
    const logs = new LogTail()
    const log = createLog({
      level: 'debug',
      structured: true,
      clock,
      write: (line) => logged.push(line),
      record: (line) => logs.add(line),
    })
    const passwords = new Passwords({iterations: 1})
    const options = {cellIden: CELL_IDEN, policy: NO_POLICY, maxUsers: 0}
    const users = await openUserBook({store, changeLog, log, clock, passwords}, options)
    let stop = () => {}
    const ports = {dir: '/dev/null/cell', nextOffset: () => changeLog.nextOffset, clock, log}
    const archivers = await Archivers.open(ports)
    const onCulled = (offset: number) => archivers.noteCulled(offset)
    const logKeeper = new LogKeeper({store, changeLog, clock, onCulled})
    const followed = {archivers, followers: () => [], open: () => Promise.reject(new Error('there is nobody'))}
    const parts: CellParts = {
      logKeeper,
      logTrim: new LogTrim({store, changes: changeLog, keeper: logKeeper, clock, log, ...followed}),
      archivers,
      users,
      changes: changeLog,
      mirroring: await openMirroring({store, changes: changeLog, head, log, clock}, CELL_IDEN),
      snapshots: await Snapshots.open({store, dir: '/dev/null/tmp', log, minFreePercent: () => 0}),
      backups: await Backups.open({
        dir: '/dev/null/cell',
        backupDir: '/dev/null/cell/backups',
        recordPath: '/dev/null/cell/state',
        about: () => ({kind: 'registry', iden: CELL_IDEN, type: 'registry', name: null, version: null}),
        minFreePercent: () => 0,
        maxAgeMs: () => null,
        ...{store, clock, log},
      }),
      isMember: false,
      entries: new LogReaders({store, changes: changeLog}),
      aha: await openAhaParts({store, changeLog, clock, users, log, ...ahaPorts}),
      log,
      logs,
      clock,
      tasks: new Tasks(),
      limiter: {assertAllowed: () => {}, countFailure: () => {}},
      registry: {info: () => ({status: 'ok'}), setMaintenance: async (id) => ({id})},
      freezer: new Freezer({store, clock, log}),
      cellIden: CELL_IDEN,
      runId: 'f00d',
      info: () => cellInfo(FACTS),
      systemInfo: () =>
        systemInfo({dir: import.meta.dirname, backupDir: import.meta.dirname, startedMs: 0, uptimeMs: 0}),
      health: () => healthReport(CELL_IDEN, NOTHING_WRONG),
      reloads: new Map(),
      stop: () => stop(),
      ...given,
    }
    const frame = new CellFrame(parts, {...NO_SETTINGS, ...settings})
    return new TestCell(users, store, changeLog, parts, frame, logged, (set) => {
      stop = set
    })
  }

  /** Opens a session: on the UNIX socket as the user, or as `greeting` says. */
  async session(user: string | undefined, greeting: Partial<Greeting> = {}): Promise<TestSession> {
    this.#sessions += 1
    const id = `session-${this.#sessions}`
    const auth = user === undefined ? undefined : {user, passwd: null}
    const peer = greeting.peer ?? UNIX
    const opened = await this.frame.greet({name: '*', path: [], auth, peer, ...greeting}, id)
    return new TestSession(id, opened, peer)
  }

  /** Opens a session with a password. */
  login(user: string, passwd: string | null, peer: Peer = TCP): Promise<TestSession> {
    return this.session(undefined, {auth: {user, passwd}, peer})
  }
}

const FACTS: CellFacts = {
  cellIden: CELL_IDEN,
  runId: 'f00d',
  type: 'ahacell',
  startedMs: 1_800_000_000_000,
  version: '0.1.0',
  nextOffset: 7,
  refusals: [],
  member: {isActive: true, isSafe: false, isReady: true, hasUplink: false, mirror: null},
  aha: {name: null, leader: null, network: 'demo.net'},
  https: [],
  telepath: [],
  archivers: [],
  optimized: null,
  provision: [],
}

const NOTHING_WRONG = {
  trouble: () => undefined,
  holds: () => new Map<string, string>(),
  frozen: () => undefined,
  disk: () => undefined,
  certificates: () => [],
  nowMs: () => 0,
  services: () => ({all: 0, critical: 0}),
  membership: () => undefined,
  mirroring: () => undefined,
  archivers: () => undefined,
  backup: () => undefined,
  replaced: () => undefined,
}

export class TestSession {
  readonly id: string
  readonly opened: Opened
  readonly #peer: Peer
  /** Aborts the calls under way, as the daemon does when the caller leaves. */
  readonly leave = new AbortController()

  constructor(id: string, opened: Opened, peer: Peer) {
    this.id = id
    this.opened = opened
    this.#peer = peer
  }

  /** Ends the session, as the daemon does when its first link closes. */
  close(): void {
    this.opened.closed?.()
  }

  async answer(
    method: string,
    args: readonly Value[] = [],
    kwargs: Readonly<Record<string, Value>> = {},
  ): Promise<Answer> {
    const call = {method, args, kwargs, signal: this.leave.signal, peer: this.#peer, sessionId: this.id}
    return this.opened.share.call(call)
  }

  /** Gives the value of a call, or all items of its stream. */
  async call(
    method: string,
    args: readonly Value[] = [],
    kwargs: Readonly<Record<string, Value>> = {},
  ): Promise<Value> {
    const answer = await this.answer(method, args, kwargs)
    if (answer.kind === 'share') throw new Error('a share was not expected')
    return answer.kind === 'value' ? answer.value : Array.fromAsync(answer.items)
  }
}
