/** The links that calls of one session are made on: one call at a time on each. */
import type {CallLink} from './call-link.ts'

export interface LinkPoolOptions {
  readonly open: () => Promise<CallLink>
  /** While fewer than so many are idle, one is opened ahead whenever one is taken. */
  readonly spare: number
}

/** Idle links beyond so many are closed, one at a time. */
const HIGH_MARK = 12
const CULL_MS = 10_000

/** First in, first out, as the peers do, so that each link is seen to be alive now and then. */
export class LinkPool {
  readonly #options: LinkPoolOptions
  readonly #idle: CallLink[] = []
  #opening = 0
  #isClosed = false
  #cull: NodeJS.Timeout | undefined

  constructor(options: LinkPoolOptions) {
    this.#options = options
  }

  /** Gives an idle link, or undefined when one has to be opened. */
  take(): CallLink | undefined {
    const link = this.#takeIdle()
    // The one that `open` makes for the caller counts among those ahead only when it comes back.
    if (this.#idle.length + this.#opening < this.#options.spare) this.#openAhead()
    return link
  }

  /** Opens a link for the caller. Throws what opening throws. */
  open(): Promise<CallLink> {
    return this.#options.open()
  }

  /** Takes a link back that can be used again. */
  give(link: CallLink): void {
    if (this.#isClosed) link.close()
    if (link.isEnded) return
    this.#idle.push(link)
    if (this.#idle.length > HIGH_MARK) this.#cull ??= setInterval(() => this.#closeOne(), CULL_MS).unref()
  }

  /** Forgets a link that has ended. */
  remove(link: CallLink): void {
    const place = this.#idle.indexOf(link)
    if (place >= 0) this.#idle.splice(place, 1)
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#cull)
    for (const link of this.#idle.splice(0)) link.close()
  }

  #takeIdle(): CallLink | undefined {
    for (let link = this.#idle.shift(); link !== undefined; link = this.#idle.shift()) if (!link.isEnded) return link
    return undefined
  }

  #openAhead(): void {
    this.#opening += 1
    this.#options
      .open()
      .then((link) => this.give(link))
      // Nobody waits for it; who needs a link opens one and learns why it fails.
      .catch(() => undefined)
      .finally(() => {
        this.#opening -= 1
      })
  }

  #closeOne(): void {
    if (this.#idle.length > HIGH_MARK) this.#idle.shift()?.close()
    if (this.#idle.length > HIGH_MARK) return
    clearInterval(this.#cull)
    this.#cull = undefined
  }
}
