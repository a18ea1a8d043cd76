// A leader to copy from without sockets, whose link can be cut, and whose pieces can be spoiled.
import {randomBytes} from 'node:crypto'
import {mkdtemp, readdir, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {RegistryError} from '../../src/base/errors.ts'
import {isStart, packPiece, packStart} from '../../src/server/mirroring/copy-messages.ts'
import {type SnapshotPorts, Snapshots} from '../../src/server/mirroring/snapshots.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {CallOptions, TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {silentLog} from '../wire/telepath/silent-log.ts'

export const CELL = 'ce11'.repeat(8)
export const HEAD = {nextOffset: 42, epoch: 3, lastHash: 'ab'.repeat(32), firstOffset: 7}
const PIECE = 256 * 1024
const ROOM = {blocks: 1000, bavail: 900, bsize: 1024 * 1024}

export class CopySource implements AsyncDisposable {
  readonly dir: string
  readonly lines: string[] = []
  /** What the store is: another one after each change. */
  bytes: Buffer
  snapshots: Snapshots
  /** Snapshots that the store has made. */
  made = 0
  /** Bytes that were sent. */
  sent = 0
  /** Number of the item before which the link breaks, in each session that comes; undefined for never. */
  cuts: (number | undefined)[] = []
  /** What becomes of an item on its way. */
  alter: (item: Value) => Value = (item) => item
  cellIden = CELL
  room = ROOM
  readonly #ports: SnapshotPorts

  private constructor(dir: string, bytes: Buffer) {
    this.dir = dir
    this.bytes = bytes
    const store = {
      snapshot: async (path: string) => {
        this.made += 1
        await writeFile(path, this.bytes, {flag: 'wx'})
        return {...HEAD, nextSeq: 1, iden: '0'.repeat(32)}
      },
      size: async () => ({bytes: this.bytes.length, freeBytes: 0, isFreeing: false}),
    }
    const log = silentLog(this.lines)
    this.#ports = {store, dir: join(dir, 'tmp'), log, minFreePercent: () => 5, statfs: async () => this.room}
    this.snapshots = undefined as never // opened at once
  }

  static async open(pieces = 4.5): Promise<CopySource> {
    const dir = await mkdtemp(join(tmpdir(), 'copy-source-'))
    const source = new CopySource(dir, randomBytes(Math.floor(pieces * PIECE)))
    await source.restart()
    return source
  }

  /** As after a kill. */
  async restart(): Promise<void> {
    this.snapshots = await Snapshots.open(this.#ports)
  }

  /** Names of the files that it keeps. */
  files(): Promise<string[]> {
    return readdir(join(this.dir, 'tmp')).catch(() => [])
  }

  /** Opens a session. */
  readonly connect = async (): Promise<TelepathProxy> => {
    const cut = this.cuts.shift()
    const proxy = {
      stream: (_method: string, options: CallOptions = {}) => this.#items(options, cut),
      call: async (_method: string, {args: [id] = []}: CallOptions = {}) => {
        await this.snapshots.drop(String(id))
        return true
      },
      [Symbol.asyncDispose]: async () => {},
    }
    return proxy as unknown as TelepathProxy
  }

  async *#items({kwargs = {}, signal}: CallOptions, cut: number | undefined): AsyncGenerator<Value, void> {
    const {id, offset} = kwargs
    const wish = {id: typeof id === 'string' ? id : undefined, offset: Number(offset ?? 0)}
    let count = 0
    for await (const item of this.snapshots.read(wish, signal ?? new AbortController().signal)) {
      signal?.throwIfAborted()
      if (count++ === cut) throw new RegistryError('REG_LINK_CLOSED', 'cut')
      if (!isStart(item)) this.sent += item.bytes.length
      yield this.alter(isStart(item) ? packStart(item, this.cellIden) : packPiece(item))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.snapshots.close()
    await rm(this.dir, {recursive: true, force: true})
  }
}
