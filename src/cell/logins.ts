import type {Shadow, User} from '../auth/model.ts'
import {type PasswordPolicy, policyError, reuseViolation, violationsOf} from '../auth/policy.ts'
import {RegistryError} from '../base/errors.ts'
import {newGuid} from '../base/ids.ts'
import type {Log} from '../base/log.ts'
import type {AuthLedger} from './auth-ledger.ts'
import {hashOnepass, isSameHash, type Passwords} from './passwords.ts'
import {badArg, canBePasswd, checkPasswd, noSuchUser} from './user-checks.ts'

export interface LoginPorts {
  readonly ledger: AuthLedger
  readonly passwords: Passwords
  readonly log: Pick<Log, 'warning' | 'error'>
}

/** Has the leader write what a login leaves, when it is at a mirror. */
export interface LoginsElsewhere {
  /** This is a mirror now. */
  readonly isNeeded: boolean
  /** Takes a password that works once. False when somebody had it before. */
  useOnepass(iden: string, passwd: string, actor: string): Promise<boolean>
  lock(iden: string, actor: string): Promise<void>
}

/**
 * Passwords of users: setting, checking, the policy, and passwords that work once.
 *
 * Wrong passwords are counted in memory, for users that exist and have one. The log gets an entry only when that locks the user: so a failed
 * login costs no write, and what a stranger can add to the log is one entry a user. The price: a restart counts from zero again.
 */
export class Logins {
  readonly #ports: LoginPorts
  readonly #policy: PasswordPolicy
  readonly #rootIden: string
  /** Wrong passwords in a row, by iden. */
  readonly #failures = new Map<string, number>()
  #elsewhere: LoginsElsewhere | undefined

  constructor(ports: LoginPorts, policy: PasswordPolicy, rootIden: string) {
    this.#ports = ports
    this.#policy = policy
    this.#rootIden = rootIden
  }

  /** Has the leader write what logins leave, as long as this is a mirror. */
  passOn(elsewhere: LoginsElsewhere): void {
    this.#elsewhere = elsewhere
  }

  /** As `Users.login`. */
  async login(name: string, passwd: string | null, actor: string): Promise<User> {
    const {visible} = this.#ports.ledger
    const user = visible.userByName(name)
    if (passwd === null) throw user === undefined ? unknownUser(name) : invalid(user)
    if (user !== undefined && (await this.#useOnepass(user, passwd, actor))) return user
    const shadow = user === undefined || this.#isBarred(user) ? null : visible.credentials(user.iden).shadow
    const isRight = await this.#ports.passwords.check(passwd, canBePasswd(passwd) ? shadow : null)
    if (user === undefined) throw unknownUser(name)
    // While this password was checked, another attempt may have locked him, or he may have got a new one.
    const now = visible.user(user.iden)
    if (now === undefined || this.#isBarred(now)) throw invalid(user)
    if (!isRight && shadow !== null) this.#countFailure(user, actor)
    if (!isRight || visible.credentials(user.iden).shadow !== shadow) throw invalid(user)
    this.#failures.delete(user.iden)
    return now
  }

  /**
   * Gives what is kept of a new password, when the policy allows it to a user who had `previous` ones.
   *
   * @throws RegistryError `REG_BAD_REQUEST`, `REG_BUSY`
   */
  async shadowFor(passwd: string, previous: readonly Shadow[]): Promise<Shadow> {
    checkPasswd(passwd)
    const {passwords} = this.#ports
    const violations = [...violationsOf(this.#policy, passwd)]
    const excluded = this.#policy.previous ?? 0
    for (const shadow of previous.slice(0, excluded)) {
      if (!(await passwords.check(passwd, shadow))) continue
      violations.push(reuseViolation(excluded))
      break
    }
    if (violations.length > 0) throw policyError(violations)
    return passwords.hash(passwd)
  }

  /** As `Users.setUserPasswd`. */
  async setPasswd(iden: string, passwd: string | null, actor: string): Promise<void> {
    const {ledger} = this.#ports
    if (ledger.pending.user(iden) === undefined) throw noSuchUser(iden)
    const {previous} = ledger.pending.credentials(iden)
    const shadow = passwd === null ? null : await this.shadowFor(passwd, previous)
    await this.#putShadow(iden, shadow, shadow === null ? null : this.#policy.previous, actor)
  }

  /** Sets a password of the configuration, which no policy applies to, unless it is the present one. */
  async ensurePasswd(iden: string, passwd: string, actor: string): Promise<void> {
    checkPasswd(passwd)
    const {ledger, passwords} = this.#ports
    if (await passwords.check(passwd, ledger.visible.credentials(iden).shadow)) return
    await this.#putShadow(iden, await passwords.hash(passwd), null, actor)
  }

  /** As `Users.genUserOnepass`. */
  async issueOnepass(iden: string, durationMs: number, actor: string): Promise<string> {
    const {ledger} = this.#ports
    if (ledger.pending.user(iden) === undefined) throw noSuchUser(iden)
    if (!Number.isSafeInteger(durationMs) || durationMs < 1) {
      throw badArg('Duration must be equal or greater than 1', 'duration')
    }
    const passwd = newGuid()
    const onepass = {sha256: hashOnepass(passwd), expiresMs: ledger.nowMs + durationMs}
    await ledger.change({kind: 'user:onepass', iden, onepass}, actor)
    return passwd
  }

  /** Begins to count from zero; for a user that was unlocked or is gone. */
  forgetFailures(iden: string): void {
    this.#failures.delete(iden)
  }

  /** As `Users.useOnepass`. */
  async useOnepass(iden: string, passwd: string, actor: string): Promise<boolean> {
    const user = this.#ports.ledger.visible.user(iden)
    return user !== undefined && (await this.#useOnepass(user, passwd, actor))
  }

  /** Takes a password that works once. It is decided before anything is waited for: of two logins with it, one fails. */
  async #useOnepass(user: User, passwd: string, actor: string): Promise<boolean> {
    const {ledger} = this.#ports
    const {onepass} = ledger.pending.credentials(user.iden)
    if (this.#isBarred(user) || onepass === null || onepass.expiresMs < ledger.nowMs) return false
    if (!isSameHash(hashOnepass(passwd), onepass.sha256)) return false
    if (this.#elsewhere?.isNeeded) return await this.#elsewhere.useOnepass(user.iden, passwd, actor)
    await ledger.change({kind: 'user:onepass', iden: user.iden, onepass: null}, actor)
    return true
  }

  async #putShadow(iden: string, shadow: Shadow | null, keep: number | null, actor: string): Promise<void> {
    const {ledger, passwords} = this.#ports
    if (ledger.pending.user(iden) === undefined) throw noSuchUser(iden)
    const old = ledger.pending.credentials(iden).shadow
    await ledger.change({kind: 'user:passwd', iden, shadow, keep}, actor)
    if (old !== null) passwords.forget(old)
  }

  /** Locked, or about to be: a lock that could not be stored yet holds all the same. */
  #isBarred(user: User): boolean {
    const pending = this.#ports.ledger.pending.user(user.iden)
    if (user.isLocked || pending === undefined || pending.isLocked) return true
    return user.iden !== this.#rootIden && this.#isOverLimit(user.iden)
  }

  #isOverLimit(iden: string): boolean {
    const {attempts} = this.#policy
    return attempts !== null && (this.#failures.get(iden) ?? 0) >= attempts
  }

  #countFailure(user: User, actor: string): void {
    if (this.#policy.attempts === null) return
    const failures = (this.#failures.get(user.iden) ?? 0) + 1
    this.#failures.set(user.iden, failures)
    if (!this.#isOverLimit(user.iden)) return
    const {log, ledger} = this.#ports
    const facts = {user: user.iden, username: user.name, failures}
    if (user.iden === this.#rootIden) {
      log.error('user.attempts-exceeded', facts)
      return
    }
    log.warning('user.locked-by-attempts', facts)
    const locked = this.#elsewhere?.isNeeded
      ? this.#elsewhere.lock(user.iden, actor)
      : ledger.change({kind: 'user:locked', iden: user.iden, isLocked: true}, actor)
    locked.catch((error: unknown) => {
      log.error('user.lock-not-stored', {...facts, error})
    })
  }
}

function unknownUser(name: string): RegistryError {
  return new RegistryError('REG_DENIED', `No such user: ${name}.`, {telepath: 'NoSuchUser', info: {username: name}})
}

function invalid(user: User): RegistryError {
  return new RegistryError('REG_DENIED', 'Invalid password', {info: {username: user.name, user: user.iden}})
}
