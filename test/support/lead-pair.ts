// A leader and its mirror, and the AHA that knows them, as far as a command sees them: for the form of commands. What they really do is for the
// interop tests.
import type {Value} from '../../src/wire/msgpack/value.ts'
import {type PeerLink, partsOf, TelepathPeer, welcoming} from './telepath-peer.ts'

const NETWORK = 'demo.net'
const IDEN = 'c0ffee00c0ffee00c0ffee00c0ffee00'
const NAMES = ['00.cortex', '01.cortex'] as const

type Name = (typeof NAMES)[number]

export class LeadPair implements AsyncDisposable {
  readonly #peers = new Map<Name, TelepathPeer>()
  readonly #stack = new AsyncDisposableStack()
  #leader: Name = '00.cortex'
  /** Who is kept from leading. */
  #fenced: Name | undefined
  #aha: TelepathPeer | undefined

  static async start(): Promise<LeadPair> {
    const pair = new LeadPair()
    for (const name of NAMES) {
      const peer = await TelepathPeer.start(welcoming((message, link) => pair.#answer(name, message, link)))
      pair.#peers.set(name, pair.#stack.use(peer))
    }
    pair.#aha = pair.#stack.use(
      await TelepathPeer.start(welcoming((message, link) => pair.#answerAsAha(message, link), ['fenceAhaSvc'])),
    )
    return pair
  }

  /** For `aha:servers` of `telepath.yaml`. */
  get ahaUrl(): string {
    return this.#aha?.url ?? ''
  }

  /** `00.cortex` leads again, and nobody is kept from it. */
  reset(): void {
    this.#leader = '00.cortex'
    this.#fenced = undefined
  }

  /** `00.cortex` was replaced by force. */
  fence(): void {
    this.#leader = '01.cortex'
    this.#fenced = '00.cortex'
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }

  #answer(name: Name, message: Value, link: PeerLink): void {
    const [method] = partsOf(message)[1]['todo'] as [string]
    if (method === 'promote') this.#leader = name
    if (method === 'demote') this.#leader = name === '00.cortex' ? '01.cortex' : '00.cortex'
    if (method === 'getNexusChanges') {
      sendStream(link, [[3, [IDEN, 'nexslog:rotate', [], {}, {}]]])
      return
    }
    const values: Readonly<Record<string, Value>> = {
      getCellInfo: this.#info(name),
      getCellUser: {name: 'root', admin: true},
      getHealthCheck: {status: 'nominal', components: []},
      getUserDefs: [],
      promote: null,
      demote: true,
      getNexsIndx: 7,
      waitNexsOffs: true,
      trimNexsLog: 7,
    }
    link.send(['t2:fini', {retn: [true, values[method]]}])
  }

  #answerAsAha(message: Value, link: PeerLink): void {
    const [method, [asked]] = partsOf(message)[1]['todo'] as [string, Value[]]
    if (method === 'getAhaSvcsByIden') {
      sendStream(
        link,
        NAMES.map((name) => this.#entry(name)),
      )
      return
    }
    const name = NAMES.find((one) => String(asked).startsWith(one)) ?? this.#leader
    if (method === 'unfenceAhaSvc') {
      link.send(['t2:fini', {retn: [true, true]}])
      return
    }
    const value = method === 'getAhaSvc' ? this.#entry(name) : {synapse: {version: [2, 256, 0]}}
    link.send(['t2:fini', {retn: [true, value]}])
  }

  #entry(name: Name): Value {
    const urlinfo = {scheme: 'tcp', host: '127.0.0.1', port: this.#peers.get(name)?.port ?? 0, path: ''}
    const svcinfo = {iden: IDEN, run: name, leader: 'cortex', urlinfo, ready: true, online: 'a'.repeat(32)}
    const fenced = name === this.#fenced ? {fenced: {leader: '01.cortex.demo.net', since: 1}} : {}
    return {name: `${name}.${NETWORK}`, svcname: name, svcnetw: NETWORK, svcinfo: {...svcinfo, ...fenced}}
  }

  #info(name: Name): Value {
    const isLeader = name === this.#leader
    return {
      synapse: {version: [2, 256, 0], verstring: '2.256.0'},
      cell: {
        ...{iden: IDEN, run: name, type: 'cortex', verstring: '2.256.0', started: 0, nexsindx: 7},
        ...{active: isLeader, ready: true, uplink: !isLeader, mirror: isLeader ? null : 'aha://root@cortex...'},
        aha: {name, leader: 'cortex', network: NETWORK},
        nexus: {readonly: false},
      },
      features: {},
    }
  }
}

function sendStream(link: PeerLink, items: readonly Value[]): void {
  link.send(['t2:genr', {}])
  for (const item of items) link.send(['t2:yield', {retn: [true, item]}])
  link.send(['t2:yield', {retn: null}])
}
