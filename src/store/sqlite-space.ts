/**
 * What the database file takes on the disk. For the worker's thread only.
 *
 * Culled entries are leftovers (sqlite-log.ts): rows below the beginning of their segment, and tables that no segment names. They are found in
 * the file itself, so a restart goes on where a kill left off. Steps of a few milliseconds delete them, newest first, as these mostly stand at the
 * end of the file, and cut the file's empty pages off; between two steps the worker answers who asks.
 */
import {statSync} from 'node:fs'
import type {DatabaseSync, StatementSync} from 'node:sqlite'
import {type Clock, systemClock} from '../base/clock.ts'
import {asStoreError} from './sqlite-errors.ts'
import type {SqliteLog} from './sqlite-log.ts'
import {BUSY_TIMEOUT_MS} from './sqlite-open.ts'
import {segmentTable} from './sqlite-schema.ts'
import {integer, text} from './sqlite-values.ts'
import type {StoreSize} from './store.ts'

/** Pages in the WAL, estimated, after which they are moved into the file: a move of 4 MB takes some 10 ms. */
const CHECKPOINT_PAGES = 1000
/** What a step should take; who appends meanwhile waits for one step at most. */
const STEP_MS = 3
const ROWS_AT_FIRST = 500
const ROWS_AT_MOST = 8000
const PAGES_AT_FIRST = 200
const PAGES_AT_MOST = 2000
/** Empty pages that a file may have at its start without being made smaller: they are soon used again. 1 MB. */
const SPARE_PAGES = 256
/** Steps are not made smaller than this: a machine that is busy with something else would never come to an end. */
const SIZE_AT_LEAST = 50
/** Pages that a step writes besides those that it moves: what is deleted whole is not written. */
const STEP_PAGES = 12

/** Rows to delete: those of a table below an offset, or all of them and then the table. */
interface Leftover {
  readonly table: string
  readonly below: number
  readonly isWhole: boolean
}

/** How freeing goes on: at once, after a while because something is in the way, or not at all because all is done. */
export type Freeing = 'more' | 'later' | 'done'

export interface SpacePorts {
  readonly database: DatabaseSync
  readonly path: string
  readonly log: SqliteLog
  /** Runs within a transaction that a crash may lose. */
  readonly commit: (write: () => void) => void
  readonly clock?: Clock
}

/** The WAL and the pages of an open database file. */
export class FileSpace {
  readonly #ports: SpacePorts
  readonly #clock: Clock
  readonly #counts: Counts
  #walPages = 0
  #leftovers: readonly Leftover[] = []
  /** Whether the file is to lose its empty pages, and then to be cut. */
  #isFreeing = false
  #rows = ROWS_AT_FIRST
  #pages = PAGES_AT_FIRST

  constructor(ports: SpacePorts) {
    this.#ports = ports
    this.#clock = ports.clock ?? systemClock
    const {database} = ports
    this.#counts = {
      freePages: database.prepare('PRAGMA freelist_count'),
      pageSize: database.prepare('PRAGMA page_size'),
      tables: database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'log_[0-9]*'`),
    }
    this.look()
    if (this.#count('freePages') > SPARE_PAGES) this.#isFreeing = true
  }

  get size(): StoreSize {
    const freeBytes = this.#count('freePages') * this.#count('pageSize')
    return {bytes: statSync(this.#ports.path).size, freeBytes, isFreeing: this.#isFreeing}
  }

  /** Looks for leftovers. To be called when the segments changed. */
  look(): void {
    const {log, database, path} = this.#ports
    const kept = new Set(log.segments.map(({id}) => segmentTable(id)))
    const tables = this.#counts.tables.all().map((row) => text(row['name'], path))
    const dead = tables
      .filter((table) => !kept.has(table))
      .map((table) => ({table, below: Number.MAX_SAFE_INTEGER, isWhole: true}))
    const [oldest] = log.segments
    const partly = oldest && {table: segmentTable(oldest.id), below: oldest.firstOffset, isWhole: false}
    const isLeft = partly && lastBelow(database, partly) !== undefined
    this.#leftovers = isLeft ? [...dead, partly] : dead
    if (this.#leftovers.length > 0) this.#isFreeing = true
  }

  /** Notes that about so many pages were written. */
  wrote(pages: number): void {
    this.#walPages += pages
  }

  /** Moves the pages of the WAL into the file when there are many. To be called after the answer, so that nobody waits for it. */
  tidy(): void {
    if (this.#walPages < CHECKPOINT_PAGES) return
    this.#walPages = 0
    this.checkpoint('PASSIVE')
  }

  /**
   * Moves the pages of the WAL into the file, and says whether all were. A WAL that cannot be moved now stays and is whole: what goes wrong here
   * will show in the next commit, where it is answered.
   */
  checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): boolean {
    try {
      const row = this.#ports.database.prepare(`PRAGMA wal_checkpoint(${mode})`).get()
      return row?.['busy'] === 0 && row['log'] === row['checkpointed']
    } catch (error) {
      asStoreError(error, 'checkpoint', this.#ports.path)
      return false
    }
  }

  /** Frees a little. What fails is left as it was, for later. */
  free(): Freeing {
    if (!this.#isFreeing) return 'done'
    const {database, path} = this.#ports
    // Who holds the lock may do so for long: then later, rather than to let those wait who read.
    database.exec('PRAGMA busy_timeout = 0')
    try {
      return this.#step()
    } catch (error) {
      asStoreError(error, 'free space of', path)
      return 'later'
    } finally {
      database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
    }
  }

  /** Does one thing that takes a few milliseconds. */
  #step(): Freeing {
    const [leftover, ...others] = this.#leftovers
    if (this.#walPages >= CHECKPOINT_PAGES) {
      this.tidy()
    } else if (this.#count('freePages') > 0) {
      this.#pages = this.#paced(this.#pages, PAGES_AT_MOST, () => this.#cutPages())
    } else if (leftover !== undefined) {
      this.#rows = this.#paced(this.#rows, ROWS_AT_MOST, () => {
        if (this.#delete(leftover)) this.#leftovers = others
      })
    } else {
      // The file itself becomes shorter only when the whole WAL is moved into it.
      if (!this.checkpoint('PASSIVE')) return 'later'
      this.#walPages = 0
      this.#isFreeing = false
      return 'done'
    }
    return 'more'
  }

  /** Deletes the newest rows of a leftover, and says whether that were all of them. */
  #delete({table, below, isWhole}: Leftover): boolean {
    const {database, commit} = this.#ports
    let isDone = false
    commit(() => {
      const last = lastBelow(database, {table, below})
      if (last !== undefined) {
        database.prepare(`DELETE FROM ${table} WHERE offset > ? AND offset <= ?`).run(last - this.#rows, last)
      }
      isDone = lastBelow(database, {table, below}) === undefined
      if (isDone && isWhole) database.exec(`DROP TABLE ${table}`)
    })
    this.#walPages += STEP_PAGES
    return isDone
  }

  #cutPages(): void {
    const {database, commit} = this.#ports
    const before = this.#count('freePages')
    commit(() => database.exec(`PRAGMA incremental_vacuum(${this.#pages})`))
    // An empty page at the end of the file is cut off, and one elsewhere takes over what the last page holds: the half, say.
    this.#walPages += STEP_PAGES + (before - this.#count('freePages')) / 2
  }

  /** Does a step of `size` and gives the size that the next one should have. */
  #paced(size: number, largest: number, step: () => void): number {
    const beganMs = this.#clock.monotonicMs()
    step()
    const tookMs = this.#clock.monotonicMs() - beganMs
    if (tookMs > STEP_MS) return Math.max(SIZE_AT_LEAST, Math.floor(size / 2))
    return tookMs < STEP_MS / 3 ? Math.min(largest, size * 2) : size
  }

  #count(name: 'freePages' | 'pageSize'): number {
    return integer(Object.values(this.#counts[name].get() ?? {})[0], this.#ports.path)
  }
}

interface Counts {
  readonly freePages: StatementSync
  readonly pageSize: StatementSync
  readonly tables: StatementSync
}

/** Gives the newest offset of a table below that one. */
function lastBelow(database: DatabaseSync, {table, below}: {table: string; below: number}): number | undefined {
  const row = database.prepare(`SELECT max(offset) AS last FROM ${table} WHERE offset < ?`).get(below)
  const last = row?.['last']
  return typeof last === 'number' ? last : undefined
}
