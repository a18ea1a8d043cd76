import {stat} from 'node:fs/promises'
import {setTimeout as delay} from 'node:timers/promises'
import {messageOf, RegistryError, systemCode} from '../../base/errors.ts'
import {newGuid} from '../../base/ids.ts'
import type {Log} from '../../base/log.ts'
import type {CellDir} from '../../cell/dirs.ts'
import type {CertDir} from '../../pki/cert-dir.ts'
import {adoptStore, verifyStoreFile} from '../../store/adopt.ts'
import {sanitizeUrl} from '../../wire/telepath/url.ts'
import {assertCell, type CopyPorts, fetchCopy, forgetCopy, placeCopy} from './copy.ts'
import {memberOpener} from './member-place.ts'
import type {MirroringSettings} from './mirroring.ts'

export interface StoreCopierPorts {
  readonly cellDir: Pick<CellDir, 'storePath' | 'guid' | 'adopt'>
  readonly certs: CertDir
  readonly log: Pick<Log, 'info' | 'warning' | 'error' | 'critical'>
  /** The server could not start again with a copy. */
  readonly onFailed: (error: RegistryError) => void
}

/** Whose store is to be replaced by a copy. */
export interface Replaced {
  /** Iden of the store, which the copy gets too. */
  readonly member: string
  /** It is a mirror, still: what a member took that leads by now is nowhere else. */
  readonly isFollowing: () => boolean
  /** Starts the parts of the server again; the store is put in its place when they are closed. */
  readonly startAgain: (placeStore: () => Promise<void>) => Promise<void>
}

const LIMITS = {connectMs: 10_000, timeoutMs: 60_000, spareLinks: 0}
/** After a copy that could not be made, ms. */
const PAUSE_MS = 30_000

/** Fills the directory of a mirror with the store of another member: at first, and when it is too far behind a log that was trimmed. */
export class StoreCopier {
  readonly #ports: StoreCopierPorts
  readonly #settings: Pick<MirroringSettings, 'names' | 'servers'>
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined

  constructor(ports: StoreCopierPorts, settings: Pick<MirroringSettings, 'names' | 'servers'>) {
    this.#ports = ports
    this.#settings = settings
  }

  /**
   * Fills an empty directory, which becomes one of the cell that it copies. `guid` is the only cell that it may be.
   *
   * @throws RegistryError as `fetchCopy`
   */
  async copyFirst(urls: readonly string[], guid: string | undefined, signal: AbortSignal | undefined): Promise<void> {
    const acceptCell = async (cellIden: string) => {
      if (guid !== undefined) assertCell(cellIden, guid)
      await this.#ports.cellDir.adopt(cellIden)
    }
    const stop = this.#stopping.signal
    await this.#fetch(
      {urls, acceptCell, member: newGuid()},
      signal === undefined ? stop : AbortSignal.any([signal, stop]),
    )
    await this.#place()
  }

  /**
   * Begins to copy from the leader in place of the store. Reads go on until the copy is there, which is left when this member was promoted meanwhile.
   * Does nothing while it copies.
   */
  recopy(leader: string, replaced: Replaced): void {
    if (this.#running !== undefined || this.#stopping.signal.aborted) return
    this.#running = this.#recopy(leader, replaced).finally(() => {
      this.#running = undefined
    })
  }

  /** Ends what is being copied. */
  async stop(): Promise<void> {
    this.#stopping.abort(new RegistryError('REG_CANCELLED', 'the registry stops'))
    await this.#running
  }

  async #recopy(leader: string, {member, isFollowing, startAgain}: Replaced): Promise<void> {
    const {log, cellDir, onFailed} = this.#ports
    const {signal} = this.#stopping
    log.warning('mirror.copies-again', {
      leader: sanitizeUrl(leader),
      reason: 'the leader has trimmed what is missing here',
    })
    try {
      const acceptCell = async (cellIden: string) => assertCell(cellIden, cellDir.guid)
      await this.#fetch({urls: [leader], acceptCell, member}, signal)
    } catch (error) {
      if (!signal.aborted) log.error('copy.failed', {error})
      await delay(PAUSE_MS, undefined, {signal}).catch(() => undefined)
      return
    }
    if (signal.aborted) return
    const place = async (): Promise<void> => {
      // Nothing is written any more: now it is known for sure.
      if (isFollowing()) await this.#place()
      else await this.#leave()
    }
    try {
      if (isFollowing()) await startAgain(place)
      else await this.#leave()
    } catch (error) {
      const failed = error instanceof RegistryError ? error : notStarted(error)
      log.critical('registry.failed', {error: failed})
      onFailed(failed)
    }
  }

  async #fetch(
    {
      urls,
      acceptCell,
      member,
    }: {readonly urls: readonly string[]; readonly member: string} & Pick<CopyPorts, 'acceptCell'>,
    signal: AbortSignal,
  ): Promise<void> {
    const {certs, log, cellDir} = this.#ports
    const {open, close} = memberOpener(certs, this.#settings.names, this.#settings.servers)
    let turn = 0
    const own: CopyPorts['own'] = async (part, end) => {
      await verifyStoreFile(part, end)
      await adoptStore(part, member)
    }
    try {
      const openNext: CopyPorts['open'] = (aborting) =>
        open(urls[turn++ % urls.length] ?? '', {...LIMITS, signal: aborting})
      await fetchCopy({open: openNext, own, path: cellDir.storePath, acceptCell, log}, signal)
    } finally {
      await close()
    }
  }

  async #leave(): Promise<void> {
    const {cellDir, log} = this.#ports
    await forgetCopy(cellDir.storePath)
    log.warning('copy.left', {place: cellDir.storePath, reason: 'this member follows nobody any more'})
  }

  async #place(): Promise<void> {
    const {cellDir, log} = this.#ports
    await placeCopy(cellDir.storePath)
    log.info('copy.done', {place: cellDir.storePath})
  }
}

/** Tells whether there is a store; when there is, a copy that was to take its place and did not is too old and goes. */
export async function hasStore(path: string): Promise<boolean> {
  try {
    await stat(path)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
  await forgetCopy(path)
  return true
}

function notStarted(cause: unknown): RegistryError {
  return new RegistryError('REG_STORE_FAILED', `cannot start again with the copy: ${messageOf(cause)}`, {cause})
}
