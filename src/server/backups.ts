import {createHash} from 'node:crypto'
import {stat} from 'node:fs/promises'
import {dirname} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {freeName} from '../backup/free-name.ts'
import {assertRoom} from '../backup/free-space.ts'
import {type Manifest, totalsOf} from '../backup/manifest.ts'
import {encodeManifest} from '../backup/manifest-write.ts'
import {NO_PROGRESS} from '../backup/progress.ts'
import {removeBackup} from '../backup/remove-backup.ts'
import {removeLeftStagings, type Staging, stageBackup} from '../backup/stage.ts'
import {RegistryError} from '../base/errors.ts'
import type {Log} from '../base/log.ts'
import type {BackupHealth} from '../cell/health.ts'
import type {Store} from '../store/store.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {copyRunning, plainBytes, type RunningCell} from './backup-copy.ts'
import {assertOwnShelf, foldersOf, knownPlace, namedBackups, newPlace} from './backup-names.ts'
import {BackupRecord, type KeptPlace, packFailure} from './backup-record.ts'
import {BackupShelf, readManifest} from './backup-shelf.ts'

export interface BackupPorts extends Omit<RunningCell, 'store' | 'log'> {
  readonly store: Pick<Store, 'snapshot' | 'read' | 'size'>
  /** The file that what is remembered is kept in. */
  readonly recordPath: string
  readonly log: Pick<Log, 'info' | 'warning' | 'error'>
  /** Percent of the volume of the data directory that has to stay free. */
  readonly minFreePercent: () => number
  /** Age of the last backup from which on something is wrong; null: none. */
  readonly maxAgeMs: () => number | null
}

/** What is streamed: first what it is, then the archive in pieces, then how much that was. */
export type StreamItem =
  | {readonly kind: 'begin'; readonly manifest: string}
  | {readonly kind: 'piece'; readonly bytes: Uint8Array}
  | {readonly kind: 'end'; readonly bytes: number; readonly sha256: string}

/** Streams of backups that are there, at a time. */
const READERS_MAX = 4
/** What who follows the log says is brought to the disk this often. */
const SAVE_EVERY_MS = 30_000

/** Who asks how the backups are waits this long for the directory that they are in; then he is told what was there before. */
const LOOK_WAIT_MS = 2000

/** A copy that is whole, and not on the shelf yet. */
interface Copied extends AsyncDisposable {
  readonly staging: Staging
  readonly manifest: Manifest
}

/**
 * The live backups of a registry: made one at a time, kept in a directory, streamed, removed. What is listed is whole. A leader and a mirror make
 * them alike, and no change waits for one.
 */
export class Backups {
  readonly #ports: BackupPorts
  readonly #record: BackupRecord
  readonly #shelf: BackupShelf
  readonly #stop = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  /** When the one that is being made was begun. */
  #startMs: number | undefined
  #isStreaming = false
  #readers = 0
  #savedMs = 0
  #lookedMs = Number.NEGATIVE_INFINITY

  private constructor(ports: BackupPorts, record: BackupRecord) {
    this.#ports = ports
    this.#record = record
    this.#shelf = new BackupShelf(ports.backupDir, () => ports.about().iden)
  }

  /** Removes what a killed server left over. */
  static async open(ports: BackupPorts): Promise<Backups> {
    try {
      for (const folder of await foldersOf(ports.backupDir)) {
        for (const name of await removeLeftStagings(folder)) ports.log.info('backup.left-removed', {folder, name})
      }
    } catch (error) {
      // A volume for backups that is away is no reason not to start.
      ports.log.warning('backup.dir-unusable', {dir: ports.backupDir, error})
    }
    const backups = new Backups(ports, await BackupRecord.open(ports.recordPath))
    await backups.refresh()
    return backups
  }

  /** Directory of the backups, absolute. */
  get dir(): string {
    return this.#ports.backupDir
  }

  /**
   * Makes a backup and gives its name, when it is whole.
   *
   * @throws RegistryError `REG_BACKUP_RUNNING`, `REG_BAD_REQUEST` for its name, `REG_DISK_LOW`, `REG_CONFLICT` for a store in memory,
   * `REG_STORE_FAILED`, `REG_BACKUP_SOURCE`; the reason of the signal. Nothing is left then.
   */
  async run(name: string | undefined, signal: AbortSignal): Promise<string> {
    const begun = await this.begin(name, signal)
    await begun.done
    return begun.name
  }

  /** As `run`, but gives the name when it is begun. */
  async begin(name: string | undefined, signal: AbortSignal): Promise<{name: string; done: Promise<void>}> {
    const {promise, resolve, reject} = Promise.withResolvers<string>()
    const done = this.#tracked(this.#keep(name, signal, resolve))
    done.catch(reject)
    return {name: await promise, done}
  }

  /** Names of the backups that are whole, the newest first. */
  async list(): Promise<readonly string[]> {
    return (await namedBackups(this.dir)).map(({name}) => name)
  }

  /**
   * Removes a backup.
   *
   * @throws RegistryError `REG_BAD_REQUEST` when none has that name; `REG_DIR_UNUSABLE`
   */
  async remove(name: string): Promise<void> {
    await removeBackup(await knownPlace(this.dir, name))
    this.#ports.log.info('backup.removed', {name})
    await this.refresh()
  }

  /** The peers' answer: times in epoch milliseconds, bytes on the disk. */
  info(): Readonly<Record<string, Value>> {
    const {run, sentMs} = this.#record.state
    const startMs = this.#startMs
    return {
      currduration: startMs === undefined ? null : Math.max(0, this.#ports.clock.wallMs() - startMs),
      laststart: startMs ?? run?.startMs ?? null,
      lastend: run?.endMs ?? null,
      lastduration: run?.durationMs ?? null,
      lastsize: run?.bytes ?? null,
      lastupload: sentMs,
      lastexception: run?.failure ?? null,
    }
  }

  /** Streams a backup as the peers do: a tar, compressed by gzip. Throws as `remove`, and `REG_BUSY`. */
  async *archive(name: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    if (this.#readers === READERS_MAX) throw busy()
    this.#readers += 1
    try {
      const path = await knownPlace(this.dir, name)
      yield* this.#gzip(path, await readManifest(path), signal)
    } finally {
      this.#readers -= 1
    }
    await this.#noteSent()
  }

  /** Makes a backup and streams it so. With `isRemoved` it is never listed. Throws as `run`. */
  async *archiveNew(
    {name, isRemoved}: {readonly name: string | undefined; readonly isRemoved: boolean},
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    if (!isRemoved) return yield* this.archive(await this.run(name, signal), signal)
    await using copied = await this.#toStream(name, signal)
    yield* this.#gzip(copied.staging.dir, copied.manifest, signal)
    await this.#noteSent(copied.manifest)
  }

  /** Makes a backup, streams it as an archive of ours, and keeps nothing of it. Throws as `run`. */
  async *stream(name: string | undefined, signal: AbortSignal): AsyncGenerator<StreamItem, void> {
    await using copied = await this.#toStream(name, signal)
    const {manifest, staging} = copied
    yield {kind: 'begin', manifest: encodeManifest(manifest)}
    const hash = createHash('sha256')
    let bytes = 0
    for await (const piece of this.#archiveOf(staging.dir, manifest, 'zstd', signal)) {
      hash.update(piece)
      bytes += piece.length
      yield {kind: 'piece', bytes: piece}
    }
    yield {kind: 'end', bytes, sha256: hash.digest('hex')}
    await this.#noteSent(manifest)
  }

  /** Remembers that who follows the log has every entry below `index`, on another machine and on the disk. */
  async noteFollowed(place: KeptPlace): Promise<void> {
    this.#record.set({followed: place})
    if (place.atMs - this.#savedMs < SAVE_EVERY_MS) return
    this.#savedMs = place.atMs
    await this.#save()
  }

  /** How it stands with the backups, for the health; undefined when there was none, and none is asked for. */
  health(): BackupHealth | undefined {
    const {streamed, followed} = this.#record.state
    const maxAgeMs = this.#ports.maxAgeMs()
    const {last, proof} = this.#shelf
    const kept = [
      ...(last === undefined ? [] : [{how: 'kept', atMs: last.atMs} as const]),
      ...(streamed === null ? [] : [{how: 'streamed', atMs: streamed.atMs} as const]),
      ...(followed === null ? [] : [{how: 'followed', atMs: followed.atMs} as const]),
    ].sort((a, b) => b.atMs - a.atMs)
    if (kept.length === 0 && maxAgeMs === null) return undefined
    return {last: kept[0], maxAgeMs, proof}
  }

  /** Looks at what is in the directory. A health that is asked for meanwhile says what was there before. */
  async refresh(): Promise<void> {
    await this.#shelf.refresh()
  }

  /**
   * Looks at what is in the directory, unless that was done less than so long ago: a drill leaves its proof there, and somebody may remove what is there. A
   * volume that does not answer is not waited for long.
   */
  async lookAgain(maxAgeMs: number): Promise<void> {
    const ageMs = Math.abs(this.#ports.clock.wallMs() - this.#lookedMs)
    if (ageMs < maxAgeMs) return
    this.#lookedMs = this.#ports.clock.wallMs()
    const waited = new AbortController()
    const {signal} = waited
    await Promise.race([this.refresh(), delay(LOOK_WAIT_MS, undefined, {signal}).catch(() => undefined)])
    waited.abort()
  }

  /** Ends what is being made or streamed, and waits for that. */
  async close(): Promise<void> {
    this.#stop.abort(new RegistryError('REG_CANCELLED', 'the server stops: the backup was not finished'))
    await Promise.allSettled(this.#running)
    if (this.#record.state.followed !== null) await this.#save()
  }

  async #keep(name: string | undefined, signal: AbortSignal, onBegun: (name: string) => void): Promise<void> {
    await using copied = await this.#copy(name, signal, onBegun)
    const path = await copied.staging.commit(copied.manifest)
    this.#ports.log.info('backup.made', {path, index: copied.manifest.log.index})
    await this.refresh()
  }

  /** One is streamed away at a time. */
  async #toStream(name: string | undefined, signal: AbortSignal): Promise<Copied> {
    if (this.#isStreaming) throw running('Another streaming backup is already running')
    this.#isStreaming = true
    const over = Promise.withResolvers<void>()
    void this.#tracked(over.promise)
    const end = () => {
      this.#isStreaming = false
      over.resolve()
    }
    try {
      const {staging, manifest} = await this.#copy(name, signal, () => undefined)
      await using stack = new AsyncDisposableStack()
      stack.defer(end)
      stack.use(staging)
      const disposal = stack.move()
      return {staging, manifest, [Symbol.asyncDispose]: () => disposal.disposeAsync()}
    } catch (error) {
      end()
      throw error
    }
  }

  /** Copies into a directory that has not its name yet. What is thrown before `onBegun` is a refusal, and not remembered. */
  async #copy(name: string | undefined, signal: AbortSignal, onBegun: (name: string) => void): Promise<Copied> {
    const {clock, log} = this.#ports
    this.#stop.signal.throwIfAborted()
    if (this.#startMs !== undefined) throw running('Another backup is already running')
    this.#startMs = clock.wallMs()
    const startMs = this.#startMs
    let isBegun = false
    const stop = AbortSignal.any([signal, this.#stop.signal])
    try {
      await assertOwnShelf(this.#ports.dir, this.dir)
      const given = name ?? (await freeName(this.dir, startMs))
      const path = await newPlace(this.dir, given)
      await this.#assertRoom(stop)
      const staging = await stageBackup(path)
      isBegun = true
      onBegun(given)
      const manifest = await this.#fill(staging, given, stop)
      const {allocated} = totalsOf(manifest.files)
      await this.#ended(startMs, allocated)
      return {staging, manifest, [Symbol.asyncDispose]: () => staging[Symbol.asyncDispose]()}
    } catch (error) {
      if (isBegun) {
        log.error('backup.failed', {error})
        await this.#ended(startMs, error)
      }
      throw error
    } finally {
      this.#startMs = undefined
    }
  }

  async #fill(staging: Staging, name: string, signal: AbortSignal): Promise<Manifest> {
    try {
      return await copyRunning(this.#ports, {to: staging.dir, name, signal, progress: NO_PROGRESS})
    } catch (error) {
      await staging[Symbol.asyncDispose]()
      throw error
    }
  }

  async #ended(startMs: number, result: unknown): Promise<void> {
    const endMs = this.#ports.clock.wallMs()
    const {run} = this.#record.state
    const isMade = typeof result === 'number'
    this.#record.set({
      run: {
        startMs,
        endMs,
        durationMs: isMade ? Math.max(0, endMs - startMs) : (run?.durationMs ?? null),
        bytes: isMade ? result : (run?.bytes ?? null),
        failure: isMade ? null : packFailure(result),
      },
    })
    await this.#save()
  }

  async #noteSent(streamed?: Manifest): Promise<void> {
    const sentMs = this.#ports.clock.wallMs()
    const index = streamed?.log.index ?? 0
    this.#record.set({
      sentMs,
      ...(streamed === undefined ? {} : {streamed: {index, atMs: Date.parse(streamed.madeAt)}}),
    })
    await this.#save()
  }

  async #save(): Promise<void> {
    await this.#record.save().catch((error: unknown) => {
      this.#ports.log.warning('backup.state-not-saved', {error})
    })
  }

  async #assertRoom(signal: AbortSignal): Promise<void> {
    const {store, dir, minFreePercent} = this.#ports
    const {bytes, freeBytes} = await store.size()
    const needed = bytes - freeBytes + (await plainBytes(this.#ports, signal))
    // What has to stay free, has to where the cell is.
    const isThere = (await volumeOf(this.dir)) === (await volumeOf(dir))
    await assertRoom({path: this.dir, bytes: needed, minFreePercent: isThere ? minFreePercent() : 0})
  }

  #gzip(dir: string, manifest: Manifest, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#archiveOf(dir, manifest, 'gzip', signal)
  }

  async *#archiveOf(
    dir: string,
    manifest: Manifest,
    compression: 'zstd' | 'gzip',
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    const {writeArchive, directorySource} = await import('../backup/archive-write.ts')
    const stop = AbortSignal.any([signal, this.#stop.signal])
    yield* writeArchive(directorySource(dir, manifest), {compression, progress: NO_PROGRESS, signal: stop})
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work)
    const end = () => this.#running.delete(work)
    work.then(end, end)
    return work
  }
}

/** Gives the volume that a directory is on, or will be. */
async function volumeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined)
  return found?.dev ?? (dirname(path) === path ? -1 : await volumeOf(dirname(path)))
}

function running(text: string): RegistryError {
  return new RegistryError('REG_BACKUP_RUNNING', text)
}

function busy(): RegistryError {
  return new RegistryError('REG_BUSY', `${READERS_MAX} backups are being streamed already`)
}
