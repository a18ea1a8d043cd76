import {randomBytes} from 'node:crypto'
import type {ApiKey, User} from '../auth/model.ts'
import {RegistryError} from '../base/errors.ts'
import type {AuthLedger} from './auth-ledger.ts'
import type {Passwords} from './passwords.ts'
import {badArg, checkName, hitLimit, noSuchUser} from './user-checks.ts'

const IDEN_BYTES = 16
const SECRET_BYTES = 16
const MAX_KEYS = 1000 // of one user

/** URL-safe base64 with its padding of 32 bytes: 43 characters and `=`. */
const KEY_TEXT = /^[A-Za-z0-9_-]{43}=$/

export interface ApiKeyPorts {
  readonly ledger: AuthLedger
  readonly passwords: Passwords
}

/**
 * API keys as the peer makes them: 16 bytes that name the key and 16 that are its secret, in URL-safe base64. Kept is only a shadow of the
 * secret's hex digits. The methods are those of `Users`.
 *
 * @see spec/cell-operations.md, section 15
 */
export class ApiKeys {
  readonly #ledger: AuthLedger
  readonly #passwords: Passwords

  constructor({ledger, passwords}: ApiKeyPorts) {
    this.#ledger = ledger
    this.#passwords = passwords
  }

  async add(
    user: string,
    name: string,
    durationMs: number | undefined,
    actor: string,
  ): Promise<{readonly text: string; readonly key: ApiKey}> {
    this.#checkNew(user, name, durationMs)
    const iden = randomBytes(IDEN_BYTES)
    const secret = randomBytes(SECRET_BYTES)
    const shadow = await this.#passwords.hash(secret.toString('hex'))
    this.#checkNew(user, name, durationMs)
    const nowMs = this.#ledger.nowMs
    const expiresMs = durationMs === undefined ? undefined : nowMs + durationMs
    const key = {iden: iden.toString('hex'), name, user, createdMs: nowMs, updatedMs: nowMs, expiresMs}
    await this.#ledger.change({kind: 'key:add', key, shadow}, actor)
    return {text: toUrlSafe(Buffer.concat([iden, secret])), key}
  }

  /** Texts of refusals are for the log and for administrators: they tell which keys exist. */
  async check(text: string): Promise<{readonly key: ApiKey; readonly user: User}> {
    const bytes = KEY_TEXT.test(text) ? Buffer.from(text, 'base64url') : undefined
    if (bytes === undefined) throw refused('API key is malformed.')
    const iden = bytes.toString('hex', 0, IDEN_BYTES)
    const {shadow} = this.#usable(iden)
    const isRight = await this.#passwords.check(bytes.toString('hex', IDEN_BYTES), shadow)
    // It may have been deleted or its user locked while it was checked.
    const {key, user} = this.#usable(iden)
    if (!isRight) throw refused(`API key shadow mismatch: ${iden}`, user)
    return {key, user}
  }

  async setName(iden: string, name: string, actor: string): Promise<ApiKey> {
    const stored = this.#ledger.pending.apiKey(iden)
    if (stored === undefined) throw noSuchKey(`User API key does not exist, cannot modify it: ${iden}`, iden)
    checkName(name, 'the name of a key')
    const updatedMs = this.#ledger.nowMs
    await this.#ledger.change({kind: 'key:name', iden, name, updatedMs}, actor)
    return {...stored.key, name, updatedMs}
  }

  async delete(iden: string, actor: string): Promise<void> {
    const stored = this.#ledger.pending.apiKey(iden)
    if (stored === undefined) throw noSuchKey(`User API key does not exist: ${iden}`, iden)
    await this.#ledger.change({kind: 'key:del', iden}, actor)
    this.#passwords.forget(stored.shadow)
  }

  #checkNew(user: string, name: string, durationMs: number | undefined): void {
    const {pending} = this.#ledger
    if (pending.user(user) === undefined) throw noSuchUser(user)
    checkName(name, 'the name of a key')
    if (durationMs !== undefined && (!Number.isSafeInteger(durationMs) || durationMs < 1)) {
      throw badArg('Duration must be equal or greater than 1', 'duration')
    }
    if (pending.apiKeysOf(user).length >= MAX_KEYS) throw hitLimit(`a user can have at most ${MAX_KEYS} API keys`)
  }

  /** Gives a key that exists, of a user that may log in, and that has not run out. */
  #usable(iden: string): {
    readonly key: ApiKey
    readonly user: User
    readonly shadow: Parameters<Passwords['check']>[1]
  } {
    const stored = this.#ledger.visible.apiKey(iden)
    if (stored === undefined) throw refused(`API key does not exist: ${iden}`)
    const user = this.#ledger.visible.user(stored.key.user)
    if (user === undefined) throw refused(`User does not exist for API key: ${iden}`)
    const isLocked = user.isLocked || this.#ledger.pending.user(user.iden)?.isLocked !== false
    if (isLocked) throw refused(`User associated with API key is locked: ${iden}`, user)
    const {expiresMs} = stored.key
    if (expiresMs !== undefined && this.#ledger.nowMs > expiresMs) throw refused(`API key is expired: ${iden}`, user)
    return {key: stored.key, shadow: stored.shadow, user}
  }
}

/** Node's own form has no padding. */
function toUrlSafe(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

function refused(text: string, user?: User): RegistryError {
  return new RegistryError('REG_DENIED', text, {info: user === undefined ? {} : {user: user.iden, name: user.name}})
}

function noSuchKey(text: string, iden: string): RegistryError {
  return new RegistryError('REG_NOT_FOUND', text, {telepath: 'NoSuchIden', info: {iden}})
}
