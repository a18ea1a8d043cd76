import {createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual} from 'node:crypto'
import type {Shadow} from '../auth/model.ts'
import {RegistryError} from '../base/errors.ts'

/** What Synapse 2.256.0 uses. */
const ITERATIONS = 310_000
const SALT_BYTES = 32
const HASH_BYTES = 32
/** Of Node's four threads for such work two are left for files and names. */
const WORKERS = 2
/** Longest queue before them: 64 take about 2.5 s. Beyond it, requests are refused. */
const QUEUE_MAX = 64
const CACHE_MAX = 256
/** A record from elsewhere that would cost more than 2.5 s a check does not match. */
const MAX_ITERATIONS = 10_000_000

export interface PasswordsOptions {
  /** Rounds of the hashes that are made; fewer in tests. */
  readonly iterations?: number
}

/**
 * Hashes and checks passwords off the event loop, two at a time. What was found right is remembered as an HMAC under a key of this process, so
 * that the same password of the same shadow costs nothing the next time; what was wrong costs a whole hash each time.
 */
export class Passwords {
  readonly #iterations: number
  readonly #cacheKey = randomBytes(32)
  /** What was found right and the hash that it belongs to, in order of use, the oldest first. */
  readonly #good = new Map<string, string>()
  readonly #waiting: (() => void)[] = []
  #atWork = 0
  /** Of nobody: checked in place of one that is missing, so that it takes the same time. */
  readonly #nobody: Shadow

  constructor({iterations = ITERATIONS}: PasswordsOptions = {}) {
    this.#iterations = iterations
    this.#nobody = this.#shadowOf(randomBytes(HASH_BYTES), randomBytes(SALT_BYTES))
  }

  /**
   * Makes what is kept of a password.
   *
   * @throws RegistryError `REG_BUSY`
   */
  async hash(passwd: string): Promise<Shadow> {
    const salt = randomBytes(SALT_BYTES)
    return this.#shadowOf(await this.#derive(passwd, salt, this.#iterations), salt)
  }

  /**
   * Tells whether a password is the one of a shadow. Null is never right, and takes as long as one that is wrong.
   *
   * @throws RegistryError `REG_BUSY`
   */
  async check(passwd: string, shadow: Shadow | null): Promise<boolean> {
    const asked = shadow ?? this.#nobody
    const {salt, iterations} = asked.func_params
    const cached = this.#cacheName(passwd, asked)
    if (this.#good.delete(cached)) {
      this.#good.set(cached, asked.hashed)
      return true
    }
    const expected = Buffer.from(asked.hashed, 'base64')
    const isUsable = expected.length === HASH_BYTES && iterations >= 1 && iterations <= MAX_ITERATIONS
    const found = await this.#derive(passwd, Buffer.from(salt, 'base64'), isUsable ? iterations : this.#iterations)
    if (shadow === null || !isUsable || !timingSafeEqual(expected, found)) return false
    this.#remember(cached, asked.hashed)
    return true
  }

  /** Forgets what was found right for a shadow that is not valid any more. */
  forget(shadow: Shadow): void {
    for (const [cached, hashed] of this.#good) {
      if (hashed === shadow.hashed) this.#good.delete(cached)
    }
  }

  #remember(cached: string, hashed: string): void {
    for (const oldest of this.#good.keys()) {
      if (this.#good.size < CACHE_MAX) break
      this.#good.delete(oldest)
    }
    this.#good.set(cached, hashed)
  }

  #cacheName(passwd: string, {hashed}: Shadow): string {
    return createHmac('sha256', this.#cacheKey).update(`${hashed}\n${passwd}`).digest('base64')
  }

  #shadowOf(hashed: Buffer, salt: Buffer): Shadow {
    return {
      type: 'pbkdf2',
      hashed: hashed.toString('base64'),
      func_params: {salt: salt.toString('base64'), iterations: this.#iterations, hash_name: 'sha256'},
    }
  }

  async #derive(passwd: string, salt: Buffer, iterations: number): Promise<Buffer> {
    await this.#enter()
    try {
      return await new Promise<Buffer>((resolve, reject) => {
        pbkdf2(passwd, salt, iterations, HASH_BYTES, 'sha256', (error, key) => (error ? reject(error) : resolve(key)))
      })
    } finally {
      this.#leave()
    }
  }

  async #enter(): Promise<void> {
    if (this.#atWork < WORKERS) {
      this.#atWork += 1
      return
    }
    if (this.#waiting.length >= QUEUE_MAX) throw new RegistryError('REG_BUSY', 'too many passwords wait to be checked')
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** The place goes to the next in the queue, if there is one. */
  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#atWork -= 1
    else next()
  }
}

/** Gives what is kept of a password that works once. */
export function hashOnepass(passwd: string): string {
  return createHash('sha256').update(passwd).digest('hex')
}

/** Compares two texts of hex digits in constant time. */
export function isSameHash(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other))
}
