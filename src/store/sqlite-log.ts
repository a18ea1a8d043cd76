/**
 * The change log within the database file: segments, one table each (`segments` lists them), of which the newest takes the entries. For the
 * worker's thread only.
 *
 * To rotate is to make a table. To cull is to take segments out of the list, and to move the beginning of the oldest one: that is a row or two,
 * however much is culled. The entries below the beginning of a segment, and the tables that no segment names, are leftovers
 * (sqlite-space.ts), also after a restart.
 */
import type {DatabaseSync, StatementSync} from 'node:sqlite'
import {RegistryError} from '../base/errors.ts'
import {type ChainPlace, chainHash, verifyChain} from './chain.ts'
import {assertFits} from './checks.ts'
import {damagedFile} from './sqlite-errors.ts'
import {DONE, decodeEntries, type Flat} from './sqlite-messages.ts'
import {createSegment, segmentTable} from './sqlite-schema.ts'
import {CHUNK_CHARS, integer, text} from './sqlite-values.ts'
import type {NewEntry, StoreHead} from './store.ts'

/** Newest entries whose chain is verified at every start; the whole log takes too long. */
const VERIFY_AT_OPEN = 256

interface Segment {
  readonly id: number
  /** Offset of the oldest entry that counts; the next one of the log in an empty segment. */
  readonly firstOffset: number
  /** Hash of the entry before that one. */
  readonly previousHash: string
}

/** Where the log ends. */
export type LogHead = Pick<StoreHead, 'nextOffset' | 'epoch' | 'lastHash'>

/** The segments, and the statement that adds to the newest of them. */
interface Segments {
  readonly list: readonly Segment[]
  readonly newest: Segment
  readonly insert: StatementSync
}

/** The log of an open database file. Every method throws what SQLite throws. */
export class SqliteLog {
  readonly #database: DatabaseSync
  readonly #path: string
  /** As the open transaction sees them. */
  #segments: Segments
  /** As they were before it. */
  #kept: Segments

  constructor(database: DatabaseSync, path: string) {
    this.#database = database
    this.#path = path
    this.#segments = this.#withInsert(readSegments(database, path))
    this.#kept = this.#segments
  }

  /** Offset of the oldest entry that is kept; the next one in an empty log. */
  get firstOffset(): number {
    return this.#kept.list[0]?.firstOffset ?? 0
  }

  /** The segments that count, oldest first: id of each, and the offset that its entries begin at. */
  get segments(): readonly {readonly id: number; readonly firstOffset: number}[] {
    return this.#kept.list
  }

  /** Adds an entry within the transaction of the caller and gives the head after it. */
  insert(head: LogHead, entry: Omit<NewEntry, 'effect'>): LogHead {
    const {nextOffset: offset} = head
    const {timeMs, actor, change, epoch = head.epoch, hash: expected = ''} = entry
    const hash = chainHash(head.lastHash, offset, epoch, timeMs, actor, change)
    assertFits({offset, epoch, hash}, head.epoch, expected)
    this.#segments.insert.run(offset, epoch, timeMs, actor, change, hash)
    return {nextOffset: offset + 1, epoch, lastHash: hash}
  }

  /** Begins a new segment after the newest entry, within the transaction of the caller. */
  rotate({nextOffset, lastHash}: LogHead): void {
    const segment = {id: this.#segments.newest.id + 1, firstOffset: nextOffset, previousHash: lastHash}
    this.#database.exec(createSegment(segment.id))
    this.#database
      .prepare('INSERT INTO segments (id, first_offset, previous_hash) VALUES (?, ?, ?)')
      .run(segment.id, nextOffset, lastHash)
    this.#segments = this.#withInsert([...this.#segments.list, segment])
  }

  /** Makes `first` the oldest entry, within the transaction of the caller; it must be there. Does nothing when older ones are gone already. */
  cull(first: number): void {
    const {list} = this.#segments
    const [oldest] = list
    if (oldest === undefined || first <= oldest.firstOffset) return
    const at = list.findLastIndex(({firstOffset}) => firstOffset <= first)
    const partly = list[at]
    if (partly === undefined) return
    for (const {id} of list.slice(0, at)) this.#database.prepare('DELETE FROM segments WHERE id = ?').run(id)
    const kept = partly.firstOffset === first ? partly : this.#moveBeginning(partly, first)
    this.#segments = this.#withInsert([kept, ...list.slice(at + 1)])
  }

  /** To be called when the transaction of the caller ended: what it did to the segments counts now, or is void. */
  settle(isCommitted: boolean): void {
    if (isCommitted) this.#kept = this.#segments
    else this.#segments = this.#kept
  }

  /** Adds to `answer` entries from `offset` to before `end`, at most `limit` and about 4 MB of them; none when there are no more. */
  read(answer: Flat, offset: number, limit: number, nextOffset: number): void {
    const oldest = this.firstOffset
    if (offset < oldest) {
      throw new RegistryError('REG_OFFSET_CULLED', `entry ${offset} was trimmed, the oldest kept is ${oldest}`, {
        info: {offset, first: oldest},
      })
    }
    const end = Math.min(offset + limit, nextOffset)
    const {list} = this.#kept
    let room = CHUNK_CHARS
    for (const [index, {id, firstOffset}] of list.entries()) {
      const segmentEnd = list[index + 1]?.firstOffset ?? end
      room = this.#readSegment(answer, id, Math.max(offset, firstOffset), Math.min(end, segmentEnd), room)
      if (room <= 0) return
    }
  }

  /** Verifies that the log ends as the head says and that its newest entries are whole. */
  verifyEnd(head: LogHead): void {
    this.#verify(this.#placeBefore(Math.max(this.firstOffset, head.nextOffset - VERIFY_AT_OPEN), head), head)
  }

  /** Verifies every entry that is kept, and that the log ends as the head says. */
  verifyAll(head: LogHead): void {
    this.#verify(this.#placeBefore(this.firstOffset, head), head)
  }

  #verify(from: ChainPlace, head: LogHead): void {
    const {nextOffset, lastHash} = head
    let place = from
    while (place.nextOffset < nextOffset) {
      const answer: Flat = [0, DONE]
      this.read(answer, place.nextOffset, VERIFY_AT_OPEN, nextOffset)
      const verdict = verifyChain(decodeEntries(answer), place)
      if (verdict.kind === 'damaged') throw damagedFile(this.#path, verdict.reason, verdict.offset)
      if (verdict.end.nextOffset === place.nextOffset) break
      place = verdict.end
    }
    if (place.nextOffset !== nextOffset || place.lastHash !== lastHash) {
      throw damagedFile(this.#path, `the log ends before entry ${place.nextOffset}`, place.nextOffset)
    }
  }

  #moveBeginning(segment: Segment, first: number): Segment {
    const before = this.#database
      .prepare(`SELECT hash FROM ${segmentTable(segment.id)} WHERE offset = ?`)
      .get(first - 1)
    if (before === undefined) throw damagedFile(this.#path, `entry ${first - 1} is missing`, first - 1)
    const previousHash = text(before['hash'], this.#path)
    this.#database
      .prepare('UPDATE segments SET first_offset = ?, previous_hash = ? WHERE id = ?')
      .run(first, previousHash, segment.id)
    return {...segment, firstOffset: first, previousHash}
  }

  #withInsert(list: readonly Segment[]): Segments {
    const newest = list.at(-1)
    if (newest === undefined) throw damagedFile(this.#path, 'it has no log')
    const insert = this.#database.prepare(
      `INSERT INTO ${segmentTable(newest.id)} (offset, epoch, time_ms, actor, change, hash) VALUES (?, ?, ?, ?, ?, ?)`,
    )
    return {list, newest, insert}
  }

  /** Adds the entries of one segment until `room` characters are used up, and gives the room left. */
  #readSegment(answer: Flat, id: number, from: number, end: number, room: number): number {
    if (from >= end) return room
    const path = this.#path
    const select = this.#database.prepare(
      `SELECT offset, epoch, hash, time_ms, actor, change FROM ${segmentTable(id)} WHERE offset >= ? AND offset < ? ORDER BY offset`,
    )
    let left = room
    for (const row of select.iterate(from, end)) {
      const change = text(row['change'], path)
      answer.push(integer(row['offset'], path), integer(row['epoch'], path), text(row['hash'], path))
      answer.push(integer(row['time_ms'], path), text(row['actor'], path), change)
      left -= change.length
      if (left <= 0) break
    }
    return left
  }

  /** Gives the place before an entry, by the hash of the one before it. */
  #placeBefore(offset: number, {nextOffset}: LogHead): ChainPlace {
    const segment = this.#kept.list.find(({firstOffset}) => firstOffset === offset)
    if (segment !== undefined) return {nextOffset: offset, lastHash: segment.previousHash}
    const answer: Flat = [0, DONE]
    this.read(answer, offset - 1, 1, nextOffset)
    const [before] = decodeEntries(answer)
    if (before === undefined) throw damagedFile(this.#path, `entry ${offset - 1} is missing`, offset - 1)
    return {nextOffset: offset, lastHash: before.hash}
  }
}

function readSegments(database: DatabaseSync, path: string): readonly Segment[] {
  const rows = database.prepare('SELECT id, first_offset, previous_hash FROM segments ORDER BY first_offset').all()
  return rows.map((row) => ({
    id: integer(row['id'], path),
    firstOffset: integer(row['first_offset'], path),
    previousHash: text(row['previous_hash'], path),
  }))
}
