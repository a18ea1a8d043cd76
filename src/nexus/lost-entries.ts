/**
 * A file of entries that only one member of a cell had, kept when it becomes a mirror of another history. Lines of JSON: what it is, then the entries in
 * order, each with its hash.
 *
 *     {"v":1,"kind":"lost-entries","cell":"…","member":"5f…","name":"00.aha.loop.link","savedMs":1763719200000,"offset":1041,"count":2,"leader":"01.aha.loop.link","epoch":7}
 *     {"offset":1041,"epoch":6,"hash":"…","timeMs":1763719100000,"actor":"zmq:anon/6b","change":"{\"v\":1,\"kind\":\"register\",…}"}
 */
import {createReadStream} from 'node:fs'
import {createInterface} from 'node:readline'
import {messageOf, RegistryError} from '../base/errors.ts'
import {fillFileAtomic, PRIVATE_FILE_MODE} from '../base/files.ts'
import {parseJson} from '../base/json-parse.ts'
import {verifyChain} from '../store/chain.ts'
import type {Entry} from '../store/store.ts'

/** What a file of lost entries says of itself. */
export interface LostHeader {
  /** Iden of the cell. */
  readonly cell: string
  /** Iden and name of the member that had the entries. */
  readonly member: string
  readonly name: string
  readonly savedMs: number
  /** Offset of the first entry, and how many there are. */
  readonly offset: number
  readonly count: number
  /** Name of the leader that lacks them, and its epoch. */
  readonly leader: string
  readonly epoch: number
}

const KIND = 'lost-entries'

/**
 * Writes such a file, for its owner alone. Nobody sees a part of it; when the promise resolves it survives a crash.
 *
 * @throws what the system says, or the entries
 */
export async function saveLostEntries(
  path: string,
  header: LostHeader,
  entries: AsyncIterable<readonly Entry[]>,
): Promise<void> {
  await fillFileAtomic(path, {mode: PRIVATE_FILE_MODE, isReplacing: false}, async (write) => {
    await write(line({v: 1, kind: KIND, ...header}))
    for await (const some of entries) await write(Buffer.concat(some.map(line)))
  })
}

/** Yields the entries of such a file. @throws RegistryError `REG_DIR_UNUSABLE`, `REG_STORE_DAMAGED` */
export async function* readLostEntries(path: string): AsyncGenerator<Entry, LostHeader> {
  const lines = createInterface({input: createReadStream(path, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY})
  let header: LostHeader | undefined
  let before: Entry | undefined
  let count = 0
  try {
    for await (const text of lines) {
      const value = parseJson(text)
      if (header === undefined) {
        header = readHeader(value)
        continue
      }
      const entry = readEntry(value)
      assertFollows(entry, before, header)
      before = entry
      count += 1
      yield entry
    }
  } catch (error) {
    throw unreadable(path, error)
  }
  if (header === undefined || count !== header.count) {
    throw unreadable(path, new TypeError(`it has ${count} entries, and ${header?.count ?? 'no head that'} says so`))
  }
  return header
}

function assertFollows(entry: Entry, before: Entry | undefined, header: LostHeader): void {
  // The one before the first is not in the file.
  const from = before && {nextOffset: before.offset + 1, lastHash: before.hash}
  if (from === undefined && entry.offset !== header.offset) throw new TypeError(`entry ${header.offset} is missing`)
  const verdict = from && verifyChain([entry], from)
  if (verdict?.kind === 'damaged') throw new TypeError(verdict.reason)
}

function line(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`)
}

function readHeader(value: unknown): LostHeader {
  const {v, kind, cell, member, name, savedMs, offset, count, leader, epoch} = mapOf(value)
  if (v !== 1 || kind !== KIND) throw new TypeError('it is no file of lost entries of version 1')
  return {
    ...{cell: textOf(cell), member: textOf(member), name: textOf(name), leader: textOf(leader)},
    ...{savedMs: numberOf(savedMs), offset: numberOf(offset), count: numberOf(count), epoch: numberOf(epoch)},
  }
}

function readEntry(value: unknown): Entry {
  const {offset, epoch, hash, timeMs, actor, change} = mapOf(value)
  return {
    ...{offset: numberOf(offset), epoch: numberOf(epoch), timeMs: numberOf(timeMs)},
    ...{hash: textOf(hash), actor: textOf(actor), change: textOf(change)},
  }
}

function mapOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('a line is no object')
  return value as Readonly<Record<string, unknown>>
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('a text is missing')
  return value
}

function numberOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new TypeError('a number is missing')
  return value
}

function unreadable(path: string, cause: unknown): RegistryError {
  if (cause instanceof TypeError || cause instanceof SyntaxError) {
    return new RegistryError('REG_STORE_DAMAGED', `${path}: ${cause.message}`, {info: {path}, cause})
  }
  return new RegistryError('REG_DIR_UNUSABLE', `${path}: ${messageOf(cause)}`, {info: {path}, cause})
}
