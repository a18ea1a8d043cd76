import {RegistryError} from '../../base/errors.ts'
import {countingChanges} from '../../nexus/asked-changes.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import {enter} from '../cell-door.ts'
import type {CellParts} from '../cell-parts.ts'
import {loadLate} from '../late-part.ts'
import {methodsOf} from '../methods.ts'
import {doneInPart} from './done-in-part.ts'
import {
  decodeCall,
  encodeAnswer,
  type ForwardedAnswer,
  type ForwardedCall,
  type HttpsCall,
  type LogPoint,
  notPassedOn,
  type TelepathCall,
  type ZeromqRequest,
} from './forwarded-call.ts'

/** The member that a call comes through. */
export interface Via {
  /** For the log. */
  readonly name: string
}

export interface ForwardDeskPorts {
  readonly parts: () => CellParts
  /** Does what a client of ZeroMQ asks, and gives the answer as JSON text. */
  readonly zeromq: (request: ZeromqRequest) => Promise<string>
  /** This member takes changes of its own. */
  readonly leads: () => boolean
  /** Where the log ends. */
  readonly head: () => LogPoint
}

/** Does at the leader what members pass on: each call passes the same door as one that comes here itself, with the user as he is known here. */
export class ForwardDesk {
  readonly #ports: ForwardDeskPorts

  constructor(ports: ForwardDeskPorts) {
    this.#ports = ports
  }

  /**
   * Does a call and gives the answer, errors included, both as they travel.
   *
   * @throws RegistryError `REG_BAD_REQUEST` for bytes that are no call
   */
  async take(bytes: Value, via: Via, signal: AbortSignal): Promise<Buffer> {
    const call = decodeCall(bytes)
    if (!this.#ports.leads()) return encodeAnswer({kind: 'not-leader'})
    return encodeAnswer(await this.#answer(call, via, signal))
  }

  async #answer(call: ForwardedCall, via: Via, signal: AbortSignal): Promise<ForwardedAnswer> {
    const {head} = this.#ports
    const count = {changes: 0}
    try {
      const result = await countingChanges(count, () => this.#run(call, via, signal))
      return {kind: 'done', at: head(), result}
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      if (error.code !== 'REG_NOT_LEADER') return {kind: 'failed', at: head(), error}
      // The lead moved: before its first change, it is asked again; after it, that change would be made twice.
      return count.changes === 0 ? {kind: 'not-leader'} : {kind: 'failed', at: head(), error: doneInPart(error)}
    }
  }

  #run(call: ForwardedCall, via: Via, signal: AbortSignal): Promise<Value> {
    switch (call.via) {
      case 'telepath':
        return this.#runTelepath(call, via, signal)
      case 'https':
        return this.#runHttps(call, via)
      case 'zeromq':
        return Promise.all(call.requests.map((request) => this.#ports.zeromq(request)))
      case 'login':
        return this.#ports.parts().users.useOnepass(call.user, call.passwd, call.actor)
      case 'lock':
        return nil(this.#ports.parts().users.setUserLocked(call.user, true, call.actor))
      case 'offline':
        return nil(Promise.resolve(this.#ports.parts().aha?.services.takeOffline(call.services)))
    }
  }

  async #runTelepath(
    {method, args, kwargs, user, session}: TelepathCall,
    via: Via,
    signal: AbortSignal,
  ): Promise<Value> {
    const parts = this.#ports.parts()
    const row = methodsOf(parts).get(method)
    if (row === undefined || row.isGenerator || row.isShare || !row.isWrite) throw notPassedOn(method)
    const acting = {...session, openedBy: user, userIden: user, isElsewhere: true} as const
    const {call} = enter(row, {method, args, kwargs, signal}, {parts, session: acting, sessions: []}, via.name)
    return await row.run(call)
  }

  async #runHttps(call: HttpsCall, via: Via): Promise<Value> {
    const {runForwardedHttps} = await loadLate(() => import('./forwarded-https.ts'))
    return await runForwardedHttps(call, via.name, this.#ports.parts())
  }
}

async function nil(work: Promise<unknown>): Promise<null> {
  await work
  return null
}
