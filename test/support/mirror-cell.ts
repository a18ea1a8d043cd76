// A cell that leads, and a mirror of it without sockets: what the mirror passes on goes to the leader's desk as it would over a link. Both look at
// the same state, as if each entry came back at once.
import {RegistryError} from '../../src/base/errors.ts'
import type {CellParts} from '../../src/server/cell-parts.ts'
import {ForwardDesk, type ForwardDeskPorts} from '../../src/server/mirroring/forward-desk.ts'
import {Forwarder, type OwnLog, type RoleView} from '../../src/server/mirroring/forwarder.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {CallOptions, TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {TestCell} from './cell.ts'

type Kind = RoleView['role']['kind']

/** A role that a test sets. */
export class TestRole implements RoleView {
  role: {readonly kind: Kind}
  readonly #listeners: (() => void)[] = []

  constructor(kind: Kind) {
    this.role = {kind}
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  set(kind: Kind): void {
    this.role = {kind}
    for (const listener of this.#listeners) listener()
  }
}

/** A session with a leader whose one method is `forward`. */
export function proxyOf(forward: (bytes: Value, options: CallOptions) => Promise<Value>): TelepathProxy {
  const refuse = () => {
    throw new Error('a mirror calls forward only')
  }
  return {
    info: {classes: [], methods: new Map()},
    features: {},
    ahaName: null,
    peerVersion: [],
    closed: new Promise(() => undefined),
    call: (method, options = {}) => (method === 'forward' ? forward(options.args?.[0], options) : refuse()),
    stream: refuse,
    share: refuse,
    close: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** All of the log is here. */
export const ALL_HERE: OwnLog = {
  written: () => Promise.resolve(true),
  epoch: 1,
  hashAt: () => Promise.resolve(undefined),
}

export class MirrorCell {
  readonly leader: TestCell
  readonly mirror: TestCell
  readonly role: TestRole
  readonly forwarder: Forwarder
  readonly #link: Link

  private constructor(leader: TestCell, mirror: TestCell, role: TestRole, forwarder: Forwarder, link: Link) {
    this.leader = leader
    this.mirror = mirror
    this.role = role
    this.forwarder = forwarder
    this.#link = link
  }

  static async open(settings: Parameters<typeof TestCell.open>[0] = {}): Promise<MirrorCell> {
    const leader = await TestCell.open(settings)
    const role = new TestRole('follows')
    const link: Link = {isLeading: true, asked: 0}
    const desk = new ForwardDesk({...deskPorts(leader.parts), leads: () => link.isLeading})
    const proxy = proxyOf(async (bytes, {onSent}) => {
      link.asked += 1
      onSent?.()
      return await desk.take(bytes, {name: '01.aha'}, new AbortController().signal)
    })
    const uplink = {leaderProxy: () => Promise.resolve(proxy), lostForMs: undefined}
    const forwarder = new Forwarder({role, uplink, log: ALL_HERE})
    const mirror = await TestCell.open(settings, {...leader.parts, forwarder})
    return new MirrorCell(leader, mirror, role, forwarder, link)
  }

  /** How often the leader was asked. */
  get asked(): number {
    return this.#link.asked
  }
}

interface Link {
  isLeading: boolean
  asked: number
}

function deskPorts(parts: CellParts): Omit<ForwardDeskPorts, 'leads'> {
  const zeromq = () => Promise.reject(new RegistryError('REG_BAD_REQUEST', 'there is no ZeroMQ here'))
  return {parts: () => parts, zeromq, head: () => ({nextOffset: parts.changes.nextOffset, epoch: 1, lastHash: ''})}
}
