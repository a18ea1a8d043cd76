import {setTimeout as delay} from 'node:timers/promises'
import type {Clock} from '../../base/clock.ts'
import {messageOf, RegistryError} from '../../base/errors.ts'
import type {Log} from '../../base/log.ts'
import type {OpenOptions} from '../../client/telepath/open-url.ts'
import type {ChangeLog} from '../../nexus/change-log.ts'
import type {LeadMember} from '../../registry/lead.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import {sanitizeUrl} from '../../wire/telepath/url.ts'
import {codeOf} from './feed-errors.ts'
import {type FeedStep, packFollowWish, readFeedStart, readFeedStep} from './feed-messages.ts'
import {LagMeter} from './lag.ts'
import {LastingProxy} from './lasting-proxy.ts'
import type {LeadLedger} from './lead-ledger.ts'
import {LeaderPlaces} from './leader-places.ts'
import {Teller, type ToTell} from './teller.ts'

export interface FollowerPorts {
  readonly changes: Pick<ChangeLog, 'head' | 'replicate'>
  readonly ledger: LeadLedger
  /** Opens a URL of a member, with the certificate of a member. */
  readonly open: (url: string, options: OpenOptions) => Promise<TelepathProxy>
  readonly log: Pick<Log, 'info' | 'warning' | 'error'>
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>
  readonly cellIden: string
  readonly run: string
  readonly version: string
  /** This member, as the others are to know it. */
  readonly self: () => LeadMember
  /** The highest epoch that this member knows of: somebody may lead in it who is not in its log yet. */
  readonly knownEpoch: () => number
  /** The leader says which leases were renewed. */
  readonly onRenewed: (ids: readonly string[]) => void
  /** What this member has to tell its leader, from the beginning of a link on. */
  readonly toTell: () => ToTell
  /** The log of the leader begins after the end of this one: only a copy helps. */
  readonly onCulled: (leader: string) => void
}

/** How a mirror does. */
export interface FollowerState {
  /** Name of the leader that it follows, or tries to; null when it knows of none. */
  readonly leader: string | null
  /** URL of it, without a password; null while there is no link. */
  readonly url: string | null
  readonly isLinked: boolean
  /** Had all that its leader had, once since the start. */
  readonly isReady: boolean
  readonly lagEntries: number
  readonly lagMs: number
  /** Why there is no link, and since when; milliseconds since the epoch. */
  readonly problem?: {readonly reason: string; readonly sinceMs: number; readonly isLasting: boolean} | undefined
}

const CONNECT_MS = 5000
/** The leader speaks at least once a second. */
const SILENT_MS = 5000
/** When the lead moves, the new leader is there within milliseconds. */
const RETRY_MS = 20
const MAX_RETRY_MS = 2000
/** A history that differs does not change by itself. */
const DIFFERS_RETRY_MS = 10_000
/** Steps that are stored at a time; the next one is asked for when there are fewer. */
const STEPS_AHEAD = 4
/** A lag of more than that is told in the log. */
const LAG_TOLD_MS = 10_000

interface LinkedTo {
  readonly proxy: TelepathProxy
  readonly member: string
  readonly name: string
  readonly url: string
}

/**
 * Follows the leader while this member is a mirror: finds it, takes its entries in order, and tells it how far it is. When the link breaks it
 * goes on from where it is. It never merges: a log that is not a continuation of its own is refused.
 */
export class Follower {
  readonly #ports: FollowerPorts
  readonly #places: LeaderPlaces
  readonly #lag = new LagMeter()
  readonly #waiting = new Set<PromiseWithResolvers<TelepathProxy>>()
  #running: AbortController | undefined
  /** Ends the link, or the search for it, when the leader is somewhere else. */
  #moved: AbortController | undefined
  /** Of the run that is, or was last: there is never more than one. */
  #done: Promise<void> = Promise.resolve()
  #linked: LinkedTo | undefined
  #isReady = false
  #nextOfLeader = 0
  #leaderEpoch = 0
  #heardAtMs = 0
  #problem: FollowerState['problem']
  /** Why it was not linked at last, by URL. */
  readonly #reasons = new Map<string, string>()
  #isLagTold = false

  /** `mirror` are the URLs of the option, where a leader is looked for that the log does not know of. */
  constructor(ports: FollowerPorts, mirror: readonly string[]) {
    this.#ports = ports
    this.#places = new LeaderPlaces(ports.ledger, mirror)
  }

  get state(): FollowerState {
    const {changes, clock} = this.#ports
    const {nextOffset} = changes.head
    const nowMs = clock.monotonicMs()
    const linked = this.#linked
    const silentMs = this.#heardAtMs === 0 || linked !== undefined ? 0 : nowMs - this.#heardAtMs
    return {
      leader: linked?.name ?? this.#places.leaderName ?? null,
      url: linked === undefined ? null : sanitizeUrl(linked.url),
      isLinked: linked !== undefined,
      isReady: this.#isReady,
      lagEntries: Math.max(0, this.#nextOfLeader - nextOffset),
      lagMs: Math.round(Math.max(this.#lag.lagMs(nowMs), silentMs)),
      problem: this.#problem,
    }
  }

  /** Iden of the leader that it follows; undefined while there is no link. */
  get linkedTo(): string | undefined {
    return this.#linked?.member
  }

  /** Epoch that the leader had when it was last reached; 0 before that. */
  get leaderEpoch(): number {
    return this.#leaderEpoch
  }

  /** Looks for the leader there first, and leaves another one that it follows now. */
  lookAt(lead: LeadMember): void {
    if (this.#linked?.name === lead.name) return
    this.#places.noteLead({...lead})
    this.#moved?.abort(new RegistryError('REG_LINK_CLOSED', `${lead.name} leads now`))
  }

  /** Begins to follow; does nothing when it does. */
  start(): void {
    if (this.#running !== undefined) return
    const running = new AbortController()
    this.#running = running
    this.#done = this.#done.then(() => this.#run(running.signal))
  }

  /** Follows no more. What was taken is stored. Idempotent. */
  async stop(): Promise<void> {
    const reason = new RegistryError('REG_CANCELLED', 'this member follows nobody any more')
    this.#running?.abort(reason)
    this.#running = undefined
    for (const waiter of this.#waiting) waiter.reject(reason)
    await this.#done
    this.#problem = undefined
    this.#reasons.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /**
   * Gives the session with the leader, waits for it while there is none.
   *
   * @throws the reason of `signal`; RegistryError `REG_CANCELLED` when this member begins to lead, or stops
   */
  async leaderProxy(signal: AbortSignal): Promise<TelepathProxy> {
    signal.throwIfAborted()
    if (this.#linked !== undefined) return this.#linked.proxy
    const waiter = Promise.withResolvers<TelepathProxy>()
    const onAbort = () => waiter.reject(signal.reason)
    this.#waiting.add(waiter)
    signal.addEventListener('abort', onAbort, {once: true})
    try {
      return await waiter.promise
    } finally {
      this.#waiting.delete(waiter)
      signal.removeEventListener('abort', onAbort)
    }
  }

  get #epoch(): number {
    const {changes, knownEpoch} = this.#ports
    return Math.max(changes.head.epoch, knownEpoch())
  }

  async #run(signal: AbortSignal): Promise<void> {
    let pauseMs = RETRY_MS
    while (!signal.aborted) {
      const url = this.#places.next()
      try {
        if (url === undefined) throw noPlace()
        await this.#followAt(url, signal)
      } catch (error) {
        if (signal.aborted) break
        const wasLinked = this.#unlink()
        pauseMs = this.#pauseAfter(error, wasLinked ? RETRY_MS : Math.min(pauseMs * 2, MAX_RETRY_MS))
        this.#note(error, url)
      }
      await delay(pauseMs, undefined, {signal}).catch(() => undefined)
    }
    this.#unlink()
  }

  async #followAt(url: string, signal: AbortSignal): Promise<void> {
    const {open, changes, self, run, version} = this.#ports
    const {nextOffset, lastHash} = changes.head
    const over = new AbortController()
    const end = (): void => over.abort(signal.reason)
    signal.addEventListener('abort', end, {once: true})
    this.#moved = over
    const limits = {connectMs: CONNECT_MS, timeoutMs: CONNECT_MS * 3, spareLinks: 1, signal: over.signal}
    await using proxy = new LastingProxy(await open(url, limits))
    const wish = packFollowWish({...self(), run, version, epoch: this.#epoch, nextOffset, lastHash})
    const toTell = this.#ports.toTell()
    try {
      const steps = proxy.stream('followLog', {args: [wish], timeoutMs: SILENT_MS, signal: over.signal})
      const {value: first, done} = await steps.next()
      if (done === true) throw new RegistryError('REG_LINK_CLOSED', `${sanitizeUrl(url)} closed the feed at once`)
      this.#begin(first, {proxy, url})
      const teller = new Teller({proxy, head: () => changes.head, member: this.#ports.ledger.member}, toTell)
      const telling = teller.run(over.signal)
      const taking = this.#take(steps, teller)
      try {
        await Promise.all([telling, taking])
      } finally {
        over.abort()
        await Promise.allSettled([telling, taking])
      }
    } finally {
      signal.removeEventListener('abort', end)
      toTell.close()
    }
  }

  /** Checks who it is that feeds. */
  #begin(value: Value, {proxy, url}: {readonly proxy: TelepathProxy; readonly url: string}): void {
    const {cellIden, changes, clock, log} = this.#ports
    const start = readFeedStart(value)
    if (start.cellIden !== cellIden) {
      const text = `${start.lead.name} is of another cell: ${start.cellIden}, not ${cellIden}`
      throw new RegistryError('REG_HISTORY_DIFFERS', text, {
        info: {iden: start.cellIden},
        hints: ['registry config explain mirror'],
      })
    }
    const {nextOffset} = changes.head
    const epoch = this.#epoch
    if (start.epoch < epoch) {
      const text = `${start.lead.name} leads in epoch ${start.epoch}, which is over: this member knows of epoch ${epoch}`
      throw new RegistryError('REG_NOT_LEADER', text, {info: {epoch: start.epoch}})
    }
    const {name, member} = start.lead
    const nowMs = clock.monotonicMs()
    this.#linked = {proxy, member, name, url}
    this.#nextOfLeader = start.nextOffset
    this.#leaderEpoch = start.epoch
    this.#heardAtMs = nowMs
    this.#problem = undefined
    this.#reasons.clear()
    this.#lag.noteRead(nextOffset)
    this.#lag.noteLog(start.nextOffset, nowMs - Math.max(0, start.nowMs - (start.sinceMs ?? start.nowMs)))
    log.info('mirror.attached', {
      leader: name,
      url: sanitizeUrl(url),
      offset: nextOffset,
      behind: start.nextOffset - nextOffset,
    })
    this.#places.noteReached(url)
    for (const waiter of this.#waiting) waiter.resolve(proxy)
  }

  async #take(steps: AsyncGenerator<Value, void>, teller: Teller): Promise<void> {
    const {changes} = this.#ports
    const isFirstAt = this.#nextOfLeader
    this.#noteProgress(isFirstAt)
    const storing: Promise<void>[] = []
    let failed: {readonly error: unknown} | undefined
    for await (const value of steps) {
      if (failed !== undefined) throw failed.error
      const step = readFeedStep(value)
      this.#hear(step)
      const stored = step.entries.length === 0 ? (storing.at(-1) ?? Promise.resolve()) : changes.replicate(step.entries)
      storing.push(
        stored.then(
          () => {
            this.#ports.onRenewed(step.renewed)
            this.#noteProgress(isFirstAt)
            teller.wake()
          },
          (error: unknown) => {
            failed ??= {error}
          },
        ),
      )
      if (storing.length >= STEPS_AHEAD) await storing.shift()
    }
    await Promise.all(storing)
    if (failed !== undefined) throw failed.error
    throw new RegistryError('REG_LINK_CLOSED', 'the leader ended the feed')
  }

  #hear({nextOffset}: FeedStep): void {
    const nowMs = this.#ports.clock.monotonicMs()
    this.#nextOfLeader = nextOffset
    this.#heardAtMs = nowMs
    this.#lag.noteLog(nextOffset, nowMs)
  }

  #noteProgress(goal: number): void {
    const {changes, clock, log} = this.#ports
    const {nextOffset} = changes.head
    this.#lag.noteRead(nextOffset)
    const leader = this.#linked?.name
    if (!this.#isReady && nextOffset >= goal) {
      this.#isReady = true
      log.info('mirror.caught-up', {leader, offset: nextOffset})
    }
    const lagMs = this.#lag.lagMs(clock.monotonicMs())
    const isLate = this.#isLagTold ? lagMs > 0 : lagMs > LAG_TOLD_MS
    if (isLate === this.#isLagTold) return
    this.#isLagTold = isLate
    const facts = {leader, lagEntries: this.#nextOfLeader - nextOffset, lagMs: Math.round(lagMs)}
    if (isLate) log.warning('mirror.late', facts)
    else log.info('mirror.in-time', facts)
  }

  /** Tells whether there was a link. */
  #unlink(): boolean {
    if (this.#linked === undefined) return false
    this.#linked = undefined
    return true
  }

  #pauseAfter(error: unknown, byDefaultMs: number): number {
    const code = codeOf(error)
    if (code === 'REG_NOT_LEADER') return this.#places.noteLead((error as RegistryError).info) ? 0 : byDefaultMs
    return code === 'REG_HISTORY_DIFFERS' || code === 'REG_CONFLICT' ? DIFFERS_RETRY_MS : byDefaultMs
  }

  /** Of several URLs that are tried in turn each may fail for a reason of its own: it is told once, and when it is another one. */
  #isNews(url: string | undefined, reason: string): boolean {
    const place = url ?? ''
    if (this.#reasons.get(place) === reason) return false
    if (this.#reasons.size >= MOST_REASONS) this.#reasons.clear()
    this.#reasons.set(place, reason)
    return true
  }

  /** Tells what is new about it. */
  #note(error: unknown, url: string | undefined): void {
    const {log, onCulled} = this.#ports
    const reason = messageOf(error)
    const code = codeOf(error)
    const isLasting = code === 'REG_HISTORY_DIFFERS' || code === 'REG_CONFLICT' || code === 'REG_OFFSET_CULLED'
    if (this.#isNews(url, reason)) {
      const facts = {url: url === undefined ? null : sanitizeUrl(url), error}
      if (isLasting) log.error('mirror.refused', facts)
      else log.warning('mirror.not-linked', facts)
    }
    const sinceMs = this.#problem?.sinceMs ?? this.#ports.clock.wallMs()
    this.#problem = {reason, sinceMs, isLasting}
    if (code === 'REG_OFFSET_CULLED' && url !== undefined) onCulled(url)
  }
}

/** URLs whose last failure is known; others may name new ones all the time. */
const MOST_REASONS = 64

function noPlace(): RegistryError {
  const hints = ['set the option mirror to the URL of the leader', 'registry config explain mirror']
  return new RegistryError('REG_UNREACHABLE', 'nothing says where the leader is', {hints})
}
