/**
 * The data directory of a cell, and who owns it.
 *
 *     registry.db   state and change log (store/sqlite-schema.ts)
 *     cell.guid     name of this directory's cell, 32 hex digits, made once
 *     lock.db       empty database, held in an exclusive transaction by the server: the kernel lets go of it at any death
 *     lock.pid      process id of the one that holds the lock, to tell the one that is refused
 *     sock          UNIX socket of Telepath, what `cell://DIR` means; there while the server runs
 *     certs/        certificates and keys: cas/ hosts/ users/ crls/ (pki/cert-dir.ts)
 *     sslcert.pem, sslkey.pem   of the HTTPS listener; made at the first start when they are not there
 *     sslpair.pending   both, while they are made (server/https-pair.ts)
 *     tmp/          scratch: copies of the store for new members (server/mirroring/snapshots.ts)
 *     backups/      live backups, unless `backup:dir` says otherwise
 *     backup.state.json   what the server remembers of its backups (server/backup-record.ts)
 *     archivers.state.json  who archives the change log, and how far each has it (server/archivers.ts)
 *     compact.state.json  when the database was last written anew (server/compact-record.ts)
 *     run.json      where the server listens; written when it listens, removed when it stops, left over when it was killed
 */
import {readFile, rm, rmdir} from 'node:fs/promises'
import {join, resolve} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {setTimeout} from 'node:timers/promises'
import {systemClock} from '../base/clock.ts'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {createPrivateFile, makePrivateDir, namesIn, removeFile, writeFileAtomic} from '../base/files.ts'
import {newGuid} from '../base/ids.ts'
import {packageVersion} from '../base/package-root.ts'
import {isBusy} from '../store/sqlite-errors.ts'
import {isBeingRestored, isHalfRestored} from './restore-swap.ts'

const LOCK_FILE = 'lock.db'
const PID_FILE = 'lock.pid'
const RUN_FILE = 'run.json'
const GUID_FILE = 'cell.guid'
const BACKUP_STATE_FILE = 'backup.state.json'
/** What a kill leaves of the files that only the holder of the lock writes (`writeFileAtomic`). */
const LEFT = /^\.(lock\.pid|run\.json|cell\.guid|(backup|archivers|compact)\.state\.json)\.[0-9a-f]{32}\.tmp$/
/** A client that looks whether a server runs is in the way for a moment; a server stays. */
const LOCK_TRIES = 10
const LOCK_PAUSE_MS = 25

/** Where the ZeroMQ listeners of a running server are; null for one that it does not have. */
interface ZeromqPorts {
  readonly bind: string
  readonly req: number | null
  readonly pub: number | null
  readonly hb: number | null
  readonly rep: number | null
}

/** Where a running server listens. */
export interface Listeners {
  readonly zeromq: ZeromqPorts
  /** Path of the UNIX socket, and the address of the listener beside it; null where there is none. */
  readonly telepath: {readonly socket: string | null; readonly url: string | null}
  /** The listener where one-time URLs are redeemed. */
  readonly provision: {readonly url: string} | null
  readonly https: {readonly bind: string; readonly port: number} | null
}

/** What stands in run.json. */
export interface RunFile extends Listeners {
  readonly pid: number
  /** ISO 8601, UTC. */
  readonly startedAt: string
  readonly version: string
}

/** A data directory that belongs to this process until it is closed. */
export class CellDir implements AsyncDisposable {
  /** Absolute. */
  readonly path: string
  #guid: string
  /** True when the directory had no guid before: it is the first start. */
  readonly isNew: boolean
  readonly #lock: DatabaseSync
  readonly #startedAt = new Date(systemClock.wallMs()).toISOString()

  /** Use `lockCellDir`. */
  constructor(path: string, guid: string, isNew: boolean, lock: DatabaseSync) {
    this.path = path
    this.#guid = guid
    this.isNew = isNew
    this.#lock = lock
  }

  /** Names the cell, which all its members share. */
  get guid(): string {
    return this.#guid
  }

  /** The database of the embedded engine. */
  get storePath(): string {
    return join(this.path, 'registry.db')
  }

  /** The UNIX socket of Telepath. */
  get socketPath(): string {
    return join(this.path, 'sock')
  }

  /** What the server remembers of its backups. */
  get backupStatePath(): string {
    return join(this.path, BACKUP_STATE_FILE)
  }

  get certsPath(): string {
    return join(this.path, 'certs')
  }

  /** Writes run.json, for clients on this machine. To be called when the listeners listen, and again when they moved. */
  async announce(listeners: Listeners): Promise<void> {
    const run: RunFile = {pid: process.pid, startedAt: this.#startedAt, version: packageVersion(), ...listeners}
    const path = join(this.path, RUN_FILE)
    await usable(path, () => writeFileAtomic(path, `${JSON.stringify(run, undefined, 2)}\n`))
  }

  /** Makes it the directory of a member of another cell: it has no data of its own yet. */
  async adopt(guid: string): Promise<void> {
    const path = join(this.path, GUID_FILE)
    if (guid !== this.#guid) await usable(path, () => writeFileAtomic(path, guid))
    this.#guid = guid
  }

  /** Makes it a new directory again: what belongs to the first start was not done. */
  async forget(): Promise<void> {
    const path = join(this.path, GUID_FILE)
    await usable(path, () => removeFile(path))
  }

  /** Removes run.json and lets go of the directory. Idempotent. */
  async close(): Promise<void> {
    if (!this.#lock.isOpen) return
    try {
      for (const name of [RUN_FILE, PID_FILE]) await usable(this.path, () => removeFile(join(this.path, name)))
    } finally {
      if (this.#lock.isOpen) this.#lock.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

export interface LockOptions {
  /** Guid that a new directory gets, and that an old one has to have; a new one is made when absent. */
  readonly guid?: string | undefined
  /** What is done with it when no server runs on it, for who is refused: `a backup`. */
  readonly purpose?: string | undefined
}

/**
 * Takes a data directory for this process, making it (0700) when it is not there. What a killed server left in run.json is removed.
 *
 * @throws RegistryError `REG_DIR_LOCKED` when another process has it, its pid in `info.pid`; `REG_DIR_UNUSABLE` when it cannot be made or
 * used, or is no directory.
 */
export async function lockCellDir(directory: string, options: LockOptions = {}): Promise<CellDir> {
  const path = resolve(directory)
  await usable(path, () => makePrivateDir(path))
  const lock = await takeLock(path)
  try {
    if (await isHalfRestored(path)) throw beingRestored(path, {isVacating: false})
    for (const name of await usable(path, () => namesIn(path)))
      if (LEFT.test(name)) await usable(path, () => removeFile(join(path, name)))
    await usable(path, () => writeFileAtomic(join(path, PID_FILE), [process.pid, options.purpose].join(' ').trim()))
    await usable(path, () => removeFile(join(path, RUN_FILE)))
    const {guid, isNew} = await cellGuid(path, options.guid)
    return new CellDir(path, guid, isNew, lock)
  } catch (error) {
    if (isInTheWay(error)) await vacate(path)
    lock.close()
    throw error
  }
}

/** Takes back what was made in a directory that a restored one is about to take the place of. */
async function vacate(path: string): Promise<void> {
  for (const name of [PID_FILE, LOCK_FILE]) await rm(join(path, name), {force: true})
  await rmdir(path).catch(() => undefined) // the restore says what is in its way
}

function isInTheWay(error: unknown): boolean {
  return error instanceof RegistryError && error.info['isVacating'] === true
}

/**
 * Reads where the server of a directory listens; undefined when none runs there. What a killed server left behind is not believed: the
 * lock has to be held as well.
 *
 * @throws RegistryError `REG_DIR_UNUSABLE` when it cannot be found out, for instance because the directory belongs to somebody else.
 */
export async function readRunFile(directory: string): Promise<RunFile | undefined> {
  const path = join(resolve(directory), RUN_FILE)
  const text = await readOrUndefined(path)
  if (text === undefined || !isCellDirLocked(resolve(directory))) return undefined
  const run = decodeRunFile(text)
  if (run === undefined) throw unusable(path, 'it is not one that this version can read')
  return run
}

async function takeLock(path: string): Promise<DatabaseSync> {
  const file = join(path, LOCK_FILE)
  await usable(file, async () => createPrivateFile(file))
  for (let tries = 1; ; tries++) {
    const lock = tryLock(file)
    if (lock !== undefined) return lock
    if (tries === LOCK_TRIES) throw await lockedError(path)
    await setTimeout(LOCK_PAUSE_MS)
  }
}

function tryLock(file: string): DatabaseSync | undefined {
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(file)
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE') // nothing is written: no journal beside it
    return lock
  } catch (error) {
    lock?.close()
    if (isBusy(error)) return undefined
    throw unusable(file, messageOf(error), error)
  }
}

async function lockedError(path: string): Promise<RegistryError> {
  const [text, ...purpose] = (await readOrUndefined(join(path, PID_FILE)))?.split(' ') ?? []
  const pid = Number(text)
  if (!Number.isSafeInteger(pid) || pid <= 0) {
    return new RegistryError('REG_DIR_LOCKED', `another registry runs on ${path}`, {info: {path}})
  }
  const what =
    purpose.length === 0 ? `another registry runs on ${path}` : `${purpose.join(' ')} of ${path} is being made`
  return new RegistryError('REG_DIR_LOCKED', `${what}: process ${pid}`, {info: {path, pid}})
}

/**
 * Says whether a process holds the directory, which has to have a lock file, without being in the way for longer than a read.
 *
 * @throws RegistryError `REG_DIR_UNUSABLE` when it cannot be found out
 */
export function isCellDirLocked(path: string): boolean {
  const file = join(path, LOCK_FILE)
  let reader: DatabaseSync | undefined
  try {
    reader = new DatabaseSync(file, {readOnly: true})
    reader.prepare('SELECT count(*) FROM sqlite_schema').get()
    return false
  } catch (error) {
    if (isBusy(error)) return true
    throw unusable(file, messageOf(error), error)
  } finally {
    reader?.close()
  }
}

async function cellGuid(path: string, wanted: string | undefined): Promise<{guid: string; isNew: boolean}> {
  const file = join(path, GUID_FILE)
  const old = (await readOrUndefined(file))?.trim()
  if (old === undefined) {
    if (await isBeingRestored(path)) throw beingRestored(path, {isVacating: true})
    const guid = wanted ?? newGuid()
    await usable(file, () => writeFileAtomic(file, guid))
    return {guid, isNew: true}
  }
  if (!/^[0-9a-f]{32}$/.test(old)) throw unusable(file, 'it does not hold 32 hex digits')
  if (wanted !== undefined && wanted !== old)
    throw unusable(file, `it holds ${old}, and the option cell:guid is ${wanted}`)
  return {guid: old, isNew: false}
}

/** `isVacating`: the directory is in the way. */
function beingRestored(path: string, {isVacating}: {readonly isVacating: boolean}): RegistryError {
  return new RegistryError('REG_DIR_LOCKED', `${path} is being restored`, {
    info: {path, isVacating},
    hints: ['start again when the restore has ended'],
  })
}

async function readOrUndefined(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw unusable(path, code ?? messageOf(error), error)
  }
}

async function usable<T>(path: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } catch (error) {
    throw unusable(path, systemCode(error) ?? messageOf(error), error)
  }
}

function unusable(path: string, reason: string, cause?: unknown): RegistryError {
  const text = reason === 'EEXIST' ? 'it is not a directory' : reason
  return new RegistryError('REG_DIR_UNUSABLE', `cannot use ${path}: ${text}`, {info: {path, reason}, cause})
}

/** Reads run.json; unknown fields are passed over, undefined means that a known one is missing or wrong. */
function decodeRunFile(text: string): RunFile | undefined {
  const run = parseObject(text)
  const {pid, startedAt, version} = run
  const zeromq = asObject(run['zeromq'])
  const {bind} = zeromq
  const [req, pub, hb, rep] = ['req', 'pub', 'hb', 'rep'].map((name) => asPort(zeromq[name]))
  if (typeof pid !== 'number' || typeof startedAt !== 'string' || typeof version !== 'string') return undefined
  if (typeof bind !== 'string' || req === undefined || pub === undefined || hb === undefined || rep === undefined) {
    return undefined
  }
  const telepath = asObject(run['telepath'])
  const provisionUrl = asText(asObject(run['provision'])['url'])
  const https = asObject(run['https'])
  const httpsPort = asPort(https['port']) ?? null
  return {
    pid,
    startedAt,
    version,
    zeromq: {bind, req, pub, hb, rep},
    telepath: {socket: asText(telepath['socket']), url: asText(telepath['url'])},
    provision: provisionUrl === null ? null : {url: provisionUrl},
    https: httpsPort === null ? null : {bind: asText(https['bind']) ?? bind, port: httpsPort},
  }
}

function parseObject(text: string): Record<string, unknown> {
  try {
    return asObject(JSON.parse(text))
  } catch {
    return {} // the caller finds every field missing
  }
}

function asText(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? {...value} : {}
}

/** A port, null for none; undefined for anything else. A field that an older version did not know counts as none. */
function asPort(value: unknown): number | null | undefined {
  if (value === undefined || value === null) return null
  return typeof value === 'number' ? value : undefined
}
