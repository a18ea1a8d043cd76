import {setTimeout as delay} from 'node:timers/promises'
import {type Clock, systemClock} from '../base/clock.ts'
import {messageOf} from '../base/errors.ts'
import type {Log} from '../base/log.ts'
import {TeleEnv} from '../client/telepath/tele-env.ts'
import type {TelepathClient} from '../client/telepath/telepath-client.ts'
import type {CertDir} from '../pki/cert-dir.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {TelepathProxy} from '../wire/telepath/caller.ts'
import {addressText, parseUrl} from '../wire/telepath/url.ts'

export interface AhaMemberPorts {
  readonly certs: CertDir
  readonly log: Pick<Log, 'info' | 'warning'>
  readonly clock?: Pick<Clock, 'wallMs'>
  /** Checks the URLs that an AHA tells. @throws RegistryError */
  readonly checkUrls: (urls: unknown) => readonly string[]
  /** Keeps the URLs over a restart. */
  readonly saveUrls: (urls: readonly string[]) => Promise<void>
}

export interface AhaMemberSettings {
  /** `aha:registry` */
  readonly urls: readonly string[]
  /** `aha:name` and `aha:network` */
  readonly name: string
  readonly network: string
  /** `aha:leader` */
  readonly leader: string | undefined
  /** `aha:user`, or root */
  readonly user: string
  /** `aha:promotable` */
  readonly isPromotable: boolean
  /** `aha:svcinfo` */
  readonly svcinfo: Readonly<Record<string, unknown>> | undefined
}

/** What is told of this service, besides its settings. */
export interface MemberSelf {
  readonly cellIden: string
  readonly runId: string
  /** URL of the listener, with the port that it has; null when there is none, and `svcinfo` says where this service is. */
  readonly url: string | null
}

interface Linked {
  readonly proxy: TelepathProxy
  readonly info: Value
}

/** Whether the AHA knows of this service. */
export type MemberState =
  | {readonly kind: 'registered'; readonly name: string; readonly sinceMs: number}
  | {readonly kind: 'waiting'; readonly name: string; readonly reason: string}

const RETRY_MS = 1000
const STEP_MS = 10_000

/**
 * Keeps this service registered at an AHA: under its name, and under its alias since it leads. It is online there as long as the session is open
 * through which it registered; when that ends, it registers again, and it tries for ever. What goes wrong is logged when it is something new.
 *
 * @see spec/aha.md, sections 3.2 and 5
 */
export class AhaMember implements AsyncDisposable {
  readonly #ports: AhaMemberPorts
  readonly #settings: AhaMemberSettings
  readonly #env: TeleEnv
  readonly #stop = new AbortController()
  #client: TelepathClient | undefined
  #linked: Linked | undefined
  #isLeading = true
  #urls: readonly string[]
  #state: MemberState
  #logged: string | undefined

  constructor(ports: AhaMemberPorts, settings: AhaMemberSettings) {
    this.#ports = ports
    this.#settings = settings
    this.#urls = settings.urls
    this.#state = this.#waiting('not tried yet')
    const onWarning = (): void => undefined // no name is looked up here
    this.#env = new TeleEnv({certDir: ports.certs, servers: [], aliases: new Map(), onWarning})
  }

  get state(): MemberState {
    return this.#state
  }

  /** Begins. To be called once, when the listener is open. */
  start(self: MemberSelf): void {
    const info = this.#infoOf(self)
    this.#client = this.#env.client(this.#urls, {
      retryMs: RETRY_MS,
      connectMs: STEP_MS,
      timeoutMs: STEP_MS,
      onLink: (proxy) => this.#onLink(proxy, info),
      onError: (error) => this.#note(messageOf(error)),
    })
  }

  /**
   * Says whether this member of its cell leads, as it does unless this says something else. One that begins to takes the alias, one that does not any
   * more gives up all claims and registers again without it.
   */
  setLeading(isLeading: boolean): void {
    if (isLeading === this.#isLeading) return
    this.#isLeading = isLeading
    const linked = this.#linked
    if (this.#settings.leader === undefined || linked === undefined) return
    if (isLeading) void this.#onLink(linked.proxy, linked.info, this.#aliasSteps(linked))
    else void linked.proxy.close()
  }

  /** Ends the session: the AHA shows this service offline. Idempotent. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#client?.close()
    await this.#env[Symbol.asyncDispose]()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** Does one step after the other. One that fails is tried again, and what was done is not done twice: each registration is a change at the AHA. */
  async #onLink(proxy: TelepathProxy, info: Value, steps = this.#stepsOn({proxy, info})): Promise<void> {
    this.#linked = {proxy, info}
    const over = AbortSignal.any([this.#stop.signal, abortedWith(proxy)])
    while (!over.aborted && steps.length > 0) {
      try {
        await steps[0]?.()
        steps.shift()
      } catch (error) {
        this.#note(messageOf(error))
        await delay(RETRY_MS, undefined, {signal: over}).catch(() => undefined)
      }
    }
    if (!over.aborted) this.#registered(proxy)
  }

  /** In the order of the peer. */
  #stepsOn(linked: Linked): Step[] {
    const {name, network, user} = this.#settings
    const {proxy} = linked
    return [
      async () => this.#takeUrls(await proxy.call('getAhaUrls', {kwargs: {user}})),
      () => proxy.call('modAhaSvcInfo', {args: [`${name}.${network}`, {ready: true}]}),
      () => this.#add(name, linked),
      ...this.#aliasSteps(linked),
    ]
  }

  /** Whether it leads counts when its turn comes. */
  #aliasSteps(linked: Linked): Step[] {
    const {leader} = this.#settings
    return leader === undefined ? [] : [async () => (this.#isLeading ? await this.#add(leader, linked) : undefined)]
  }

  #add(as: string, {proxy, info}: Linked): Promise<unknown> {
    return proxy.call('addAhaSvc', {args: [as, info], kwargs: {network: this.#settings.network}})
  }

  #registered(proxy: TelepathProxy): void {
    const {name, network, leader} = this.#settings
    const {clock = systemClock, log} = this.#ports
    this.#state = {kind: 'registered', name: `${name}.${network}`, sinceMs: clock.wallMs()}
    this.#logged = undefined
    const alias = this.#isLeading ? (leader ?? null) : null
    log.info('aha.registered', {service: `${name}.${network}`, leader: alias})
    void proxy.closed.then((reason) => {
      if (this.#linked?.proxy === proxy) this.#linked = undefined
      if (!this.#stop.signal.aborted) this.#note(reason === undefined ? 'the session has ended' : messageOf(reason))
    })
  }

  /**
   * Keeps the servers that the AHA tells: when it is gone one day, the others are asked. An AHA of the old form, without TLS, is left as it is. What
   * cannot be kept does not stand in the way of registering.
   */
  async #takeUrls(told: Value): Promise<void> {
    if (!Array.isArray(told) || told.length === 0 || parseUrl(this.#urls[0] ?? '').scheme === 'tcp') return
    if (JSON.stringify(told) === JSON.stringify(this.#urls)) return
    const {checkUrls, saveUrls, log} = this.#ports
    try {
      const urls = checkUrls(told)
      await saveUrls(urls)
      this.#urls = urls
      this.#client?.setUrls(urls)
      log.info('aha.servers', {servers: urls.map((url) => addressText(parseUrl(url)))})
    } catch (error) {
      log.warning('aha.servers-not-kept', {error})
    }
  }

  #infoOf({cellIden, runId, url}: MemberSelf): Value {
    const {svcinfo, leader = null, isPromotable} = this.#settings
    if (svcinfo !== undefined) return svcinfo as {readonly [key: string]: Value} // the option's check found it to be JSON
    const {scheme, port, path, params} = parseUrl(url ?? '')
    const urlinfo = {scheme, port, path, ...Object.fromEntries(params)}
    return {run: runId, iden: cellIden, leader, urlinfo, ready: true, promotable: isPromotable}
  }

  #note(reason: string): void {
    this.#state = this.#waiting(reason)
    if (reason === this.#logged) return
    this.#logged = reason
    this.#ports.log.warning('aha.not-registered', {service: this.#state.name, reason})
  }

  #waiting(reason: string): MemberState {
    const {name, network} = this.#settings
    return {kind: 'waiting', name: `${name}.${network}`, reason}
  }
}

type Step = () => Promise<unknown>

function abortedWith(proxy: TelepathProxy): AbortSignal {
  const ended = new AbortController()
  void proxy.closed.then(() => ended.abort())
  return ended.signal
}
