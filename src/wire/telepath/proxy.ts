/** The calling side of Telepath: objects of a peer, as `caller.ts` describes them. */
import type {Value} from '../msgpack/value.ts'
import type {Callable, CallOptions, TelepathProxy} from './caller.ts'
import {type ClientSession, openSession, type ProxyOptions} from './client-session.ts'
import type {Welcome} from './server-messages.ts'
import type {ShareInfo} from './share.ts'

/**
 * Opens a session. It does not connect again: when its link is gone all calls fail.
 *
 * @throws RegistryError what `dial` throws; the peer's refusal; `REG_TIMED_OUT`; `REG_LINK_CLOSED` when it closes before it answers;
 * `REG_BAD_ANSWER` when it speaks something else; the signal's reason
 */
export async function openProxy(options: ProxyOptions): Promise<TelepathProxy> {
  const [session, welcome] = await openSession(options)
  return new SessionProxy(session, welcome)
}

/** An object that is called by the name of a dynamic share, or as that of the session. */
class Remote implements Callable {
  readonly info: ShareInfo
  readonly #session: ClientSession
  readonly #share: string | null

  constructor(session: ClientSession, info: ShareInfo, share: string | null) {
    this.#session = session
    this.info = info
    this.#share = share
  }

  call(method: string, options: CallOptions = {}): Promise<Value> {
    return this.#session.call(method, options, this.#share)
  }

  stream(method: string, options: CallOptions = {}): AsyncGenerator<Value, void> {
    return this.#session.stream(method, options, this.#share)
  }

  async share(method: string, options: CallOptions = {}): Promise<Callable & AsyncDisposable> {
    const {iden, info} = await this.#session.share(method, options, this.#share)
    return new DynamicShare(this.#session, info, iden)
  }
}

class DynamicShare extends Remote implements AsyncDisposable {
  readonly #drop: () => void
  #isDropped = false

  constructor(session: ClientSession, info: ShareInfo, iden: string) {
    super(session, info, iden)
    this.#drop = () => session.dropShare(iden)
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isDropped) this.#drop()
    this.#isDropped = true
    return Promise.resolve()
  }
}

class SessionProxy extends Remote implements TelepathProxy {
  readonly features: Readonly<Record<string, number>>
  readonly ahaName: string | null | undefined
  readonly peerVersion: readonly number[]
  readonly closed: Promise<Error | undefined>
  readonly #end: () => void

  constructor(session: ClientSession, {info, features, ahaName, peerVersion}: Welcome) {
    super(session, info, null)
    this.features = features
    this.ahaName = ahaName
    this.peerVersion = peerVersion
    this.closed = session.closed
    this.#end = () => session.end()
  }

  async close(): Promise<void> {
    this.#end()
    await this.closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
