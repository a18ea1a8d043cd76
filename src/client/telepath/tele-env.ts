/**
 * What a process needs to reach services by Telepath: certificates, the AHA servers that know where services are, short names of URLs. A user has
 * them in `~/.syn`, where enrollment puts them:
 *
 *     telepath.yaml    version: 1; aha:servers: URLs, or lists of URLs of one AHA and its mirrors; certdirs: more directories of certificates
 *     aliases.yaml     name: URL
 *     certs/           cas/ users/
 *
 * @see spec/telepath.md, section 16
 */
import {join} from 'node:path'
import {RegistryError} from '../../base/errors.ts'
import {readEnvironment} from '../../config/environment.ts'
import {CertDir} from '../../pki/cert-dir.ts'
import {ClientTlsCache} from '../../pki/client-tls.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import {parseUrl, sanitizeUrl, type TelepathUrl} from '../../wire/telepath/url.ts'
import {type AhaMember, AhaServers, type AhaService} from './aha.ts'
import {type OpenOptions, openUrl} from './open-url.ts'
import {readAliases, readServiceDir, readTelepathYaml} from './syn-files.ts'
import {type OnLink, TelepathClient, type Urls} from './telepath-client.ts'
import {TelepathPool} from './telepath-pool.ts'

export interface TeleEnvOptions {
  /** Directory of `telepath.yaml`, `aliases.yaml` and `certs`; `SYN_DIR` when absent, else `~/.syn`. */
  readonly dir?: string | undefined
  /** Directories of certificates that come before all others. */
  readonly certDirs?: readonly string[] | undefined
  /** AHA servers that are asked before those of `telepath.yaml`. */
  readonly ahaServers?: readonly Urls[] | undefined
  /** Directory of a service whose certificates and AHA servers are used; `/vertex/storage` when absent, where the peers' containers have it. */
  readonly serviceDir?: string | undefined
  /** Hears what is wrong with a file that is ignored, and why AHA servers cannot be reached. */
  readonly onWarning?: ((text: string) => void) | undefined
}

export interface ClientOptions extends Omit<OpenOptions, 'signal'> {
  /** Pause after an attempt that failed; 200 when absent. */
  readonly retryMs?: number | undefined
  readonly onLink?: OnLink | undefined
  /** Hears why an attempt failed, or a session ended by itself; often the same, many times over. */
  readonly onError?: ((error: unknown) => void) | undefined
}

const CONTAINER_DIR = '/vertex/storage'

/**
 * Loads what a user has to reach services. Files that are not there are fine.
 *
 *     await using env = await withTeleEnv()
 *     await using axon = await env.open('aha://axon...')
 *
 * @throws RegistryError `REG_CONFIG_INVALID` when a file is not what it should be
 */
export async function withTeleEnv(options: TeleEnvOptions = {}): Promise<TeleEnv> {
  const environment = readEnvironment()
  const {dir = environment.synDir, serviceDir = CONTAINER_DIR, certDirs = [], ahaServers = []} = options
  const onWarning = options.onWarning ?? (() => undefined)
  const service = await readServiceDir(serviceDir)
  const user = await readTelepathYaml(join(dir, 'telepath.yaml'), onWarning)
  const aliases = await readAliases(join(dir, 'aliases.yaml'))
  const ofUser = options.dir === undefined ? [environment.certDir] : []
  const directories = new Set([...certDirs, ...ofUser, ...service.certDirs, ...user.certDirs, join(dir, 'certs')])
  const [first = environment.certDir, ...others] = directories
  const servers = [...ahaServers, ...service.ahaServers, ...user.ahaServers]
  return new TeleEnv({certDir: new CertDir(first, ...others), servers, aliases, onWarning})
}

/** Opens services with what `withTeleEnv` has loaded. Disposing of it ends the connections to AHA, not those to services. */
export class TeleEnv implements AsyncDisposable {
  readonly certDir: CertDir
  readonly #tls: ClientTlsCache
  readonly #aliases: ReadonlyMap<string, string>
  readonly #aha: AhaServers

  /** Use `withTeleEnv`. */
  constructor(parts: {
    readonly certDir: CertDir
    readonly servers: readonly Urls[]
    readonly aliases: ReadonlyMap<string, string>
    readonly onWarning: (text: string) => void
  }) {
    this.certDir = parts.certDir
    this.#tls = new ClientTlsCache(parts.certDir)
    this.#aliases = parts.aliases
    this.#aha = new AhaServers(parts.servers, {
      open: (url, signal) => this.open(url, {signal, spareLinks: 0}),
      onError: (error) => parts.onWarning(`AHA: ${error instanceof Error ? error.message : String(error)}`),
    })
  }

  /**
   * Opens a session with the first of these URLs that leads to one.
   *
   * @throws RegistryError why the last of them failed: `REG_USAGE` (`BadUrl`), `REG_CERT_MISSING`, `REG_CERT_INVALID`, `REG_UNREACHABLE`,
   * `REG_TIMED_OUT`, `REG_LINK_CLOSED`, `REG_BAD_ANSWER`, `REG_NOT_FOUND` when AHA does not know the service, or its own refusal
   */
  async open(urls: Urls, options: OpenOptions = {}): Promise<TelepathProxy> {
    let failure: unknown = new RegistryError('REG_USAGE', 'there is no URL to open', {telepath: 'BadUrl'})
    for (const text of typeof urls === 'string' ? [urls] : urls) {
      try {
        const url = this.parse(text)
        const found = url.scheme === 'aha' ? (await this.find(url, options.signal)).url : url
        return await openUrl(found, this.#tls, options)
      } catch (error) {
        options.signal?.throwIfAborted()
        failure = error
      }
    }
    throw failure
  }

  /** Keeps a session with a service, whatever happens to it. Each attempt goes to the next of the URLs. */
  client(urls: Urls, options: ClientOptions = {}): TelepathClient {
    const {retryMs, onLink, onError, ...opening} = options
    return new TelepathClient(urls, {
      open: (url, signal) => this.open(url, {...opening, signal}),
      retryMs,
      onLink,
      onError,
    })
  }

  /**
   * Keeps sessions with all members of a pool; what is not a pool counts as one with one member. `?retrysleep=SECONDS` in the URL is the pause after
   * an attempt that failed.
   *
   * @throws RegistryError `REG_USAGE` (`BadUrl`)
   */
  pool(url: string, options: ClientOptions = {}): TelepathPool {
    const retryS = Number(this.parse(url).params.get('retrysleep') ?? Number.NaN)
    return new TelepathPool(this, url, retryS >= 0 ? {retryMs: retryS * 1000, ...options} : options)
  }

  /** Finds the service that an `aha://` URL names. Throws as `AhaServers.find`. */
  find(url: TelepathUrl, signal?: AbortSignal): Promise<AhaService> {
    return this.#aha.find(url, signal)
  }

  /** Finds the services of a cell, its leader and its mirrors. Throws as `AhaServers.ofCell`. */
  ofCell(iden: string, signal?: AbortSignal): Promise<readonly AhaMember[]> {
    return this.#aha.ofCell(iden, signal)
  }

  /** Asks an AHA. Throws as `AhaServers.ask`. */
  askAha<T>(ask: (aha: TelepathProxy) => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#aha.ask(ask, signal)
  }

  /** Reads a URL, or the name of one. @throws RegistryError `REG_USAGE` (`BadUrl`) */
  parse(text: string): TelepathUrl {
    return parseUrl(text.includes('://') ? text : this.#resolved(text))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#aha[Symbol.asyncDispose]()
  }

  /** Of `name/share/path` the name may be an alias, if all of it is none. */
  #resolved(text: string): string {
    const exact = this.#aliases.get(text)
    if (exact !== undefined) return exact
    const slash = text.indexOf('/')
    const url = slash < 0 ? undefined : this.#aliases.get(text.slice(0, slash))
    if (url !== undefined) return `${url.replace(/\/$/, '')}${text.slice(slash)}`
    throw new RegistryError(
      'REG_USAGE',
      `"${sanitizeUrl(text)}" is no URL (:// is missing), and no alias of that name is known`,
      {
        telepath: 'BadUrl',
        hints: ['ssl://USER@HOST:27492', 'cell://DIR', 'name it in ~/.syn/aliases.yaml'],
      },
    )
  }
}
