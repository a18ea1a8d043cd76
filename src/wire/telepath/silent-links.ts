import type {Clock} from '../../base/clock.ts'
import type {PeerGroup} from './peer-table.ts'
import type {SessionLink} from './session.ts'

/** Links may be cut so much later than they ought to, so that many of them take few timers. */
const SLACK_MS = 100

/**
 * Links that have neither opened nor used a session.
 *
 * Those of peers without a session are cut when their time is over; one timer serves all, and there is none while nobody waits. Those of
 * peers with a session may stay: stock clients open links ahead of their calls.
 */
export class SilentLinks {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #timeMs: number
  readonly #onLate: (link: SessionLink) => void
  readonly #deadlines = new Map<SessionLink, number>()
  readonly #spared = new Map<PeerGroup, Set<SessionLink>>()
  #timer: NodeJS.Timeout | undefined
  #timerMs = 0

  constructor(clock: Pick<Clock, 'monotonicMs'>, timeMs: number, onLate: (link: SessionLink) => void) {
    this.#clock = clock
    this.#timeMs = timeMs
    this.#onLate = onLate
  }

  /** Takes a link that has been silent since `sinceMs`. */
  add(link: SessionLink, sinceMs: number): void {
    if (link.group.sessions > 0) this.#spare(link)
    else this.#wait(link, sinceMs)
  }

  /** The link is silent no more, or gone. */
  delete(link: SessionLink): void {
    if (this.#deadlines.delete(link) && this.#deadlines.size === 0) this.#disarm()
    this.#spared.get(link.group)?.delete(link)
  }

  /** The peer has its first session. Gives those of its links that may stay now. */
  spare(group: PeerGroup): SessionLink[] {
    const links = [...this.#deadlines.keys()].filter((link) => link.group === group)
    for (const link of links) {
      this.#deadlines.delete(link)
      this.#spare(link)
    }
    return links
  }

  /** The peer has no session any more. */
  resume(group: PeerGroup): void {
    const links = this.#spared.get(group) ?? []
    this.#spared.delete(group)
    for (const link of links) this.#wait(link, this.#clock.monotonicMs())
  }

  clear(): void {
    this.#disarm()
    this.#deadlines.clear()
    this.#spared.clear()
  }

  #spare(link: SessionLink): void {
    const links = this.#spared.get(link.group)
    if (links === undefined) this.#spared.set(link.group, new Set([link]))
    else links.add(link)
  }

  #wait(link: SessionLink, sinceMs: number): void {
    const deadlineMs = sinceMs + this.#timeMs
    this.#deadlines.set(link, deadlineMs)
    if (this.#timer === undefined || deadlineMs + SLACK_MS < this.#timerMs) this.#arm(deadlineMs)
  }

  #arm(deadlineMs: number): void {
    clearTimeout(this.#timer)
    this.#timerMs = deadlineMs + SLACK_MS
    this.#timer = setTimeout(() => this.#onTimer(), Math.max(0, this.#timerMs - this.#clock.monotonicMs()))
  }

  #disarm(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #onTimer(): void {
    this.#timer = undefined
    const nowMs = this.#clock.monotonicMs()
    const late = [...this.#deadlines].filter(([, deadlineMs]) => deadlineMs <= nowMs).map(([link]) => link)
    for (const link of late) {
      this.#deadlines.delete(link)
      // What runs (a login, say) came in time; the link gets its time again.
      if (link.isBusy) this.#wait(link, nowMs)
      else this.#onLate(link)
    }
    if (this.#timer !== undefined || this.#deadlines.size === 0) return
    this.#arm([...this.#deadlines.values()].reduce((first, deadlineMs) => Math.min(first, deadlineMs)))
  }
}
