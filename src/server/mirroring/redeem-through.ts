/** One-time URLs that are redeemed at a mirror: each step is done by the leader, who signs. */
import {RegistryError} from '../../base/errors.ts'
import type {Callable} from '../../wire/telepath/caller.ts'
import type {Answer, Call, Greet, Opened, Share, ShareInfo} from '../../wire/telepath/share.ts'
import {noSuchTicket} from '../redemption.ts'
import type {Forwarder} from './forwarder.ts'

export interface RedeemThroughPorts {
  readonly forwarder: () => Pick<Forwarder, 'isNeeded' | 'leader'> | undefined
  /** Refuses who asked for many URLs that there are not. */
  readonly limiter: {assertAllowed(address: string, name: string | undefined): void}
  /** Answers while this member leads. */
  readonly own: Greet
}

/** Longest wait for a leader, ms: clients give a greeting ten seconds. */
const WAIT_MS = 5000

/** Makes the `Greet` of a provisioning listener that has the leader redeem while this is a mirror. */
export function redeemThrough({forwarder, limiter, own}: RedeemThroughPorts): Greet {
  return async (greeting, sessionId) => {
    const way = forwarder()
    if (way?.isNeeded !== true) return await own(greeting, sessionId)
    const {name, path, peer} = greeting
    limiter.assertAllowed(peer.address, undefined)
    if (path.length > 0) throw noSuchTicket(name)
    const leader = await way.leader({waitMs: WAIT_MS})
    if (leader === undefined) return await own(greeting, sessionId)
    return opened(await leader.share('redeem', {args: [name, peer.address, peer.family]}))
  }
}

function opened(remote: Callable & AsyncDisposable): Opened {
  return {share: new RemoteShare(remote), closed: () => void remote[Symbol.asyncDispose]()}
}

/** An object of the leader that is called here. */
class RemoteShare implements Share {
  readonly info: ShareInfo
  readonly #remote: Callable

  constructor(remote: Callable) {
    this.info = remote.info
    this.#remote = remote
  }

  async call({method, args, kwargs, signal}: Call): Promise<Answer> {
    const known = this.info.methods.get(method)
    if (known === undefined) throw noSuchMethod(method)
    if (known.isGenerator) return {kind: 'stream', items: this.#remote.stream(method, {args, kwargs, signal})}
    return {kind: 'value', value: await this.#remote.call(method, {args, kwargs})}
  }
}

function noSuchMethod(name: string): RegistryError {
  const shown = name.slice(0, 100)
  return new RegistryError('REG_NOT_FOUND', `This one-time URL has no method: ${shown}.`, {
    telepath: 'NoSuchMeth',
    info: {name: shown},
  })
}
