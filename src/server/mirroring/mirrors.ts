import {type Clock, systemClock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import type {LeadMember} from '../../registry/lead.ts'
import {LagMeter} from './lag.ts'

/** Who comes to follow the log. */
export interface MirrorAbout extends LeadMember {
  /** Which start of it, 32 hex digits. */
  readonly run: string
  readonly version: string
}

/** Where it comes from. */
export interface MirrorPlace {
  readonly sessionId: string
  readonly address: string
}

/** A mirror that follows this leader now. */
export interface AttachedMirror extends MirrorAbout, MirrorPlace {
  /** Next offset of its own log, as it told last. */
  readonly nextOffset: number
  /** Its changes wait, as it told last. */
  readonly isFrozen: boolean
  /** When it was last heard of; epoch milliseconds. */
  readonly lastSeenMs: number
  readonly attachedAtMs: number
}

/** How far behind a mirror is. */
export interface MirrorLag {
  readonly entries: number
  readonly ms: number
}

export type OnMirror = (event: 'attached' | 'lost', mirror: AttachedMirror) => void

/** A mirror tells at least once a second how far it is. One that was silent for so long may have started again, although its link does not know yet. */
const MAYBE_GONE_MS = 3000
/**
 * One that was silent for so long is let go, although its link does not know that it is gone: packets that vanish break no link for minutes. Longer
 * than the 5 s after which a mirror itself leaves a silent link: one that is alive attaches anew first, and the leader need not stand still.
 */
export const SILENT_MS = 10_000

interface Kept {
  mirror: AttachedMirror
  readonly lag: LagMeter
  /** Monotonic. */
  heardAtMs: number
  silence: NodeJS.Timeout | undefined
  /** Told why when it counts no more: another one took its place, or it was silent for too long. */
  readonly dropped: (error: RegistryError) => void
}

/** What a leader knows of the mirrors that follow it. */
export class Mirrors {
  readonly #clock: Clock
  readonly #cut: (sessionId: string) => void
  readonly #kept = new Map<string, Kept>()
  readonly #listeners = new Set<OnMirror>()
  readonly #watchers = new Set<() => void>()

  /** `cut` ends a session of a mirror that counts no more, with its links: what waits there to be sent is freed. */
  constructor(clock: Clock = systemClock, cut: (sessionId: string) => void = () => undefined) {
    this.#clock = clock
    this.#cut = cut
  }

  /** By iden of the member. */
  get attached(): ReadonlyMap<string, AttachedMirror> {
    return new Map([...this.#kept].map(([member, {mirror}]) => [member, mirror]))
  }

  get size(): number {
    return this.#kept.size
  }

  /** Has itself told who comes and goes. Gives what ends that. */
  onChange(listener: OnMirror): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Takes a mirror in, until what this gives is disposed of, or it was silent for too long. The same start of it takes the place of its older link.
   * In both cases `dropped` hears of it, and its session is cut.
   *
   * @throws RegistryError as `assertFree`
   */
  attach(
    about: MirrorAbout,
    place: MirrorPlace,
    nextOffset: number,
    dropped: (error: RegistryError) => void,
  ): Disposable {
    this.assertFree(about, place)
    const older = this.#kept.get(about.member)
    if (older !== undefined) this.#replace(older, place)
    const nowMs = this.#clock.wallMs()
    const mirror = {...about, ...place, nextOffset, isFrozen: false, lastSeenMs: nowMs, attachedAtMs: nowMs}
    const heardAtMs = this.#clock.monotonicMs()
    const kept: Kept = {mirror, lag: new LagMeter(), heardAtMs, silence: undefined, dropped}
    kept.lag.noteRead(nextOffset)
    this.#kept.set(about.member, kept)
    this.#listen(kept, SILENT_MS)
    this.#tell('attached', mirror)
    return {[Symbol.dispose]: () => this.#leave(kept)}
  }

  /**
   * Refuses a mirror that the others could not tell from one that follows, or not reach: they find a member by its name.
   *
   * @throws RegistryError `REG_CONFLICT` when another process follows with the same iden: a copy of its directory; or another mirror with its name
   */
  assertFree(about: MirrorAbout, place: MirrorPlace): void {
    this.#assertNoCopy(about, place)
    const {member, name} = about
    const other = [...this.#kept.values()].find((kept) => isNamed(kept.mirror, name) && kept.mirror.member !== member)
    if (other !== undefined && this.#isHeardOf(other)) throw sameName(about, place, other.mirror)
  }

  /** Gives the mirror of a name that follows now. */
  named(name: string): AttachedMirror | undefined {
    return [...this.#kept.values()].find(({mirror}) => isNamed(mirror, name))?.mirror
  }

  /** Notes where the log of the leader is. */
  noteLog(member: string, nextOffset: number): void {
    this.#kept.get(member)?.lag.noteLog(nextOffset, this.#clock.monotonicMs())
  }

  /**
   * Notes how far a mirror is. Only the session that attached it may tell.
   *
   * @throws RegistryError `REG_CONFLICT` when that one does not follow
   */
  ack(member: string, sessionId: string, nextOffset: number, isFrozen = false): void {
    const kept = this.#kept.get(member)
    if (kept === undefined || kept.mirror.sessionId !== sessionId) {
      throw new RegistryError('REG_CONFLICT', 'this session follows no log: call followLog first', {info: {member}})
    }
    kept.mirror = {...kept.mirror, nextOffset, isFrozen, lastSeenMs: this.#clock.wallMs()}
    kept.heardAtMs = this.#clock.monotonicMs()
    kept.lag.noteRead(nextOffset)
    for (const look of this.#watchers) look()
  }

  /** How far a mirror is behind a log that goes to `nextOffset`; undefined when it is not attached. */
  lagOf(member: string, nextOffset: number): MirrorLag | undefined {
    const kept = this.#kept.get(member)
    if (kept === undefined) return undefined
    const entries = Math.max(0, nextOffset - kept.mirror.nextOffset)
    return {entries, ms: entries === 0 ? 0 : kept.lag.lagMs(this.#clock.monotonicMs())}
  }

  /** Waits until a mirror has all below `nextOffset`, over breaks of its link: true then, false when `signal` aborts before. */
  caughtUp(member: string, nextOffset: number, signal: AbortSignal): Promise<boolean> {
    const hasAll = () => (this.#kept.get(member)?.mirror.nextOffset ?? -1) >= nextOffset
    if (hasAll()) return Promise.resolve(true)
    if (signal.aborted) return Promise.resolve(false)
    return new Promise((resolve) => {
      const look = () => {
        if (!hasAll() && !signal.aborted) return
        this.#watchers.delete(look)
        signal.removeEventListener('abort', look)
        resolve(hasAll())
      }
      this.#watchers.add(look)
      signal.addEventListener('abort', look)
    })
  }

  #assertNoCopy({member, name, run}: MirrorAbout, {address}: MirrorPlace): void {
    const kept = this.#kept.get(member)
    if (kept === undefined || kept.mirror.run === run) return
    if (!this.#isHeardOf(kept)) return
    const {mirror} = kept
    const text = `${name} (${address}) has the same member iden as ${mirror.name} (${mirror.address}), which follows already: its directory is a copy of that one`
    const hints = ['make mirrors with: registry clone NAME', 'stop one of the two']
    throw new RegistryError('REG_CONFLICT', text, {info: {member, name: mirror.name, address: mirror.address}, hints})
  }

  #replace(older: Kept, place: MirrorPlace): void {
    clearTimeout(older.silence)
    older.dropped(new RegistryError('REG_LINK_CLOSED', 'the same mirror attached anew'))
    if (older.mirror.sessionId !== place.sessionId) this.#cut(older.mirror.sessionId)
  }

  /** Lets it go when it is silent for too long. It tells often: the timer is set anew only when it rings. */
  #listen(kept: Kept, ms: number): void {
    kept.silence = setTimeout(() => {
      const leftMs = kept.heardAtMs + SILENT_MS - this.#clock.monotonicMs()
      if (leftMs > 0) this.#listen(kept, leftMs)
      else this.#letGo(kept)
    }, ms)
  }

  /** As if its link had broken. */
  #letGo(kept: Kept): void {
    const {name, sessionId} = kept.mirror
    this.#leave(kept)
    kept.dropped(new RegistryError('REG_LINK_CLOSED', `${name} said nothing for ${SILENT_MS / 1000} s`))
    this.#cut(sessionId)
  }

  #isHeardOf({heardAtMs}: Kept): boolean {
    return this.#clock.monotonicMs() - heardAtMs <= MAYBE_GONE_MS
  }

  #leave(kept: Kept): void {
    const {mirror} = kept
    clearTimeout(kept.silence)
    if (this.#kept.get(mirror.member) !== kept) return
    this.#kept.delete(mirror.member)
    this.#tell('lost', mirror)
  }

  #tell(event: 'attached' | 'lost', mirror: AttachedMirror): void {
    for (const listener of this.#listeners) listener(event, mirror)
    for (const look of this.#watchers) look()
  }
}

/** Names are those of DNS. */
export function isNamed(member: LeadMember, name: string): boolean {
  return member.name.toLowerCase() === name.toLowerCase()
}

/** What a mirror is told that comes with the name of another member. */
export function sameName(
  {name}: LeadMember,
  {address}: MirrorPlace,
  other: LeadMember & Partial<MirrorPlace>,
): RegistryError {
  const what = other.address === undefined ? 'the leader' : `a mirror (${other.address}) that follows already`
  const text = `${name} (${address}) has the name of ${what}: the others would take one for the other`
  const hints = ['make it anew with a name of its own: registry clone NAME', 'stop one of the two']
  return new RegistryError('REG_CONFLICT', text, {info: {name, member: other.member}, hints})
}
