/** What one member of the cell has told another of the sessions through which services registered there. */
export interface SessionNews {
  /** Tokens. */
  readonly opened: readonly string[]
  readonly closed: readonly string[]
  /** `opened` are all that are open there. */
  readonly isWhole: boolean
}

/** A link that breaks is there again after ten seconds, usually; services that lose theirs come back in the same time. */
const GRACE_MS = 30_000
/** Tokens of sessions that are over, which are remembered until the log has it too. */
const MAX_CLOSED = 100_000

interface Holder {
  readonly tokens: Set<string>
  grace: NodeJS.Timeout | undefined
}

/**
 * Which tokens count as those of open sessions. A leader knows of its own sessions, and of those at its mirrors by what these tell; whoever
 * was online when it began to lead, or is so at a mirror whose link broke, has a while to be heard of again. A mirror believes the log, but
 * for sessions that it saw end itself.
 */
export class AhaLiveness {
  readonly #graceMs: number
  /** Sessions here. */
  readonly #own = new Set<string>()
  /** Sessions that were here; a mirror waits for the log to say so. */
  readonly #closed = new Set<string>()
  /** By iden of the member; what it has told. */
  readonly #holders = new Map<string, Holder>()
  /** Passed on by a mirror that has not told of them yet, or inherited from who led before; each until its time is over. */
  readonly #expected = new Map<string, NodeJS.Timeout>()
  readonly #reporters = new Set<{readonly opened: Set<string>; readonly closed: Set<string>}>()
  #isLeading = true
  #onGone: () => void = () => {}

  /** `graceMs` is for tests. */
  constructor(graceMs = GRACE_MS) {
    this.#graceMs = graceMs
  }

  /** Names who hears when tokens do not count any more because their time is over. */
  onGone(listener: () => void): void {
    this.#onGone = listener
  }

  isLive(token: string): boolean {
    if (this.#own.has(token)) return true
    if (!this.#isLeading) return !this.#closed.has(token)
    return this.#expected.has(token) || this.#holders.values().some(({tokens}) => tokens.has(token))
  }

  /** A session registers here for the first time. */
  open(token: string): void {
    this.#own.add(token)
    for (const {opened} of this.#reporters) opened.add(token)
  }

  /** A session here is over. */
  close(token: string): void {
    this.#own.delete(token)
    this.#closed.add(token)
    if (this.#closed.size > MAX_CLOSED) for (const oldest of this.#closed.values().take(1)) this.#closed.delete(oldest)
    for (const {opened, closed} of this.#reporters) {
      opened.delete(token)
      closed.add(token)
    }
  }

  /** A mirror passed on that a session there registers; it will tell of it itself. */
  expect(token: string): void {
    if (this.#holders.values().some(({tokens}) => tokens.has(token))) return
    this.#wait([token])
  }

  /** A session at another member is over. */
  forget(token: string): void {
    this.#expected.delete(token)
    for (const {tokens} of this.#holders.values()) tokens.delete(token)
  }

  /** Takes what a mirror tells. */
  told(member: string, {opened, closed, isWhole}: SessionNews): void {
    const known = this.#holders.get(member)
    clearTimeout(known?.grace)
    const tokens = known === undefined || isWhole ? new Set<string>() : known.tokens
    for (const token of opened) {
      tokens.add(token)
      this.#expected.delete(token)
    }
    this.#holders.set(member, {tokens, grace: undefined})
    for (const token of closed) this.forget(token)
    if (closed.length > 0 || (isWhole && known !== undefined)) this.#onGone()
  }

  /** The link of a mirror broke. */
  lost(member: string): void {
    const holder = this.#holders.get(member)
    if (holder === undefined) return
    const end = (): void => {
      if (this.#holders.get(member) !== holder) return
      this.#holders.delete(member)
      this.#onGone()
    }
    holder.grace = setTimeout(end, this.#graceMs).unref()
  }

  /** This member begins to lead: these tokens were believed until now, and have a while to be heard of. */
  lead(inherited: Iterable<string>): void {
    this.#isLeading = true
    const tokens = new Set(inherited)
    for (const token of this.#closed) tokens.delete(token)
    for (const token of this.#own) tokens.delete(token)
    this.#wait(tokens)
  }

  /** Another member leads. */
  follow(): void {
    this.#isLeading = false
    this.stop()
  }

  /** Waits for nobody any more. */
  stop(): void {
    for (const timer of new Set(this.#expected.values())) clearTimeout(timer)
    for (const {grace} of this.#holders.values()) clearTimeout(grace)
    this.#expected.clear()
    this.#holders.clear()
  }

  /** Begins to tell another member of the sessions here: all that are open at first, then what changes. */
  report(): {readonly take: () => Omit<SessionNews, 'isWhole'>; readonly close: () => void} {
    const news = {opened: new Set(this.#own), closed: new Set<string>()}
    this.#reporters.add(news)
    return {
      take: () => {
        const taken = {opened: [...news.opened], closed: [...news.closed]}
        news.opened.clear()
        news.closed.clear()
        return taken
      },
      close: () => this.#reporters.delete(news),
    }
  }

  /** One timer for all of them: what is heard of, or expected anew, leaves it to itself. */
  #wait(tokens: Iterable<string>): void {
    const end = (): void => {
      for (const [token, own] of this.#expected) if (own === timer) this.#expected.delete(token)
      this.#onGone()
    }
    const timer = setTimeout(end, this.#graceMs).unref()
    for (const token of tokens) this.#expected.set(token, timer)
  }
}
