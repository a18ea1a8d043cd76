import {createHash, randomBytes} from 'node:crypto'
import type {Clock} from '../base/clock.ts'

/** As the peers. From the login on, whether it is used or not. */
export const SESSION_S = 14 * 86_400
const TOKEN_BYTES = 32
const TOKEN = /^[\w-]{43}$/

/** Beyond these the oldest sessions end: of the user who logs in, or of all. */
const MAX_PER_USER = 64
const MAX_SESSIONS = 10_000

interface Session {
  readonly userIden: string
  readonly expiresMs: number
}

/**
 * Sessions, in memory only: a login works while the store takes no changes, and a restart ends them all. What is kept is a hash of each token,
 * so that nobody who reads the memory has one.
 */
export class HttpsSessions {
  readonly #clock: Pick<Clock, 'wallMs'>
  /** By hash of the token, the oldest first. */
  readonly #sessions = new Map<string, Session>()

  constructor(clock: Pick<Clock, 'wallMs'>) {
    this.#clock = clock
  }

  get size(): number {
    return this.#sessions.size
  }

  /** Opens a session and gives its token. */
  open(userIden: string): string {
    const own = this.#keysOf(userIden)
    for (const key of own.slice(0, Math.max(0, own.length - MAX_PER_USER + 1))) this.#sessions.delete(key)
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size < MAX_SESSIONS) break
      this.#sessions.delete(oldest)
    }
    const token = randomBytes(TOKEN_BYTES).toString('base64url')
    this.#sessions.set(hashOf(token), {userIden, expiresMs: this.#clock.wallMs() + SESSION_S * 1000})
    return token
  }

  /** Gives the user of a session; undefined when there is none, or it has expired. */
  userOf(token: string): string | undefined {
    if (!TOKEN.test(token)) return undefined
    const key = hashOf(token)
    const session = this.#sessions.get(key)
    if (session === undefined) return undefined
    if (session.expiresMs > this.#clock.wallMs()) return session.userIden
    this.#sessions.delete(key)
    return undefined
  }

  close(token: string): void {
    this.#sessions.delete(hashOf(token))
  }

  /** Ends all sessions of a user. */
  closeAllOf(userIden: string): void {
    for (const key of this.#keysOf(userIden)) this.#sessions.delete(key)
  }

  #keysOf(userIden: string): string[] {
    return [...this.#sessions].flatMap(([key, session]) => (session.userIden === userIden ? [key] : []))
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
