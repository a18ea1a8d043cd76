/**
 * What is revoked, for listeners: the lists `crls/*.crl` of the certificate directory, read again as soon as one changes.
 *
 *     await using revocations = await Revocations.open(certDir, {onProblem: (error) => log.warning('crl.unusable', {error})})
 *     revocations.onRevoked(() => daemon.closePeers(({certificate}) => certificate !== undefined && revocations.isRevoked(certificate)))
 *
 * The system tells of changes at once where it can; every two seconds it is looked for them as well. A list counts when the key of a known
 * authority (`cas/*.crt`) has signed it, whatever it is called. One that cannot be read while the process runs (the peers write theirs in
 * place) leaves what was known of it until it can be read again.
 */
import type {X509Certificate} from 'node:crypto'
import {type FSWatcher, watch} from 'node:fs'
import {join} from 'node:path'
import {messageOf, RegistryError} from '../base/errors.ts'
import type {CertDir} from './cert-dir.ts'
import {parseCertificate, readCertFile, stampsOf} from './cert-files.ts'
import {CrlReader} from './crl-reader.ts'
import {identityOf} from './identity.ts'

/** Names a certificate: the common name of its issuer, and its serial number in lower-case hex without leading zeros. */
export interface CertificateId {
  readonly issuer: string
  readonly serial: string
}

/** Settings. */
export interface RevocationOptions {
  /** Takes what is wrong with a list, once for each time that it changes. */
  readonly onProblem: OnProblem
  readonly pollMs?: number
}

type OnProblem = (error: RegistryError) => void
type Listener = (revoked: readonly CertificateId[]) => void

const POLL_MS = 2000

/** The revoked certificates of a certificate directory. */
export class Revocations implements AsyncDisposable {
  readonly #certDir: CertDir
  readonly #options: RevocationOptions
  readonly #listeners = new Set<Listener>()
  readonly #watchers = new Map<string, FSWatcher>()
  readonly #lists = new Map<string, KnownList>()
  #revoked: RevokedSet = new RevokedSet([], [])
  #stamp = ''
  #timer: NodeJS.Timeout | undefined
  #checking: Promise<void> = Promise.resolve()
  #isClosed = false

  private constructor(certDir: CertDir, options: RevocationOptions) {
    this.#certDir = certDir
    this.#options = options
  }

  /**
   * Reads all lists and goes on watching them.
   *
   * @throws RegistryError `REG_CERT_INVALID` when a list cannot be read: what it revokes would be let in
   */
  static async open(certDir: CertDir, options: RevocationOptions): Promise<Revocations> {
    const opened = new Revocations(certDir, options)
    await opened.#read((error) => {
      throw error
    })
    opened.#watch()
    opened.#timer = setInterval(() => opened.#look(), options.pollMs ?? POLL_MS)
    opened.#timer.unref()
    return opened
  }

  /** Tells whether a certificate is revoked, or the authority that issued it. */
  isRevoked(certificate: CertificateId): boolean {
    return this.#revoked.has(certificate)
  }

  /** Calls when certificates were revoked since the last look; `isRevoked` knows them by then. Gives the way to stop it. */
  onRevoked(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Reads the lists again if one has changed, and resolves when that is done. What is wrong with one goes to `onProblem`. */
  async reload(): Promise<void> {
    this.#look()
    await this.#checking
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
    await this.#checking
  }

  /** Looks for changes, after the look that is under way. */
  #look(): void {
    this.#checking = this.#checking.then(async () => {
      if (this.#isClosed) return
      try {
        await this.#read(this.#options.onProblem)
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error
        this.#options.onProblem(error)
      }
      this.#watch()
    })
  }

  async #read(onProblem: OnProblem): Promise<void> {
    const files = (await this.#certDir.list('crl', 'crl')).map(({path}) => path)
    const cas = (await this.#certDir.list('ca', 'crt')).map(({path}) => path)
    const stamp = await stampsOf([...cas, ...files])
    if (stamp === this.#stamp) return
    const authorities = await readAuthorities(cas, onProblem)
    await this.#readLists(files, authorities, onProblem)
    for (const path of this.#lists.keys()) if (!files.includes(path)) this.#lists.delete(path)
    this.#stamp = stamp
    this.#replace(new RevokedSet(authorities, [...this.#lists.values()]))
  }

  async #readLists(files: readonly string[], cas: readonly X509Certificate[], onProblem: OnProblem): Promise<void> {
    if (files.length === 0) return
    await using reader = new CrlReader(cas)
    for (const path of files) {
      try {
        const {signer, serials} = await reader.read(await readCertFile(path))
        if (signer !== undefined) this.#lists.set(path, {issuer: identityOf(signer).name, serials})
        // No certificate of an unknown authority is accepted anyway.
        else this.#options.onProblem(unusable(path, 'no known authority has signed it'))
      } catch (error) {
        onProblem(unusable(path, messageOf(error), error))
      }
    }
  }

  #replace(next: RevokedSet): void {
    const added = next.all().filter((one) => !this.#revoked.has(one))
    this.#revoked = next
    if (added.length === 0) return
    for (const listener of this.#listeners) listener(added)
  }

  /** Watches the folders that are there; the others are looked at in time. */
  #watch(): void {
    for (const path of this.#certDir.paths) this.#watchFolder(join(path, 'crls'))
  }

  #watchFolder(folder: string): void {
    if (this.#isClosed || this.#watchers.has(folder)) return
    try {
      const watcher = watch(folder, {persistent: false}, () => this.#look())
      const forget = () => {
        watcher.close()
        this.#watchers.delete(folder)
      }
      watcher.on('error', forget)
      this.#watchers.set(folder, watcher)
    } catch {
      // Not there, or nothing to be told by: the look in time finds what changes.
    }
  }
}

interface KnownList {
  /** Common name of the authority that signed it. */
  readonly issuer: string
  readonly serials: readonly string[]
}

class RevokedSet {
  readonly #byIssuer = new Map<string, Set<string>>()
  /** Authorities of which every certificate is revoked. */
  readonly #fallen = new Set<string>()

  constructor(cas: readonly X509Certificate[], lists: readonly KnownList[]) {
    for (const {issuer, serials} of lists) {
      this.#byIssuer.set(issuer, new Set([...(this.#byIssuer.get(issuer) ?? []), ...serials]))
    }
    const identities = cas.map(identityOf)
    for (const {name} of identities) {
      const same = identities.filter((one) => one.name === name)
      if (same.every(({issuer, serial}) => this.#isListed({issuer, serial}))) this.#fallen.add(name)
    }
  }

  has({issuer, serial}: CertificateId): boolean {
    return this.#fallen.has(issuer) || this.#isListed({issuer, serial})
  }

  all(): readonly CertificateId[] {
    return [...this.#byIssuer].flatMap(([issuer, serials]) => [...serials].map((serial) => ({issuer, serial})))
  }

  #isListed({issuer, serial}: CertificateId): boolean {
    return this.#byIssuer.get(issuer)?.has(serial) ?? false
  }
}

async function readAuthorities(paths: readonly string[], onProblem: OnProblem): Promise<readonly X509Certificate[]> {
  const read = paths.map(async (path) => {
    try {
      return [parseCertificate(await readCertFile(path), path)]
    } catch (error) {
      onProblem(unusable(path, messageOf(error), error))
      return []
    }
  })
  return (await Promise.all(read)).flat()
}

function unusable(path: string, reason: string, cause?: unknown): RegistryError {
  return new RegistryError('REG_CERT_INVALID', `cannot use ${path}: ${reason}`, {info: {path}, cause})
}
