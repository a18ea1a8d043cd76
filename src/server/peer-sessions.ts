import {RegistryError} from '../base/errors.ts'
import {type OpenOptions, openUrl} from '../client/telepath/open-url.ts'
import type {CertDir} from '../pki/cert-dir.ts'
import {ClientTlsCache} from '../pki/client-tls.ts'
import {type AhaEntry, onlineOf} from '../registry/aha-entry.ts'
import type {TelepathProxy} from '../wire/telepath/caller.ts'

/** Opens a session with a service of AHA. */
export type OpenPeer = (entry: AhaEntry, options: OpenOptions) => Promise<TelepathProxy>

/** A new session costs two TLS handshakes with keys of 4096 bits; tools ask a few times in a row. */
const IDLE_MS = 30_000
/** Sessions that are kept; the one that was used longest ago goes first. */
const MAX_KEPT = 200
/** Largest message of a service. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024

interface Kept {
  /** Where it leads: another one after the service has registered anew. */
  readonly token: string | undefined
  readonly opening: Promise<TelepathProxy>
  users: number
  idle: NodeJS.Timeout | undefined
}

/**
 * Sessions of AHA with the services of its network, kept for a while after their last use. One that ends, because its service goes, is opened
 * anew by the next who asks.
 */
export class PeerSessions implements AsyncDisposable {
  readonly #open: OpenPeer
  /** By full name, the one that was used longest ago first. */
  readonly #kept = new Map<string, Kept>()
  #isClosed = false

  constructor(open: OpenPeer) {
    this.#open = open
  }

  /** How many are open, or being opened. */
  get size(): number {
    return this.#kept.size
  }

  /**
   * Runs with a session. Whoever comes while one is being opened waits for the same.
   *
   * @throws RegistryError what opening throws, or the work
   */
  async *use<T>(
    entry: AhaEntry,
    connectMs: number,
    work: (proxy: TelepathProxy) => AsyncIterable<T>,
  ): AsyncGenerator<T, void> {
    const kept = this.#take(entry, connectMs)
    try {
      yield* work(await kept.opening)
    } finally {
      this.#release(entry.full, kept)
    }
  }

  /** Ends all sessions. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    const all = [...this.#kept]
    for (const [full, kept] of all) this.#drop(full, kept)
    await Promise.all(all.map(([, {opening}]) => opening.then((proxy) => proxy.closed).catch(() => undefined)))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #take(entry: AhaEntry, connectMs: number): Kept {
    const {full} = entry
    const token = onlineOf(entry)
    const known = this.#kept.get(full)
    if (known !== undefined && known.token !== token) this.#drop(full, known)
    const kept = known?.token === token && known !== undefined ? known : this.#make(entry, token, connectMs)
    this.#kept.delete(full)
    this.#kept.set(full, kept)
    kept.users += 1
    clearTimeout(kept.idle)
    return kept
  }

  #make(entry: AhaEntry, token: string | undefined, connectMs: number): Kept {
    if (this.#isClosed) throw new RegistryError('REG_CANCELLED', 'the server stops')
    for (const [full, oldest] of this.#kept) {
      if (this.#kept.size < MAX_KEPT) break
      if (oldest.users === 0) this.#drop(full, oldest)
    }
    // No links ahead: most make one call.
    const options = {connectMs, timeoutMs: 0, spareLinks: 0, maxMessageBytes: MAX_MESSAGE_BYTES}
    const kept: Kept = {token, opening: this.#open(entry, options), users: 0, idle: undefined}
    const forget = () => this.#forget(entry.full, kept)
    kept.opening.then((proxy) => proxy.closed.then(forget), forget)
    return kept
  }

  #release(full: string, kept: Kept): void {
    kept.users -= 1
    if (kept.users > 0) return
    if (this.#kept.get(full) !== kept) this.#drop(full, kept)
    else kept.idle = setTimeout(() => this.#drop(full, kept), IDLE_MS).unref()
  }

  /** Ends one; calls under way on it go on unless it is closed for good. */
  #drop(full: string, kept: Kept): void {
    this.#forget(full, kept)
    if (kept.users === 0 || this.#isClosed) kept.opening.then((proxy) => proxy.close()).catch(() => undefined)
  }

  #forget(full: string, kept: Kept): void {
    clearTimeout(kept.idle)
    if (this.#kept.get(full) === kept) this.#kept.delete(full)
  }
}

/**
 * Makes what opens services as the peer's AHA does: as `root` of their network, and nobody but who has a certificate for the very name that the
 * service is registered under, wherever it says that it listens.
 */
export function peerOpener(certs: CertDir): OpenPeer {
  const tls = new ClientTlsCache(certs)
  return async ({full, network, info: {urlinfo}}, options) => {
    const {host, port} = urlinfo
    if (typeof host !== 'string' || typeof port !== 'number' || !Number.isInteger(port)) {
      throw new RegistryError('REG_UNREACHABLE', `${full} does not say where it listens`, {info: {name: full}})
    }
    const params = new Map([
      ['hostname', full],
      ['certname', `root@${network}`],
    ])
    return await openUrl({scheme: 'ssl', host, port, path: '', params}, tls, options)
  }
}
