import type {TLSSocket} from 'node:tls'
import type {User} from '../auth/model.ts'
import {type Clock, systemClock} from '../base/clock.ts'
import {messageOf, RegistryError} from '../base/errors.ts'
import type {Log} from '../base/log.ts'
import type {Users} from '../cell/users.ts'
import {actorText} from '../registry/actor.ts'
import type {HttpsRequest} from '../wire/https/messages.ts'
import {addressGroup} from '../wire/https/remote-address.ts'
import {badLogin} from './https-errors.ts'
import {HttpsSessions} from './https-sessions.ts'
import {LoginLimiter} from './login-limiter.ts'

/** Who sent a request, and how that is known. */
export interface HttpsLogin {
  readonly userIden: string
  readonly username: string
  readonly by: 'session' | 'api-key' | 'password' | 'certificate'
}

export interface HttpsLoginPorts {
  readonly users: Users
  readonly log: Pick<Log, 'warning'>
  readonly clock?: Clock
  /** Shared with the other listeners, so that a guesser has no more tries by using several. */
  readonly limiter?: LoginLimiter
  /** Gives the user of a client's certificate, undefined when there is none; throws when one is there and no good. */
  readonly certificateUser: (socket: TLSSocket) => User | undefined
}

/** Longest API key and longest Basic credentials that are looked at. */
const MAX_CREDENTIALS = 4096
/** Cookies of one name that are looked at: a page of a subdomain can set more. */
const MAX_COOKIES = 4

/**
 * Finds out who sends a request: by session cookie, API key, Basic credentials or TLS client certificate, in this order. An API key or
 * credentials that are wrong end the search; a cookie without a session counts as none.
 */
export class HttpsLogins {
  readonly #ports: HttpsLoginPorts
  readonly #sessions: HttpsSessions
  readonly #limiter: LoginLimiter
  readonly #stop: () => void

  constructor(ports: HttpsLoginPorts) {
    const clock = ports.clock ?? systemClock
    this.#ports = ports
    this.#sessions = new HttpsSessions(clock)
    this.#limiter = ports.limiter ?? new LoginLimiter(clock)
    this.#stop = ports.users.onBarred((userIden) => this.#sessions.closeAllOf(userIden))
  }

  /**
   * Gives who sent a request; undefined when nobody, or nobody who may log in.
   *
   * @throws RegistryError `REG_BUSY` when too many logins failed
   */
  async find(request: HttpsRequest): Promise<HttpsLogin | undefined> {
    const ofSession = this.#bySession(request)
    if (ofSession !== undefined) return ofSession
    const key = request.header('x-api-key')
    if (key !== undefined) return this.#byApiKey(request, key)
    const basic = /^basic (.*)$/i.exec(request.header('authorization') ?? '')?.[1]
    if (basic !== undefined) return this.#byBasic(request, basic)
    return this.#byCertificate(request)
  }

  /** Tells whether what was found for a request that is still under way is true to this day. */
  async isStillGood(request: HttpsRequest, {userIden, by}: HttpsLogin): Promise<boolean> {
    switch (by) {
      case 'session':
        return this.#bySession(request)?.userIden === userIden
      case 'certificate':
        return this.#byCertificate(request)?.userIden === userIden
      case 'api-key':
        return this.#ports.users.checkApiKey(request.header('x-api-key') ?? '').then(
          ({user}) => user.iden === userIden,
          () => false,
        )
      case 'password':
        // A new password bars the user, and who waits hears of that.
        return true
    }
  }

  /**
   * Checks a name and a password, and opens a session for the token that comes with the user.
   *
   * @throws RegistryError `REG_DENIED`, the same whatever is wrong; `REG_BUSY` when too many logins failed
   */
  async open(
    request: HttpsRequest,
    name: string,
    passwd: string,
  ): Promise<{readonly user: User; readonly token: string}> {
    const user = await this.#checkPasswd(request, name, passwd)
    if (user === undefined) throw badLogin()
    return {user, token: this.#sessions.open(user.iden)}
  }

  /** Ends the sessions whose cookies a request has. */
  close(request: HttpsRequest): void {
    for (const token of sessionCookies(request)) this.#sessions.close(token)
  }

  /** Ends all sessions. */
  stop(): void {
    this.#stop()
  }

  #bySession(request: HttpsRequest): HttpsLogin | undefined {
    for (const token of sessionCookies(request)) {
      const iden = this.#sessions.userOf(token)
      const user = iden === undefined ? undefined : this.#ports.users.user(iden)
      if (user !== undefined && !user.isLocked) return loginOf(user, 'session')
    }
    return undefined
  }

  async #byApiKey(request: HttpsRequest, key: string): Promise<HttpsLogin | undefined> {
    const address = addressGroup(request.remoteAddress)
    this.#limiter.assertAllowed(address, undefined)
    try {
      if (key.length > MAX_CREDENTIALS) throw new RegistryError('REG_DENIED', 'API key is malformed.')
      const {user} = await this.#ports.users.checkApiKey(key)
      return loginOf(user, 'api-key')
    } catch (error) {
      if (!isDenied(error)) throw error
      this.#limiter.countFailure(address, undefined)
      this.#note(request, messageOf(error))
      return undefined
    }
  }

  async #byBasic(request: HttpsRequest, encoded: string): Promise<HttpsLogin | undefined> {
    const text = encoded.length > MAX_CREDENTIALS ? '' : Buffer.from(encoded, 'base64').toString('utf8')
    const colon = text.indexOf(':')
    if (colon < 0) {
      this.#note(request, 'the Basic credentials cannot be read')
      return undefined
    }
    const user = await this.#checkPasswd(request, text.slice(0, colon), text.slice(colon + 1))
    return user === undefined ? undefined : loginOf(user, 'password')
  }

  #byCertificate(request: HttpsRequest): HttpsLogin | undefined {
    try {
      const user = this.#ports.certificateUser(request.socket)
      if (user === undefined) return undefined
      if (!user.isLocked) return loginOf(user, 'certificate')
      this.#note(request, 'User is locked.', user)
    } catch (error) {
      this.#note(request, messageOf(error))
    }
    return undefined
  }

  async #checkPasswd(request: HttpsRequest, name: string, passwd: string): Promise<User | undefined> {
    const {users} = this.#ports
    const address = addressGroup(request.remoteAddress)
    this.#limiter.assertAllowed(address, name)
    try {
      return await users.login(name, passwd, actorText('https', name, request.remoteAddress))
    } catch (error) {
      if (!isDenied(error)) throw error
      this.#limiter.countFailure(address, name)
      const user = users.userByName(name)
      // A name that nobody has may be a password in the wrong field: it is not logged.
      this.#note(request, user === undefined ? 'No such user.' : whyDenied(user), user)
      return undefined
    }
  }

  #note({path, remoteAddress}: HttpsRequest, why: string, user?: User): void {
    const target = user === undefined ? {} : {target_user: user.iden, target_username: user.name}
    this.#ports.log.warning('https.login-failed', {uri: path, remoteip: remoteAddress, why, ...target})
  }
}

function loginOf({iden, name}: User, by: HttpsLogin['by']): HttpsLogin {
  return {userIden: iden, username: name, by}
}

function whyDenied(user: User): string {
  return user.isLocked ? 'User is locked.' : 'Incorrect password.'
}

function isDenied(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'REG_DENIED'
}

/** The tokens of a request, as many as are looked at. */
function sessionCookies(request: HttpsRequest): readonly string[] {
  const cookies = (request.header('cookie') ?? '').split(';').map((cookie) => cookie.trim())
  return cookies.flatMap((cookie) => (cookie.startsWith('sess=') ? [cookie.slice(5)] : [])).slice(0, MAX_COOKIES)
}
