import type {User} from '../auth/model.ts'
import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Answer, Call, Greeting, Opened, Peer, Share, ShareInfo} from '../wire/telepath/share.ts'
import {featuresOf, kindOf} from './cell-api-self.ts'
import {actorOf, type CallContext, CellCall} from './cell-call.ts'
import {admit, enter} from './cell-door.ts'
import type {CellMethod, ShareRow, ValueRow} from './cell-method.ts'
import type {CellParts, Session} from './cell-parts.ts'
import {methodsOf, TELEPATH_METHODS} from './methods.ts'
import {sayingPart} from './mirroring/done-in-part.ts'
import type {TaskOwner} from './tasks.ts'

export interface CellSettings {
  /** `aha:network`: in `visi@network` of a certificate, what is before the `@` names a local user. */
  readonly network: string | undefined
  /** `auth:anon`: the user of those who do not log in. */
  readonly anonymous: string | undefined
  /** Full name of this service in AHA. */
  readonly ahaName: string | undefined
  /** Names under which the cell can be asked for, besides `*`. */
  readonly shareNames: readonly string[]
}

/** Gives what clients see of the cell. */
function shareInfo(parts: CellParts): ShareInfo {
  const methods = [...methodsOf(parts)].map(([name, row]) => [name, {isGenerator: row.isGenerator === true}] as const)
  return {classes: [...kindOf(parts).classes, 'synapse.lib.base.Base'], methods: new Map(methods)}
}

/** The cell for the Telepath listeners: who may open a session, and the calls in it. */
export class CellFrame {
  readonly #parts: CellParts
  readonly #settings: CellSettings
  readonly #sessions = new Map<string, Session>()
  readonly #shareInfo: ShareInfo

  constructor(parts: CellParts, settings: CellSettings) {
    this.#parts = parts
    this.#shareInfo = shareInfo(parts)
    this.#settings = settings
  }

  /**
   * Opens a session, or throws who may not: the `Greet` of the daemon.
   *
   * @throws RegistryError `REG_NOT_FOUND`, `REG_DENIED`, `REG_BUSY`
   */
  readonly greet = async (greeting: Greeting, sessionId: string): Promise<Opened> => {
    const {peer, name} = greeting
    if (name !== '*' && !this.#settings.shareNames.includes(name)) {
      const text = `There is nothing shared by the name ${name.slice(0, 100)}.`
      throw new RegistryError('REG_NOT_FOUND', text, {info: {name}})
    }
    const user = await this.#caller(greeting).catch((error: unknown) => {
      this.#parts.log.warning('login.refused', {peer: peer.address, family: peer.family, error})
      throw error
    })
    const session: Session = {id: sessionId, peer, openedBy: user.iden, userIden: user.iden}
    this.#sessions.set(sessionId, session)
    return {
      share: new CellShare(this.#parts, this.#shareInfo, session, this.#sessions),
      features: featuresOf(this.#parts),
      ahaInfo: {name: this.#settings.ahaName ?? null},
      user: {iden: user.iden, name: user.name},
      closed: () => {
        this.#sessions.delete(sessionId)
        this.#parts.aha?.services.sessionClosed(sessionId)
      },
    }
  }

  /** Ids of the sessions that a user opened or acts in, to be closed when he may not go on. */
  sessionsOf(userIden: string): readonly string[] {
    const ids: string[] = []
    for (const [id, session] of this.#sessions) {
      if (session.openedBy === userIden || session.userIden === userIden) ids.push(id)
    }
    return ids
  }

  async #caller({peer, auth}: Greeting): Promise<User> {
    // Whoever reaches the UNIX socket owns the directory: he may be anybody.
    if (peer.family === 'unix') return this.#unlocked(auth?.user ?? 'root')
    if (peer.certificate !== undefined) return this.userOfCertificate(peer.certificate.name)
    if (auth === undefined) return this.#ofNobody()
    return this.#ofPassword(auth, peer)
  }

  async #ofPassword({user, passwd}: NonNullable<Greeting['auth']>, peer: Peer): Promise<User> {
    const {address} = peer
    const {limiter, users} = this.#parts
    limiter.assertAllowed(address, user)
    try {
      return await users.login(user, passwd, actorOf(peer, user))
    } catch (error) {
      const isBusy = error instanceof RegistryError && error.code === 'REG_BUSY'
      if (!isBusy) limiter.countFailure(address, user)
      throw error
    }
  }

  #unlocked(name: string): User {
    const user = this.#parts.users.userByName(name)
    if (user !== undefined) return reqUnlocked(user, name)
    throw new RegistryError('REG_DENIED', `No such user: ${name}.`, {
      telepath: 'NoSuchUser',
      info: {username: name},
    })
  }

  /**
   * Gives the user of a certificate with that common name.
   *
   * @throws RegistryError `REG_DENIED` when there is none, or he is locked
   */
  userOfCertificate(name: string): User {
    const {users} = this.#parts
    const at = name.indexOf('@')
    const isLocal = at !== -1 && name.slice(at + 1) === this.#settings.network
    const local = isLocal ? users.userByName(name.slice(0, at)) : undefined
    if (local !== undefined) return reqUnlocked(local, local.name)
    const user = users.userByName(name)
    if (user !== undefined) return reqUnlocked(user, name)
    const info = {username: name}
    throw new RegistryError('REG_DENIED', `TLS client cert User not found: ${name}`, {telepath: 'NoSuchUser', info})
  }

  #ofNobody(): User {
    const {anonymous} = this.#settings
    if (anonymous === undefined) throw new RegistryError('REG_DENIED', 'Unable to find cell user (None)')
    const info = {username: anonymous}
    const user = this.#parts.users.userByName(anonymous)
    if (user === undefined) throw new RegistryError('REG_DENIED', `Anon user (${anonymous}) is not found.`, {info})
    if (!user.isLocked) return user
    throw new RegistryError('REG_DENIED', `Anon user (${anonymous}) is locked.`, {info: {...info, user: user.iden}})
  }
}

function reqUnlocked(user: User, name: string): User {
  if (!user.isLocked) return user
  throw new RegistryError('REG_DENIED', `User (${name}) is locked.`, {info: {user: user.iden, username: name}})
}

/** The cell in one session: every call passes the door, with the row of its method and the user as he is now. */
class CellShare implements Share {
  readonly info: ShareInfo
  readonly #parts: CellParts
  readonly #session: Session
  readonly #sessions: ReadonlyMap<string, Session>

  constructor(parts: CellParts, info: ShareInfo, session: Session, sessions: ReadonlyMap<string, Session>) {
    this.#parts = parts
    this.info = info
    this.#session = session
    this.#sessions = sessions
  }

  call(call: Call): Answer | Promise<Answer> {
    const row = methodsOf(this.#parts).get(call.method)
    if (row === undefined) throw noSuchMethod(this.info, call.method)
    const at = {parts: this.#parts, session: this.#session, sessions: this.#sessions.values()}
    const {call: cellCall, bound, context} = enter(row, call, at)
    if (row.isGenerator) {
      const items = row.isBrief ? row.run(cellCall) : this.#lastingStream(row, call, bound, context)
      return {kind: 'stream', items}
    }
    if (row.isShare) return openShare(row, cellCall)
    const value = this.#isElsewhere(row) ? this.#passOn(row, call, cellCall) : this.#runHere(row, cellCall)
    return value instanceof Promise ? this.#lasting(row, call, value, context.user) : {kind: 'value', value}
  }

  /** Only a member that has others can lose the lead. */
  #runHere(row: ValueRow, call: CellCall): Value | Promise<Value> {
    const isMovable = row.isWrite === true && this.#parts.forwarder !== undefined
    return isMovable ? sayingPart(async () => await row.run(call)) : row.run(call)
  }

  #isElsewhere({isWrite}: ValueRow): boolean {
    return isWrite === true && this.#parts.forwarder?.isNeeded === true
  }

  /** Has the leader do it, or does it here when this becomes the leader meanwhile. */
  async #passOn(row: ValueRow, {method, args, kwargs}: Call, cellCall: CellCall): Promise<Value> {
    const {forwarder} = this.#parts
    const {session, user} = cellCall
    const {family, address, port} = session.peer
    const place = {id: session.id, peer: {family, address, port}}
    const forwarded = {via: 'telepath', method, args, kwargs, user: user.iden, session: place} as const
    const here = async () => await this.#runHere(row, cellCall)
    const pass = async () => (forwarder === undefined ? await here() : await forwarder.run(forwarded, here))
    return row.onMirror === undefined ? await pass() : await row.onMirror(cellCall, pass)
  }

  /** A call that did not end at once is a task: it can be seen, and its caller need not wait for it for ever. */
  async #lasting(row: CellMethod, call: Call, work: Promise<Value>, user: User): Promise<Answer> {
    const {tasks, clock} = this.#parts
    const task = tasks.begin(call.method, ownerOf(user), clock.wallMs(), row.isUnawaited !== true)
    const {promise: killed, reject} = Promise.withResolvers<never>()
    task.signal.addEventListener('abort', () => reject(task.signal.reason), {once: true})
    try {
      return {kind: 'value', value: await Promise.race([work, killed])}
    } finally {
      tasks.end(task)
    }
  }

  async *#lastingStream(
    row: Extract<CellMethod, {readonly isGenerator: true}>,
    call: Call,
    bound: Readonly<Record<string, Value>>,
    context: CallContext,
  ): AsyncGenerator<Value, void> {
    const {tasks, clock} = this.#parts
    const task = tasks.begin(call.method, ownerOf(context.user), clock.wallMs(), row.isUnawaited !== true)
    const leave = () => tasks.kill(task.iden)
    call.signal.addEventListener('abort', leave)
    if (call.signal.aborted) leave()
    try {
      for await (const item of row.run(new CellCall(context, {signal: task.signal}, bound))) {
        admit(this.#parts.users, row, this.#session.userIden) // he may be an admin no more
        yield item
      }
    } finally {
      call.signal.removeEventListener('abort', leave)
      tasks.end(task)
    }
  }
}

function ownerOf({iden, name}: User): TaskOwner {
  return {iden, name}
}

async function openShare(row: ShareRow, call: CellCall): Promise<Answer> {
  return {kind: 'share', ...(await row.run(call))}
}

function noSuchMethod({classes}: ShareInfo, name: string): RegistryError {
  const shown = name.slice(0, 100)
  // What an AHA would have: somebody may have forgotten to make this cell one.
  const forAha = TELEPATH_METHODS.has(name) ? {hints: ['registry config explain dns:name']} : {}
  return new RegistryError('REG_NOT_FOUND', `${classes[0]?.split('.').at(-1)} has no method: ${shown}.`, {
    telepath: 'NoSuchMeth',
    info: {name: shown},
    ...forAha,
  })
}
