import {setTimeout} from 'node:timers/promises'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {Log} from '../base/log.ts'
import {shellWord} from '../base/shell-word.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import {lastToGo} from '../registry/trim.ts'
import type {Store} from '../store/store.ts'
import type {TelepathProxy} from '../wire/telepath/caller.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'
import type {Archiver, Archivers} from './archivers.ts'
import type {LogKeeper} from './log-keeper.ts'

/** A member of the cell that follows this log. */
export interface LogFollower {
  readonly name: string
  /** Next offset of its own log; undefined when it is away. */
  readonly nextOffset: number | undefined
  /** Waits until it has all below an offset: true then, false when the signal aborts before. */
  caughtUp(nextOffset: number, signal: AbortSignal): Promise<boolean>
}

export interface LogTrimPorts {
  readonly store: Pick<Store, 'firstOffset' | 'size' | 'read'>
  readonly changes: Pick<ChangeLog, 'nextOffset'>
  readonly keeper: Pick<LogKeeper, 'rotate' | 'cull'>
  readonly clock: Pick<Clock, 'wallMs'>
  readonly log: Pick<Log, 'info' | 'warning'>
  /** The other members of the cell. */
  readonly followers: () => readonly LogFollower[]
  /** Who archives the log, here and at other members. */
  readonly archivers: Pick<Archivers, 'known' | 'caughtUp'>
  /** Opens one who follows the log and is no member. */
  readonly open: (url: string, signal: AbortSignal, connectMs: number) => Promise<TelepathProxy>
}

/** What is to be trimmed, and for whom it is waited. */
export interface LogTrimWish {
  /** URLs of more who follow the log. */
  readonly consumers: readonly string[]
  /** How many of the newest entries stay. */
  readonly keep: number
  /** Entries that are younger stay too. */
  readonly keepForMs: number | undefined
  /** Longest wait for each who follows. */
  readonly timeoutMs: number
  /** Who is away is cut off, and who archives the log and is behind. */
  readonly isForced: boolean
}

/** One that archives the log, and whether it lacks entries that are to go. */
export interface TrimmedArchiver extends Archiver {
  readonly lacks: boolean
}

/** The log, and what the store takes. */
export interface LogState {
  readonly index: number
  /** Null when there is no entry. */
  readonly oldest: number | null
  readonly bytes: number
  /** The part of it that holds nothing. */
  readonly freeBytes: number
}

/** Space is given back in small steps; who trims waits so long for it to be seen. */
const SHRINKS_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 50

interface Awaited {
  readonly name: string
  /** It is cut off when it is late. */
  readonly isOptional: boolean
  wait(offset: number, signal: AbortSignal): Promise<boolean>
}

/** Trims the change log, once all who follow it have what goes. */
export class LogTrim {
  readonly #ports: LogTrimPorts

  constructor(ports: LogTrimPorts) {
    this.#ports = ports
  }

  /** The other members of the cell, as far as they are. */
  get followers(): readonly LogFollower[] {
    return this.#ports.followers()
  }

  /** Who archives the log, when the entries up to `last` are to go: all of them, or those but the newest. */
  archivers(last: number | undefined): readonly TrimmedArchiver[] {
    return this.#ports.archivers.known.map((one) => ({...one, lacks: last !== undefined && one.index <= last}))
  }

  /** @throws RegistryError `REG_STORE_FAILED` */
  async state(): Promise<LogState> {
    const {store, changes} = this.#ports
    const [first, {bytes, freeBytes}] = await Promise.all([store.firstOffset(), store.size()])
    const index = changes.nextOffset
    return {index, oldest: first < index ? first : null, bytes, freeBytes}
  }

  /** Gives the last entry that goes; undefined when all stay. @throws RegistryError `REG_STORE_FAILED` */
  async lastToGo({keep, keepForMs}: Pick<LogTrimWish, 'keep' | 'keepForMs'>): Promise<number | undefined> {
    const state = await this.state()
    const last = lastToGo(state, keep)
    if (last === undefined || keepForMs === undefined || state.oldest === null) return last
    const young = await this.#firstSince(this.#ports.clock.wallMs() - keepForMs, state.oldest, state.index)
    return young <= state.oldest ? undefined : Math.min(last, young - 1)
  }

  /**
   * Rotates, waits until all who follow have that, and drops what is before, but for what is kept. Gives the last entry that is gone; undefined when
   * all stay.
   *
   * @throws RegistryError `REG_UNREACHABLE` when somebody is away, nothing is changed then; `REG_TIMED_OUT` when one did not get so far, the log is
   * rotated then; those of the change log
   */
  async trim(wish: LogTrimWish, actor: string, signal: AbortSignal): Promise<number | undefined> {
    const {keeper, log} = this.#ports
    await using stack = new AsyncDisposableStack()
    const awaited = await this.#open(wish, stack, signal)
    const isAll = wish.keep === 0 && wish.keepForMs === undefined
    const kept = isAll ? undefined : await this.lastToGo(wish)
    if (!isAll && kept === undefined) return undefined
    const archivers = this.#archiversToAwait(kept ?? Number.POSITIVE_INFINITY, wish)
    const rotatedAt = (await keeper.rotate(actor)) - 1
    const last = kept ?? rotatedAt
    const late = await Promise.all([
      ...awaited.map((one) => waitFor(one, rotatedAt, wish.timeoutMs, signal)),
      ...archivers.map((one) => waitFor(one, last, wish.timeoutMs, signal)),
    ])
    this.#assertNoneLacks(last, late.flat(), wish)
    if (!(await keeper.cull(last, actor))) throw notCulled(last)
    log.info('changes.trimmed', {offset: last, actor})
    await this.#shrunk(signal)
    return last
  }

  /** Gives those who archive the log and lack what goes up to `last`. @throws RegistryError `REG_UNREACHABLE` when one of them is away */
  #archiversToAwait(last: number, {isForced}: LogTrimWish): readonly Awaited[] {
    const lacking = this.archivers(last).filter(({lacks}) => lacks)
    const away = lacking.filter(({attachedMs}) => attachedMs === null)
    if (away.length > 0 && !isForced) throw cutOffArchivers(away)
    return lacking
      .filter(({attachedMs}) => attachedMs !== null)
      .map(({name, archiver}) => ({
        ...{name, isOptional: isForced},
        wait: (offset, end) => this.#ports.archivers.caughtUp(archiver, offset + 1, end),
      }))
  }

  /** Some may have come while the others were waited for. */
  #assertNoneLacks(last: number, late: readonly string[], {isForced, timeoutMs}: LogTrimWish): void {
    const lacking = this.archivers(last).filter(({lacks}) => lacks)
    for (const {name, index} of lacking) {
      if (!isForced) throw tooLate(name, last, timeoutMs)
      this.#ports.log.warning('changes.archiver-cut-off', {archiver: name, index, offset: last, late})
    }
  }

  /** Gives those to wait for. @throws RegistryError `REG_UNREACHABLE`; what opening throws */
  async #open(
    {consumers, isForced, timeoutMs}: LogTrimWish,
    stack: AsyncDisposableStack,
    signal: AbortSignal,
  ): Promise<readonly Awaited[]> {
    const members = this.followers
    const away = members.filter(({nextOffset}) => nextOffset === undefined)
    if (away.length > 0 && !isForced) throw cutOff(away)
    const opened = consumers.map(async (url) => {
      const proxy = stack.use(await this.#ports.open(url, signal, timeoutMs))
      return {
        ...{name: sanitizeUrl(url), isOptional: false},
        wait: (offset: number, end: AbortSignal) => written(proxy, offset, timeoutMs, end),
      }
    })
    const all = await Promise.allSettled(opened)
    for (const one of all) if (one.status === 'rejected') throw one.reason
    const attached = members.filter(({nextOffset}) => nextOffset !== undefined)
    return [
      ...attached.map((member) => ({
        ...{name: member.name, isOptional: false},
        wait: (offset: number, end: AbortSignal) => member.caughtUp(offset + 1, end),
      })),
      ...all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
    ]
  }

  /** Finds the first entry that was written at a time or later, by halves: entries are in the order of their times while nobody sets the clock. */
  async #firstSince(timeMs: number, oldest: number, index: number): Promise<number> {
    let [from, to] = [oldest, index]
    while (from < to) {
      const middle = Math.floor((from + to) / 2)
      const [entry] = await this.#ports.store.read(middle, 1)
      if (entry !== undefined && entry.timeMs < timeMs) from = middle + 1
      else to = middle
    }
    return from
  }

  async #shrunk(signal: AbortSignal): Promise<void> {
    const late = AbortSignal.any([signal, AbortSignal.timeout(SHRINKS_WITHIN_MS)])
    while (!late.aborted && (await this.#ports.store.size()).isFreeing) {
      await setTimeout(LOOK_EVERY_MS, undefined, {signal: late}).catch(() => undefined)
    }
    signal.throwIfAborted()
  }
}

async function written(proxy: TelepathProxy, offset: number, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  return (await proxy.call('waitNexsOffs', {args: [offset, timeoutMs / 1000], signal, timeoutMs: 0})) === true
}

/** Gives who did not come so far in time, if that may be. */
async function waitFor(
  one: Awaited,
  offset: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const late = AbortSignal.timeout(timeoutMs)
  const hasIt = await one.wait(offset, AbortSignal.any([signal, late])).catch((error: unknown) => {
    if (late.aborted) return false
    throw error
  })
  signal.throwIfAborted()
  if (hasIt) return []
  if (one.isOptional) return [one.name]
  throw tooLate(one.name, offset, timeoutMs)
}

function tooLate(name: string, offset: number, timeoutMs: number): RegistryError {
  // The words are the peer's.
  return new RegistryError('REG_TIMED_OUT', 'trimNexsLog timed out waiting for consumer to write rotation offset', {
    telepath: 'SynErr',
    info: {offs: offset, timeout: timeoutMs / 1000, url: name},
    hints: ['registry status', 'ask again with a longer --timeout'],
  })
}

function cutOffArchivers(away: readonly TrimmedArchiver[]): RegistryError {
  const names = away.map(({name}) => name)
  const text = `${away.map((one) => awayText(one)).join('; ')}: what is trimmed now would be missing there, so nothing was trimmed`
  const forget = names.map((name) => `when it is gone for good: registry trim --forget ${shellWord(name)}`)
  const hints = ['run it again where it is: registry backup follow DIR', ...forget, 'registry status']
  return new RegistryError('REG_UNREACHABLE', text, {telepath: 'SynErr', info: {away: names}, hints})
}

function awayText({name, index, seenMs}: TrimmedArchiver): string {
  const since = new Date(seenMs).toISOString()
  return `${name}, which archives the log, is away since ${since} and has the entries below ${index}`
}

const CUT_OFF_HINTS = ['registry status', 'when it is gone for good, or is to be made anew: registry trim --force']

function cutOff(away: readonly LogFollower[]): RegistryError {
  const names = away.map(({name}) => name)
  const text = `${names.join(', ')} of this cell ${names.length === 1 ? 'is' : 'are'} away: what is trimmed now would be missing there, so nothing was trimmed`
  const hints = CUT_OFF_HINTS
  return new RegistryError('REG_UNREACHABLE', text, {telepath: 'SynErr', info: {away: names}, hints})
}

function notCulled(offset: number): RegistryError {
  return new RegistryError('REG_CONFLICT', 'trimNexsLog did not execute cull at the rotated offset', {
    telepath: 'SynErr',
    info: {offs: offset},
  })
}
