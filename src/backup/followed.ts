/**
 * What `backup follow` keeps: bases of a cell, and its change log from the oldest of them on.
 *
 *     DIR/follow.json                which cell, and an iden of the directory
 *     DIR/lock.db                    held by the one process that follows into it
 *     DIR/coming/                    bases that are fetched, or wait until the log has reached them
 *     DIR/history-1/base-<index>/    a backup, with its manifest; the log goes on from its index
 *     DIR/history-1/log/             the archived log (log-archive.ts)
 *     DIR/history-1/history.json     why it was begun
 *     DIR/history-1/head.json        how far its log was kept (log-head.ts)
 *     DIR/history-2/…                when the log of the cell was not the one of history-1 any more, or had a gap: nothing is mixed
 *
 * The newest history that has a base is the one that counts. A base gets its name when the log of its history has reached it, and has its hash there.
 */

import {open, readFile, stat} from 'node:fs/promises'
import {basename, dirname, join, resolve} from 'node:path'
import {RegistryError, systemCode} from '../base/errors.ts'
import {exists, makePrivateDir, namesIn, writeFileAtomic} from '../base/files.ts'
import {parseJson} from '../base/json-parse.ts'
import type {Entry} from '../store/store.ts'
import {FOLLOW_FILE} from './follow-file.ts'
import {archiveEnd, archiveSegments, readArchive} from './log-archive.ts'
import {lostEnd, readLogHead} from './log-head.ts'
import type {SegmentEnd} from './log-segment.ts'
import {MANIFEST_FILE, type Manifest} from './manifest.ts'
import {readManifestFile} from './manifest-read.ts'

const HISTORY_FILE = 'history.json'
const FORMAT = 1
const HISTORY = /^history-([1-9]\d{0,5})$/
const BASE = /^base-(\d{12,16})(?:-([1-9]\d{0,5}))?$/
const IDEN = /^[0-9a-f]{32}$/
/** A follow.json is a hundred bytes. */
const MAX_BYTES = 64 * 1024
const MAX_MANIFEST_BYTES = 512 * 1024 * 1024

/** Why a history was begun: it is the first, the log had been trimmed beyond the one before, it was another log, the archive was damaged. */
export type HistoryReason = 'first' | 'trimmed' | 'differs' | 'damaged'

const REASONS = ['first', 'trimmed', 'differs', 'damaged'] as const

/** Whose log a directory keeps, and the iden by which that cell knows the directory: undefined in one of before. Both 32 hex digits. */
export interface Claim {
  readonly cell: string
  readonly archiver: string | undefined
}

/** A base, with where the log goes on from it. */
export interface FollowedBase {
  readonly path: string
  readonly manifest: Manifest
  readonly index: number
  readonly hash: string
}

/** At least one. */
type Bases = readonly [FollowedBase, ...FollowedBase[]]

/** A history: bases and a log that fit each other. */
export interface Followed {
  /** The directory that `backup follow` was given. */
  readonly dir: string
  /** The directory of this history. */
  readonly path: string
  /** 32 hex digits. */
  readonly cell: string
  readonly why: HistoryReason
  /** Oldest first. */
  readonly bases: Bases
  /** Oldest entry of the log. */
  readonly firstOffset: number
  /** Offset after the newest entry that can be restored. */
  readonly nextOffset: number
  /** Hash of the entry before it. */
  readonly lastHash: string
  /** The newest entry; null when the log has none. */
  readonly lastOffset: number | null
  readonly lastTimeMs: number | null
  /** A crash left something at the end that was never said to be kept. */
  readonly isTorn: boolean
  /** The last segment is damaged, or entries behind it are gone, and this says where; what can be restored is what comes before it. */
  readonly damage: RegistryError | undefined
  /** The other histories of the directory: paths, oldest first. */
  readonly others: readonly string[]
}

/** A history that may have no base yet. */
export interface HistoryDir {
  readonly path: string
  readonly number: number
  readonly why: HistoryReason
  readonly bases: readonly FollowedBase[]
}

/** Gives when the newest that is kept was made: an entry of its log, or its newest base. */
export function keptUntilMs({lastTimeMs, bases}: Pick<Followed, 'lastTimeMs' | 'bases'>): number {
  return Math.max(lastTimeMs ?? 0, Date.parse((bases.at(-1) ?? bases[0]).manifest.madeAt))
}

/** Names a history: proofs are of it, whatever bases it has by then. */
export function historyOf({cell, path}: Followed): string {
  return `${cell}/${basename(path)}`
}

/** Tells whether a directory is one that `backup follow` keeps, or a history of one. */
export async function isFollowed(dir: string): Promise<boolean> {
  return (await exists(join(dir, FOLLOW_FILE))) || (await exists(join(dir, HISTORY_FILE)))
}

/**
 * Reads what is kept in a directory: of its newest history with a base, or of the history that is given.
 *
 * @throws RegistryError `REG_BACKUP_INVALID` when it is no such directory, or has no base yet
 */
export async function readFollowed(place: string): Promise<Followed> {
  const {dir, history, others} = await findHistory(place)
  const {cell} = await readFollowFile(dir)
  // Before the log, which may grow meanwhile.
  const head = await readLogHead(history.path)
  const {end, damage} = await endOf(history)
  const segments = await archiveSegments(history.path)
  const {bases} = history
  const hasEntries = end?.lastTimeMs !== undefined
  const newest = bases.at(-1) ?? bases[0]
  // A base may be beyond what is left of a log that is damaged.
  const reached = hasEntries && end.place.nextOffset >= newest.index ? end.place : undefined
  const kept = {nextOffset: Math.max(end?.place.nextOffset ?? 0, bases[0].index)}
  return {
    ...{dir, path: history.path, cell, why: history.why, bases, others},
    damage: damage ?? lostEnd(history.path, head, kept),
    firstOffset: segments[0]?.first ?? bases[0].index,
    nextOffset: reached?.nextOffset ?? newest.index,
    lastHash: reached?.lastHash ?? newest.hash,
    lastOffset: hasEntries ? end.place.nextOffset - 1 : null,
    lastTimeMs: end?.lastTimeMs ?? null,
    isTorn: end?.isTorn ?? false,
  }
}

/** Gives the end of the archived log: of one that is damaged there, the last entry that is good. */
async function endOf({path, bases}: HistoryDir & {readonly bases: Bases}): Promise<{
  readonly end: Omit<SegmentEnd, 'bytes'> | undefined
  readonly damage: RegistryError | undefined
}> {
  try {
    return {end: await archiveEnd(path), damage: undefined}
  } catch (error) {
    if (!isDamage(error)) throw error
    const [{index: offset, hash}] = bases
    let last: Entry | undefined
    try {
      for await (const entries of readArchive(path, {offset, hash})) last = entries.at(-1) ?? last
    } catch (first) {
      if (!isDamage(first)) throw first
      return {end: last && endAt(last), damage: first}
    }
    return {end: last && endAt(last), damage: error}
  }
}

function endAt({offset, hash, epoch, timeMs}: Entry): Omit<SegmentEnd, 'bytes'> {
  return {place: {nextOffset: offset + 1, lastHash: hash, epoch}, isTorn: false, lastTimeMs: timeMs}
}

function isDamage(error: unknown): error is RegistryError {
  return error instanceof RegistryError && error.code === 'REG_BACKUP_DAMAGED'
}

/**
 * Yields the archived entries that follow a base, proved by their hashes. `place` is a directory as for `readFollowed`.
 *
 * @throws RegistryError `REG_BACKUP_DAMAGED`, which names the file, the byte and the entry; `REG_BACKUP_INVALID`
 */
export async function* readArchivedLog(
  place: string,
  from: {readonly offset: number; readonly hash: string},
): AsyncGenerator<readonly Entry[], void> {
  const {history} = await findHistory(place)
  yield* readArchive(history.path, from)
}

/** Gives the histories of a directory, oldest first; those without a base too. */
export async function readHistories(dir: string): Promise<readonly HistoryDir[]> {
  const found: HistoryDir[] = []
  for (const name of await namesIn(dir)) {
    const number = Number(HISTORY.exec(name)?.[1])
    if (Number.isNaN(number)) continue
    const path = join(dir, name)
    found.push({path, number, why: await reasonOf(path), bases: await readBases(path)})
  }
  return found.toSorted((one, other) => one.number - other.number)
}

/** Makes the directory of a new history. One that has no base yet is taken again. */
export async function beginHistory(dir: string, number: number, why: HistoryReason, at: string): Promise<string> {
  const path = join(dir, `history-${number}`)
  await makePrivateDir(path)
  await writeFileAtomic(join(path, HISTORY_FILE), `${JSON.stringify({format: FORMAT, why, at})}\n`)
  return path
}

/** Says whose log a directory keeps; undefined when it says nothing. @throws RegistryError `REG_BACKUP_INVALID` */
export async function readClaim(dir: string): Promise<Claim | undefined> {
  return (await exists(join(dir, FOLLOW_FILE))) ? await readFollowFile(dir) : undefined
}

export async function writeFollowFile(dir: string, cell: string, archiver?: string): Promise<void> {
  await writeFileAtomic(join(dir, FOLLOW_FILE), `${JSON.stringify({format: FORMAT, cell, archiver})}\n`)
}

/** Gives the bases of a history whose removal was not finished: their manifests went first. */
export async function halfRemovedBases(history: string): Promise<readonly string[]> {
  const paths = (await namesIn(history)).filter((name) => BASE.test(name)).map((name) => join(history, name))
  const areWhole = await Promise.all(paths.map((path) => exists(join(path, MANIFEST_FILE))))
  return paths.filter((_, at) => areWhole[at] === false)
}

/** Where a base of this index goes: several may have the same. */
export async function newBasePath(history: string, index: number): Promise<string> {
  const name = `base-${String(index).padStart(12, '0')}`
  // Behind those that are there: the numbers say which is newer.
  const numbers = (await namesIn(history)).map((one) => BASE.exec(one)).filter((match) => Number(match?.[1]) === index)
  const number = Math.max(0, ...numbers.map((match) => Number(match?.[2] ?? 1))) + 1
  return join(history, number === 1 ? name : `${name}-${number}`)
}

/** Gives the complete bases of a history, in the order in which they were taken. */
async function readBases(history: string): Promise<readonly FollowedBase[]> {
  const bases: (FollowedBase & {readonly number: number})[] = []
  for (const name of await namesIn(history)) {
    const match = BASE.exec(name)
    if (match === null) continue
    const path = join(history, name)
    const manifest = await manifestIn(path)
    const {index, hash} = manifest?.log ?? {index: null, hash: null}
    if (manifest === undefined || index === null || hash === null) continue
    bases.push({path, manifest, index, hash, number: Number(match[2] ?? 1)})
  }
  return bases
    .toSorted((one, other) => one.index - other.index || one.number - other.number)
    .map(({path, manifest, index, hash}) => ({path, manifest, index, hash}))
}

async function findHistory(place: string): Promise<{
  readonly dir: string
  readonly history: HistoryDir & {readonly bases: Bases}
  readonly others: readonly string[]
}> {
  if (!(await isFollowed(place))) throw invalid(place, 'backup follow does not keep anything there')
  const path = resolve(place)
  const isOne = !(await exists(join(path, FOLLOW_FILE)))
  const dir = isOne ? dirname(path) : path
  const all = await readHistories(dir)
  const history = all.filter((one) => !isOne || one.path === path).findLast(hasBase)
  if (history === undefined) throw invalid(place, 'it has no complete base yet')
  return {dir, history, others: all.filter((one) => one !== history).map(({path}) => path)}
}

function hasBase<T extends HistoryDir>(history: T): history is T & {readonly bases: Bases} {
  return history.bases.length > 0
}

async function readFollowFile(dir: string): Promise<Claim> {
  const path = join(dir, FOLLOW_FILE)
  const value = parsed(await readSmall(path, MAX_BYTES))
  if (value['format'] !== FORMAT) throw invalid(path, `its format is ${String(value['format'])}, known is ${FORMAT}`)
  const {cell, archiver} = value
  if (typeof cell !== 'string' || !IDEN.test(cell)) throw invalid(path, 'it names no cell')
  return {cell, archiver: typeof archiver === 'string' && IDEN.test(archiver) ? archiver : undefined}
}

async function reasonOf(history: string): Promise<HistoryReason> {
  const text = await readSmall(join(history, HISTORY_FILE), MAX_BYTES).catch(() => '')
  const {why} = parsed(text)
  return REASONS.find((reason) => reason === why) ?? 'first'
}

/** Undefined when there is none, or none that can be read: what has no manifest is no backup. */
async function manifestIn(path: string): Promise<Manifest | undefined> {
  try {
    const file = join(path, MANIFEST_FILE)
    await assertSmall(file, MAX_MANIFEST_BYTES)
    await using handle = await open(file)
    return await readManifestFile(handle, path)
  } catch (error) {
    if (error instanceof RegistryError || systemCode(error) !== undefined) return undefined
    throw error
  }
}

async function readSmall(path: string, most: number): Promise<string> {
  await assertSmall(path, most)
  return await readFile(path, 'utf8')
}

async function assertSmall(path: string, most: number): Promise<void> {
  if ((await stat(path)).size > most) throw invalid(path, `it has more than ${most} bytes`)
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value = parseJson(text)
    return typeof value === 'object' && value !== null ? {...value} : {}
  } catch {
    return {} // what it should say is missing then
  }
}

function invalid(place: string, reason: string): RegistryError {
  return new RegistryError('REG_BACKUP_INVALID', `${place} is nothing that backup follow keeps: ${reason}`, {
    info: {place, reason},
  })
}
