import {createHash} from 'node:crypto'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'

/** How often one may fail. */
interface Allowance {
  /** Failures in a row that are free. */
  readonly burst: number
  /** How long it takes until one more is free, ms. */
  readonly everyMs: number
}

export interface LoginLimits {
  readonly perAddress: Allowance
  /** Also of users that do not exist, so that the limit does not tell which do. */
  readonly perUser: Allowance
  /** Addresses and names that are remembered, each; of more, those that failed longest ago are forgotten. */
  readonly entries: number
}

/** A guesser gets a password a few seconds apart; who mistypes never notices. */
const LOGIN_LIMITS: LoginLimits = {
  perAddress: {burst: 20, everyMs: 3000},
  perUser: {burst: 30, everyMs: 2000},
  entries: 10_000,
}

/**
 * Refuses logins from where, and for whom, too many failed. It is asked before a password is hashed, so that guessing costs the server
 * nothing either. Logins that succeed are not counted: a busy client is no guesser.
 */
export class LoginLimiter {
  readonly #addresses: Failures
  readonly #users: Failures
  /** Addresses that came with wrong API keys: a program with an old one does not keep people from logging in. */
  readonly #keys: Failures

  constructor(clock: Pick<Clock, 'monotonicMs'>, limits: LoginLimits = LOGIN_LIMITS) {
    this.#addresses = new Failures(clock, limits.perAddress, limits.entries)
    this.#users = new Failures(clock, limits.perUser, limits.entries)
    this.#keys = new Failures(clock, limits.perAddress, limits.entries)
  }

  /**
   * Lets an attempt through. `name` is undefined for an API key.
   *
   * @throws RegistryError `REG_BUSY`, in Telepath `HitLimit`; `info.waitS` says when to come back
   */
  assertAllowed(address: string, name: string | undefined): void {
    const waitMs =
      name === undefined
        ? this.#keys.waitMs(address)
        : Math.max(this.#addresses.waitMs(address), this.#users.waitMs(name))
    if (waitMs === 0) return
    const waitS = Math.ceil(waitMs / 1000)
    throw new RegistryError('REG_BUSY', `Too many failed logins; try again in ${waitS} s.`, {info: {waitS}})
  }

  countFailure(address: string, name: string | undefined): void {
    if (name === undefined) {
      this.#keys.count(address)
      return
    }
    this.#addresses.count(address)
    this.#users.count(name)
  }
}

/** Buckets that fill with time: each failure takes one; below one, there is nothing to take. */
class Failures {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #allowance: Allowance
  readonly #entries: number
  /** When the bucket would be full again; the longest untouched first. */
  readonly #fullAtMs = new Map<string, number>()

  constructor(clock: Pick<Clock, 'monotonicMs'>, allowance: Allowance, entries: number) {
    this.#clock = clock
    this.#allowance = allowance
    this.#entries = entries
  }

  /** How long until one more attempt is free; 0 when it is now. */
  waitMs(key: string): number {
    const {burst, everyMs} = this.#allowance
    const untilFullMs = (this.#fullAtMs.get(hashOf(key)) ?? 0) - this.#clock.monotonicMs()
    return Math.max(0, untilFullMs - (burst - 1) * everyMs)
  }

  count(name: string): void {
    const key = hashOf(name)
    const nowMs = this.#clock.monotonicMs()
    const fullAtMs = Math.max(this.#fullAtMs.get(key) ?? 0, nowMs) + this.#allowance.everyMs
    this.#fullAtMs.delete(key)
    for (const [oldest, oldAtMs] of this.#fullAtMs) {
      if (this.#fullAtMs.size < this.#entries && oldAtMs > nowMs) break
      this.#fullAtMs.delete(oldest)
    }
    this.#fullAtMs.set(key, fullAtMs)
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64')
}
