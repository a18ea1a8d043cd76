// An AHA of this software without sockets, with services of one cell, as the command line sees it.
import type {Member, MemberFence, MemberState} from '../../src/registry/leadership.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {AHA_NETWORK} from './aha.ts'
import {TestCell} from './cell.ts'
import {DirectCall} from './cell-proxy.ts'

const STATE: MemberState = {
  ...{isActive: false, isReady: true, hasUplink: true, isReadOnly: false, nexusIndex: 10},
  ...{mirror: 'aha://root@axon...', version: '1.0.0', synapseVersion: '2.256.0', startedMs: 0},
}

export const fullName = (name: string) => `${name}.${AHA_NETWORK}`

/** A service of the cell as it is known before a promotion. */
export function memberOf(name: string, role: 'leader' | 'mirror' | 'offline', fence?: MemberFence): Member {
  const state = {...STATE, isActive: role === 'leader', mirror: role === 'leader' ? null : STATE.mirror}
  return {
    ...{name: fullName(name), shortName: name, runId: name, address: null, isPromotable: true},
    isOnline: role !== 'offline',
    state: role === 'offline' ? undefined : state,
    ...(fence === undefined ? {} : {fence}),
  }
}

export class FencedAha {
  readonly #cell: TestCell
  /** Who asks it. */
  user: 'root' | 'visi' = 'root'

  private constructor(cell: TestCell) {
    this.#cell = cell
  }

  /** With `00.axon`, which had the name of the leader last, `01.axon` and `02.axon`. */
  static async open(): Promise<FencedAha> {
    const cell = await TestCell.open({network: AHA_NETWORK})
    await cell.users.addUser({name: 'visi'}, 'test')
    const aha = new FencedAha(cell)
    for (const name of ['00.axon', '01.axon', '02.axon']) await aha.register(name, name)
    await aha.register('axon', '00.axon')
    return aha
  }

  async register(name: string, run: string): Promise<void> {
    const certificate = {name: 'root', issuer: AHA_NETWORK, serial: '1', fingerprint: '00'}
    const peer = {family: 'tls', address: '10.0.0.7', port: 1, certificate} as const
    const session = await this.#cell.session(undefined, {peer})
    const urlinfo = {scheme: 'ssl', port: 1, hostname: fullName(run)}
    await session.call('addAhaSvc', [name, {run, iden: 'i0', leader: 'axon', urlinfo}, AHA_NETWORK])
  }

  /** Asks it as `TeleEnv.askAha` does. */
  readonly askAha = async <T>(ask: (aha: TelepathProxy) => Promise<T>): Promise<T> =>
    await ask(new DirectCall(await this.#cell.session(this.user)) as unknown as TelepathProxy)

  /** Those that are kept from leading. */
  async fenced(): Promise<readonly string[]> {
    const {aha} = (await (await this.#cell.session('root')).call('getRegistryInfo')) as {aha: {fences: Value[]}}
    return aha.fences.map((fence) => String((fence as {name: string}).name))
  }
}
