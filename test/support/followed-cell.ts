// A cell without sockets whose log is followed, and a directory that it is followed into.
import {mkdir, readdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {ComingBase} from '../../src/backup/follow-dir.ts'
import {MANIFEST_FILE, type Manifest} from '../../src/backup/manifest.ts'
import {encodeManifest} from '../../src/backup/manifest-write.ts'
import {systemClock} from '../../src/base/clock.ts'
import {RegistryError} from '../../src/base/errors.ts'
import {type FollowEvent, type FollowOptions, type FollowReport, followBackup} from '../../src/client/follow-backup.ts'
import {readArchiverTold} from '../../src/server/archiver-messages.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {CallOptions, TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {TestCell, type TestSession} from './cell.ts'

const METHODS = new Map([
  ['archiveLog', {isGenerator: true}],
  ['archiveAck', {isGenerator: false}],
])
/** What a registry has that does not know who archives its log. */
export const OLD_METHODS = new Map([
  ['archiveLog', {isGenerator: true}],
  ['noteBackupFollowed', {isGenerator: false}],
])

export class FollowedCell {
  readonly cell: TestCell
  readonly #root: TestSession
  /** Told by followers. */
  readonly noted: number[] = []
  /** Ends the links that are open. */
  #links = new Set<AbortController>()
  /** Why nobody gets a link. */
  refusal: Error | undefined
  /** What a base says instead of where the log stands. */
  lie: Partial<Manifest['log']> = {}

  private constructor(cell: TestCell, root: TestSession) {
    this.cell = cell
    this.#root = root
  }

  static async open(): Promise<FollowedCell> {
    const cell = await TestCell.open()
    return new FollowedCell(cell, await cell.session(undefined))
  }

  get nextOffset(): number {
    return this.cell.changeLog.nextOffset
  }

  async append(count: number, text = 'x'): Promise<void> {
    const effect = {kind: 'records', records: []} as const
    for (let number = 0; number < count; number += 1) {
      const entry = {timeMs: 1000 + number, actor: 'zmq:anon/6b', change: `{"kind":"${text}"}`, effect}
      await new Promise<void>((resolve, failed) => {
        this.cell.changeLog.propose({entry, committed: () => resolve(), failed})
      })
    }
  }

  /** Trims everything but the newest entries. */
  async trim(): Promise<void> {
    await this.#root.call('rotateNexsLog')
    await this.append(1)
    await this.#root.call('cullNexsLog', [this.nextOffset - 2])
  }

  cutLinks(): void {
    for (const link of this.#links) link.abort(new RegistryError('REG_LINK_CLOSED', 'the link was cut'))
  }

  /** Makes a base of where the log stands: a directory with a manifest. */
  async takeBase(path: string): Promise<ComingBase> {
    const {nextOffset, lastHash, epoch} = this.cell.changeLog.head
    const madeAt = new Date(systemClock.wallMs()).toISOString()
    const about = {name: 'base', madeAt, madeBy: '1.0.0', how: 'base', skipped: [], directories: [], files: []} as const
    const cell = {kind: 'registry', iden: this.cell.parts.cellIden, type: null, name: null, version: null} as const
    const manifest = {...about, cell, log: {epoch, index: nextOffset, hash: lastHash, ...this.lie}, census: {}}
    const place = join(path, `taken-${(await readdir(path).catch(() => [])).length}`)
    await mkdir(place, {recursive: true})
    await writeFile(join(place, MANIFEST_FILE), encodeManifest(manifest))
    return {path: place, manifest}
  }

  link(methods: ReadonlyMap<string, {readonly isGenerator: boolean}> = METHODS): TelepathProxy {
    if (this.refusal !== undefined) throw this.refusal
    const link = new AbortController()
    this.#links.add(link)
    const close = async () => {
      link.abort(new Error('closed'))
      this.#links.delete(link)
    }
    return {
      info: {classes: [], methods: methods as TelepathProxy['info']['methods']},
      ...{features: {}, ahaName: null, peerVersion: [], closed: new Promise(() => undefined), close},
      [Symbol.asyncDispose]: close,
      call: async (method, {args = []} = {}) => {
        const [told] = args
        const {index, isAll} = method === 'archiveAck' ? readArchiverTold(told) : {index: Number(told), isAll: true}
        if (isAll) this.noted.push(index)
        return await this.#root.call(method, args)
      },
      stream: (method, options = {}) => this.#stream(method, options, link.signal),
      share: () => Promise.reject(new Error('no share was expected')),
    }
  }

  async *#stream(method: string, {args = [], signal}: CallOptions, cut: AbortSignal): AsyncGenerator<Value, void> {
    const answer = await this.#root.answer(method, args)
    if (answer.kind !== 'stream') throw new Error('not a stream')
    const items = answer.items[Symbol.asyncIterator]()
    const end = signal === undefined ? cut : AbortSignal.any([cut, signal])
    const ended = new Promise<never>((_, reject) => {
      end.addEventListener('abort', () => reject(end.reason as Error))
    })
    ended.catch(() => undefined)
    try {
      for (;;) {
        const {value, done} = await Promise.race([items.next(), ended])
        if (done === true) return
        yield value
      }
    } finally {
      void items.return?.()
    }
  }
}

/** One that follows, and what it told. */
export class TestFollower {
  readonly events: FollowEvent[] = []
  readonly done: Promise<FollowReport>
  readonly #stop = new AbortController()
  readonly #waiting = new Set<() => void>()

  constructor(dir: string, cell: FollowedCell, options: Partial<FollowOptions> = {}) {
    this.done = followBackup({
      dir,
      name: `host:${dir}`,
      open: async () => cell.link(),
      takeBase: (_cell, path) => cell.takeBase(path),
      ...{baseEveryMs: 3_600_000, keepBases: 2, isOnce: false, signal: this.#stop.signal, clock: systemClock},
      onEvent: (event) => {
        this.events.push(event)
        for (const look of this.#waiting) look()
      },
      ...options,
    })
    this.done.catch(() => undefined)
  }

  /** Waits for the `count`th event of a kind, or the end. */
  async told<E extends FollowEvent['event']>(event: E, count = 1): Promise<Extract<FollowEvent, {event: E}>> {
    const found = () =>
      this.events.filter((one): one is Extract<FollowEvent, {event: E}> => one.event === event)[count - 1]
    const looked = new Promise<void>((resolve) => {
      const look = () => {
        if (found() === undefined) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
    await Promise.race([looked, this.done])
    const one = found()
    if (one === undefined) throw new Error(`it ended without ${event}`)
    return one
  }

  async stop(): Promise<FollowReport> {
    this.#stop.abort(new Error('stopped'))
    return await this.done
  }
}
