/** The database file, with calls that block: for the worker's thread only. */
import {accessSync, constants} from 'node:fs'
import {DatabaseSync} from 'node:sqlite'
import {RegistryError} from '../base/errors.ts'
import {createPrivateFile} from '../base/files.ts'
import {damagedFile, isIoFault} from './sqlite-errors.ts'
import {type LogHead, SqliteLog} from './sqlite-log.ts'
import {
  BODY,
  CULL,
  DELETE,
  decodeRecordChanges,
  ENTRY_WIDTH,
  type Flat,
  numberAt,
  PUT,
  PUT_RECORDS,
  RENEWAL_WIDTH,
  ROTATE,
  textAt,
} from './sqlite-messages.ts'
import {BUSY_TIMEOUT_MS, type FileHead, prepareFile, readHead} from './sqlite-open.ts'
import {FileSpace, type Freeing} from './sqlite-space.ts'
import {CHUNK_CHARS, integer, text} from './sqlite-values.ts'
import type {Appended, StoreHead, StoreSize} from './store.ts'

/** Pages of one commit besides those of its changes. */
const COMMIT_PAGES = 4
/** Estimated renewals that fall on one page of 400, as not all renew at a time. */
const RENEWALS_PER_PAGE = 40

/** Where to go on reading records. */
interface RecordPlace {
  readonly table: string
  readonly key: string
  readonly limit: number
  readonly isOneTable: boolean
}

/** An open database file. Every method throws what SQLite throws; `asStoreError` translates it. */
export class SqliteFile {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #log: SqliteLog
  readonly #statements: Statements
  readonly #space: FileSpace
  #head: FileHead
  #isFrozen = false

  /** Opens the file, making it when it is not there. */
  constructor(path: string) {
    this.#path = path
    createPrivateFile(path)
    // SQLite would open what it may only read, and refuse every change until the next start, whatever the operator does meanwhile.
    accessSync(path, constants.R_OK | constants.W_OK)
    const database = new DatabaseSync(path, {timeout: BUSY_TIMEOUT_MS})
    try {
      prepareFile(database, path)
      this.#database = database
      this.#head = readHead(database, path)
      this.#log = new SqliteLog(database, path)
      this.#statements = prepareStatements(database)
      this.#log.verifyEnd(this.#head)
      this.#space = new FileSpace({database, path, log: this.#log, commit: (write) => this.#commitLazily(write)})
    } catch (error) {
      database.close()
      throw error
    }
  }

  get head(): StoreHead {
    return {...this.#head, firstOffset: this.#log.firstOffset}
  }

  get size(): StoreSize {
    return this.#space.size
  }

  /** Takes the entries of an APPEND request, in one transaction. */
  append(request: Flat): Appended {
    const {nextOffset} = this.#head
    const {segments} = this.#log
    const head = this.#commit(() => this.#writeEntries(request))
    this.#head = head
    this.#space.wrote(COMMIT_PAGES + head.nextOffset - nextOffset)
    if (this.#log.segments !== segments) this.#space.look()
    return [nextOffset, head.lastHash]
  }

  /** Takes the times of a RENEW request, in one transaction, which a crash may lose. */
  renew(request: Flat): void {
    this.#commitLazily(() => {
      for (let at = BODY; at < request.length; at += RENEWAL_WIDTH) {
        this.#statements.renew.run(numberAt(request, at + 1), numberAt(request, at))
      }
    })
    this.#space.wrote(COMMIT_PAGES + request.length / RENEWALS_PER_PAGE)
  }

  /** Adds to `answer` the instances after `seq`, in order, at most `limit` and about 4 MB of them; none when there are no more. */
  instances(answer: Flat, seq: number, limit: number): void {
    let chars = 0
    for (const row of this.#statements.instances.iterate(seq, limit)) {
      const service = text(row['service'], this.#path)
      answer.push(integer(row['seq'], this.#path), service, integer(row['last_s'], this.#path))
      chars += service.length
      if (chars > CHUNK_CHARS) return
    }
  }

  /** Adds to `answer` the records after that one, in order, at most `limit` and about 4 MB of them; none when there are no more. */
  records(answer: Flat, after: RecordPlace): void {
    const {table, key, limit, isOneTable} = after
    const {recordsOfOne, records} = this.#statements
    let chars = 0
    for (const row of (isOneTable ? recordsOfOne : records).iterate(table, key, limit)) {
      const value = text(row['value'], this.#path)
      answer.push(text(row['kind'], this.#path), text(row['key'], this.#path), value)
      chars += value.length
      if (chars > CHUNK_CHARS) return
    }
  }

  /** Adds to `answer` entries from `offset` on, at most `limit` and about 4 MB of them; none when there are no more. */
  read(answer: Flat, offset: number, limit: number): void {
    this.#log.read(answer, offset, limit, this.#head.nextOffset)
  }

  /** Proves that the disk takes a write as large as that of a usual commit. */
  probe(): void {
    this.#commit(() => this.#statements.probe.run())
    this.#space.wrote(2 * COMMIT_PAGES)
  }

  /**
   * Moves the whole WAL into the file, and leaves both as they are until `thaw`.
   *
   * @throws RegistryError `REG_BUSY`
   */
  freeze(): void {
    if (!this.#space.checkpoint('TRUNCATE')) {
      throw new RegistryError('REG_BUSY', `${this.#path} cannot be frozen now: another process reads it`)
    }
    this.#isFrozen = true
  }

  thaw(): void {
    this.#isFrozen = false
  }

  /** Moves the pages of the WAL into the file when there are many. To be called after the answer, so that nobody waits for it. */
  tidy(): void {
    if (!this.#isFrozen) this.#space.tidy()
  }

  /** Frees a little of what culled entries took. To be called when nobody waits. */
  free(): Freeing {
    return this.#isFrozen ? 'done' : this.#space.free()
  }

  close(): void {
    this.#database.close()
  }

  #commit<T>(write: () => T): T {
    const {begin, commit} = this.#statements
    begin.run()
    try {
      const result = write()
      commit.run()
      this.#log.settle(true)
      return result
    } catch (error) {
      this.#log.settle(false)
      // After some errors (disk full) SQLite has rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      // When the fsync failed, the WAL may hold the whole transaction all the same, and a start after a crash would find it there.
      if (isIoFault(error)) this.#space.checkpoint('TRUNCATE')
      throw error
    }
  }

  /**
   * Commits without an fsync (synchronous NORMAL): a crash may lose it, the next append syncs it along with its own pages, and a WAL is read only
   * as far as it is whole.
   */
  #commitLazily(write: () => void): void {
    this.#database.exec('PRAGMA synchronous = NORMAL')
    try {
      this.#commit(write)
    } finally {
      this.#database.exec('PRAGMA synchronous = FULL')
    }
  }

  #writeEntries(request: Flat): FileHead {
    const {iden} = this.#head
    let {nextSeq} = this.#head
    let log: LogHead = this.#head
    for (let at = BODY; at < request.length; at += ENTRY_WIDTH) {
      log = this.#log.insert(log, {
        timeMs: numberAt(request, at),
        actor: textAt(request, at + 1),
        change: textAt(request, at + 2),
        epoch: numberAt(request, at + 3) || undefined,
        hash: textAt(request, at + 4) || undefined,
      })
      nextSeq = this.#writeEffect(request, at + 5, nextSeq, log)
    }
    const {nextOffset, lastHash, epoch} = log
    const {updateHead} = this.#statements
    // Nobody else writes to the file; should somebody, then rather fail than fork the chain.
    if (
      updateHead.run(nextOffset, lastHash, epoch, nextSeq, this.#head.nextOffset, this.#head.lastHash).changes !== 1
    ) {
      throw damagedFile(this.#path, 'another process changed it')
    }
    return {nextOffset, epoch, lastHash, nextSeq, iden}
  }

  /** Writes the effect that begins at `at`, of the entry that the log ends with, and gives the next seq after it. */
  #writeEffect(request: Flat, at: number, nextSeq: number, log: LogHead): number {
    const seq = numberAt(request, at + 1)
    const {deleteInstance, deleteHeartbeat} = this.#statements
    switch (numberAt(request, at)) {
      case PUT:
        return this.#putInstance(seq, textAt(request, at + 2), numberAt(request, at + 3), nextSeq)
      case DELETE:
        deleteInstance.run(seq)
        deleteHeartbeat.run(seq)
        return nextSeq
      case PUT_RECORDS:
        this.#writeRecords(textAt(request, at + 2))
        return nextSeq
      case ROTATE:
        this.#log.rotate(log)
        return nextSeq
      case CULL:
        this.#log.cull(Math.min(seq + 1, log.nextOffset - 1))
        return nextSeq
      default:
        return nextSeq
    }
  }

  #putInstance(seq: number, service: string, lastHeartbeatS: number, nextSeq: number): number {
    const statements = this.#statements
    if (seq < nextSeq) {
      statements.replaceInstance.run(seq, service)
      statements.replaceHeartbeat.run(seq, lastHeartbeatS)
      return nextSeq
    }
    // A plain insert takes half the time of one that may replace.
    statements.insertInstance.run(seq, service)
    statements.insertHeartbeat.run(seq, lastHeartbeatS)
    return seq + 1
  }

  #writeRecords(changes: string): void {
    const {putRecord, deleteRecord} = this.#statements
    for (const {table, key, value} of decodeRecordChanges(changes)) {
      if (value === null) deleteRecord.run(table, key)
      else putRecord.run(table, key, value)
    }
  }
}

type Statements = ReturnType<typeof prepareStatements>

function prepareStatements(database: DatabaseSync) {
  return {
    begin: database.prepare('BEGIN IMMEDIATE'),
    commit: database.prepare('COMMIT'),
    updateHead: database.prepare(
      'UPDATE head SET next_offset = ?, last_hash = ?, epoch = ?, next_seq = ? WHERE next_offset = ? AND last_hash = ?',
    ),
    insertInstance: database.prepare('INSERT INTO instances (seq, service) VALUES (?, ?)'),
    insertHeartbeat: database.prepare('INSERT INTO heartbeats (seq, last_s) VALUES (?, ?)'),
    replaceInstance: database.prepare('REPLACE INTO instances (seq, service) VALUES (?, ?)'),
    replaceHeartbeat: database.prepare('REPLACE INTO heartbeats (seq, last_s) VALUES (?, ?)'),
    deleteInstance: database.prepare('DELETE FROM instances WHERE seq = ?'),
    deleteHeartbeat: database.prepare('DELETE FROM heartbeats WHERE seq = ?'),
    renew: database.prepare('UPDATE heartbeats SET last_s = ? WHERE seq = ?'),
    instances: database.prepare(
      `SELECT seq, service, last_s FROM instances LEFT JOIN heartbeats USING (seq) WHERE seq > ? ORDER BY seq LIMIT ?`,
    ),
    putRecord: database.prepare('REPLACE INTO records (kind, key, value) VALUES (?, ?, ?)'),
    deleteRecord: database.prepare('DELETE FROM records WHERE kind = ? AND key = ?'),
    recordsOfOne: database.prepare(
      'SELECT kind, key, value FROM records WHERE kind = ? AND key > ? ORDER BY key LIMIT ?',
    ),
    records: database.prepare(
      'SELECT kind, key, value FROM records WHERE (kind, key) > (?, ?) ORDER BY kind, key LIMIT ?',
    ),
    probe: database.prepare('UPDATE probe SET filler = randomblob(16384)'),
  }
}
