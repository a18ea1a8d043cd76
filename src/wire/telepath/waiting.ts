import type {Clock} from '../../base/clock.ts'
import type {PeerGroup} from './peer-table.ts'
import type {ServerLink} from './server-link.ts'

/** Links may be cut so much later than they ought to, so that many of them take few timers. */
const SLACK_MS = 100

/** Links that must show until a certain time what they are for. One timer serves all, and there is none while nobody waits. */
export class Waiting {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #onLate: (link: ServerLink) => void
  readonly #deadlines = new Map<ServerLink, number>()
  #timer: NodeJS.Timeout | undefined
  #timerMs = 0

  constructor(clock: Pick<Clock, 'monotonicMs'>, onLate: (link: ServerLink) => void) {
    this.#clock = clock
    this.#onLate = onLate
  }

  add(link: ServerLink, deadlineMs: number): void {
    this.#deadlines.set(link, deadlineMs)
    if (this.#timer === undefined || deadlineMs + SLACK_MS < this.#timerMs) this.#arm(deadlineMs)
  }

  delete(link: ServerLink): void {
    if (this.#deadlines.delete(link) && this.#deadlines.size === 0) this.clear()
  }

  /** Those of one peer. */
  of(group: PeerGroup): ServerLink[] {
    return [...this.#deadlines.keys()].filter((link) => link.group === group)
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#deadlines.clear()
  }

  #arm(deadlineMs: number): void {
    clearTimeout(this.#timer)
    this.#timerMs = deadlineMs + SLACK_MS
    this.#timer = setTimeout(() => this.#onTimer(), Math.max(0, this.#timerMs - this.#clock.monotonicMs()))
  }

  #onTimer(): void {
    this.#timer = undefined
    const nowMs = this.#clock.monotonicMs()
    const late = [...this.#deadlines].filter(([, deadlineMs]) => deadlineMs <= nowMs).map(([link]) => link)
    for (const link of late) {
      this.#deadlines.delete(link)
      this.#onLate(link)
    }
    if (this.#deadlines.size > 0 && this.#timer === undefined) this.#arm(Math.min(...this.#deadlines.values()))
  }
}
