/**
 * The websocket where admins watch what happens to users and roles:
 *
 *     client: {"type":"call:init"}
 *     server: {"type":"init","data":{}}
 *     server: {"type":"iter","data":{"event":"user:add","offset":12,"info":{…}}} …
 *
 * or `errx` with `code` and `mesg`. As at the peer it opens for anyone, and the first message decides.
 */
import type {AuthChange} from '../auth/change.ts'
import {authorize} from '../auth/door.ts'
import {parseJson} from '../base/json-parse.ts'
import type {Users} from '../cell/users.ts'
import type {HttpsRequest, HttpsWebsocket, WebsocketRoute} from '../wire/https/messages.ts'
import {eventsOf} from './auth-events.ts'
import {type Admitted, assertOwnPage} from './https-api.ts'
import type {HttpsLogin, HttpsLogins} from './https-login.ts'
import {HTTPS_WEBSOCKETS} from './https-routes.ts'

const {path, need} = HTTPS_WEBSOCKETS.behold

/** How long a client may take to say what it wants, ms. */
const INIT_MS = 10_000
/** How often it is looked at whether those who watch still may, ms. A revoked certificate ends it within twice this. */
const RECHECK_MS = 2000

export interface BeholdPorts {
  readonly users: Users
  readonly logins: Pick<HttpsLogins, 'find' | 'isStillGood'>
  readonly isBehindProxy: boolean
}

/** Who watches. */
export class Behold {
  readonly #ports: BeholdPorts
  readonly #watching = new Map<HttpsWebsocket, Watcher>()
  readonly #stops: readonly (() => void)[]
  #timer: NodeJS.Timeout | undefined

  constructor(ports: BeholdPorts) {
    this.#ports = ports
    this.#stops = [
      ports.users.onChanged((change, offset) => this.#tell(change, offset)),
      ports.users.onBarred((userIden) => this.#endAllOf(userIden)),
    ]
  }

  get route(): WebsocketRoute<Admitted> {
    return {
      path,
      admit: (request) => {
        assertOwnPage(request, this.#ports.isBehindProxy)
        return undefined
      },
      open: (socket, request) => this.#open(socket, request),
    }
  }

  /** Ends the watching; the server closes the sockets. */
  stop(): void {
    for (const stop of this.#stops) stop()
    clearInterval(this.#timer)
    this.#watching.clear()
  }

  #open(socket: HttpsWebsocket, request: HttpsRequest): void {
    const late = setTimeout(() => socket.close(1008, 'nothing was asked for'), INIT_MS)
    let isFirst = true
    socket.onMessage((text) => {
      // The peer would begin anew with each message.
      if (!isFirst) return
      isFirst = false
      clearTimeout(late)
      this.#begin(socket, request, text).catch(() => socket.close(1008, 'it failed'))
    })
    socket.onClosed(() => {
      clearTimeout(late)
      this.#watching.delete(socket)
      if (this.#watching.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    })
  }

  async #begin(socket: HttpsWebsocket, request: HttpsRequest, text: string): Promise<void> {
    const problem = problemOf(text)
    if (problem !== undefined) return refuse(socket, problem)
    const login = await this.#ports.logins.find(request)
    if (login === undefined || !this.#isAdmin(login)) return refuse(socket, NOT_ADMIN)
    socket.send({type: 'init', data: {}})
    if (!socket.isOpen) return
    this.#watching.set(socket, {request, login})
    this.#timer ??= setInterval(() => this.#recheck(), RECHECK_MS).unref()
  }

  #tell(change: AuthChange, offset: number): void {
    if (this.#watching.size === 0) return
    const events = eventsOf(change, this.#ports.users)
    for (const {event, info, gates} of events) {
      const data = {event, offset, info, ...(gates === undefined ? {} : {gates})}
      for (const socket of this.#watching.keys()) socket.send({type: 'iter', data})
    }
  }

  #recheck(): void {
    for (const [socket, {request, login}] of this.#watching) {
      const end = () => this.#end(socket)
      if (!this.#isAdmin(login)) end()
      else this.#ports.logins.isStillGood(request, login).then((isGood) => (isGood ? undefined : end()), end)
    }
  }

  #endAllOf(userIden: string): void {
    for (const [socket, {login}] of this.#watching) if (login.userIden === userIden) this.#end(socket)
  }

  #end(socket: HttpsWebsocket): void {
    this.#watching.delete(socket)
    refuse(socket, NOT_ADMIN)
  }

  #isAdmin({userIden}: HttpsLogin): boolean {
    try {
      authorize(this.#ports.users, {kind: 'user', iden: userIden}, need)
      return true
    } catch {
      // Why does not matter here.
      return false
    }
  }
}

interface Watcher {
  readonly request: HttpsRequest
  readonly login: HttpsLogin
}

function refuse(socket: HttpsWebsocket, problem: Problem): void {
  socket.send({type: 'errx', data: problem})
  socket.close(1008, problem.code)
}

interface Problem {
  readonly code: string
  readonly mesg: string
}

const NOT_ADMIN: Problem = {code: 'AuthDeny', mesg: 'Beholder API requires admin privs'}

function problemOf(text: string): Problem | undefined {
  let message: unknown
  try {
    message = parseJson(text)
  } catch {
    return {code: 'BadJsonText', mesg: 'The message is not JSON.'}
  }
  const isInit = typeof message === 'object' && message !== null && 'type' in message && message.type === 'call:init'
  return isInit ? undefined : {code: 'BadMesgFormat', mesg: 'Invalid initial message'}
}
