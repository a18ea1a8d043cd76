import {randomInt} from 'node:crypto'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {Log} from '../base/log.ts'
import {Mailbox} from '../base/mailbox.ts'
import {type AhaEntry, onlineOf} from '../registry/aha-entry.ts'
import {expandName} from '../registry/aha-name.ts'
import {
  type AhaPool,
  type AhaPoolChange,
  checkPoolName,
  decodePool,
  decodePoolChange,
  encodePool,
  encodePoolChange,
  isPoolKind,
  poolAfter,
} from '../registry/aha-pool.ts'
import {tooMany} from './aha-limits.ts'
import type {AhaServices} from './aha-services.ts'
import {type RecordFormat, RecordLedger, type RecordLedgerPorts} from './record-ledger.ts'

const MAX_POOLS = 1000
/** Each change writes the pool anew: 1000 members are some 200 KB. */
const MAX_MEMBERS = 1000
/** Who follows a pool and is that far behind is cut off, as at the peer. */
const MAX_LATE = 1000

const FORMAT: RecordFormat<AhaPoolChange, AhaPool> = {
  table: 'aha:pool',
  keyOf: ({pool}) => pool,
  after: poolAfter,
  isKind: isPoolKind,
  encodeChange: encodePoolChange,
  decodeChange: decodePoolChange,
  encode: encodePool,
  decode: decodePool,
}

export interface AhaPoolsPorts extends RecordLedgerPorts {
  readonly services: AhaServices
  readonly clock: Pick<Clock, 'wallMs'>
  readonly log: Log
}

/** What who follows a pool is told. */
export type Topology =
  | {readonly kind: 'svc:add'; readonly entry: AhaEntry}
  | {readonly kind: 'svc:del'; readonly service: string}

/** Who made a pool or put a member in, and how the change log names who asked. */
interface Author {
  readonly creator: string
  readonly actor: string
}

/**
 * The pools of AHA: named sets of services that a caller is spread over. All changes are durable before their promises resolve. Names may end in
 * three dots.
 *
 * @see spec/aha.md, section 3.4
 */
export class AhaPools {
  readonly #ledger: RecordLedger<AhaPoolChange, AhaPool>
  readonly #services: AhaServices
  readonly #clock: Pick<Clock, 'wallMs'>
  readonly #log: Log
  /** Who follows which pool. */
  readonly #followers = new Map<string, Set<Mailbox<Topology>>>()

  private constructor(ports: AhaPoolsPorts, ledger: RecordLedger<AhaPoolChange, AhaPool>) {
    this.#ledger = ledger
    this.#services = ports.services
    this.#clock = ports.clock
    this.#log = ports.log
    ports.services.onNew((full) => this.#tellNew(full))
    ledger.onVisible((change) => this.#onVisible(change))
  }

  /** Reads the pools from the store. Throws as `RecordLedger.open`. */
  static async open(ports: AhaPoolsPorts): Promise<AhaPools> {
    return new AhaPools(ports, await RecordLedger.open(ports, FORMAT))
  }

  get(name: string): AhaPool | undefined {
    return this.#ledger.visible.get(this.#full(name))
  }

  /** In order of name. */
  list(): readonly AhaPool[] {
    return [...this.#ledger.visible.values()].sort((one, other) => (one.name < other.name ? -1 : 1))
  }

  /**
   * Makes a pool without members.
   *
   * @throws RegistryError `REG_CONFLICT` (`DupName`) when a service or pool has the name, or it is kept for others; `REG_BAD_REQUEST`, `REG_BUSY` (too many),
   * `REG_READ_ONLY`, `REG_STORE_FAILED`
   */
  async add(name: string, {creator, actor}: Author): Promise<AhaPool> {
    const full = this.#full(name)
    checkPoolName(full)
    this.#services.assertNotKept(full)
    const {pending} = this.#ledger
    if (this.#services.standing(full) !== undefined || pending.has(full)) {
      const text = `An AHA service or pool is already using the name "${full}".`
      const hints = ['registry pool list', 'registry pool show NAME']
      throw new RegistryError('REG_CONFLICT', text, {telepath: 'DupName', info: {name: full}, hints})
    }
    if (pending.size >= MAX_POOLS) throw tooMany('pools', MAX_POOLS)
    const createdMs = this.#clock.wallMs()
    await this.#ledger.change({kind: 'aha:pool:add', pool: full, createdMs, creator}, actor)
    return {name: full, createdMs, creator, members: []}
  }

  /**
   * Removes a pool and gives it; undefined when there is none. Who follows it hears the end.
   *
   * @throws RegistryError `REG_READ_ONLY`, `REG_BUSY`, `REG_STORE_FAILED`
   */
  async remove(name: string, actor: string): Promise<AhaPool | undefined> {
    const pool = this.#ledger.pending.get(this.#full(name))
    if (pool === undefined) return undefined
    await this.#ledger.change({kind: 'aha:pool:del', pool: pool.name}, actor)
    return pool
  }

  /**
   * Puts a service in; one that is in stays in its place, and who follows the pool is told of it anew. Gives the pool as it is then.
   *
   * @throws RegistryError `REG_NOT_FOUND` (`NoSuchName`) when there is no such service or pool; `REG_BUSY` (too many), `REG_READ_ONLY`,
   * `REG_STORE_FAILED`
   */
  async addMember(name: string, serviceName: string, {creator, actor}: Author): Promise<AhaPool> {
    const full = this.#services.standing(serviceName)?.full
    if (full === undefined) throw noService(expandName(serviceName, this.#services.network))
    const pool = this.#pending(name)
    const isIn = pool.members.some(({service}) => service === full)
    if (!isIn && pool.members.length >= MAX_MEMBERS) throw tooMany('services in a pool', MAX_MEMBERS)
    const createdMs = this.#clock.wallMs()
    const change = {kind: 'aha:pool:svc:add', pool: pool.name, service: full, createdMs, creator} as const
    await this.#ledger.change(change, actor)
    return poolAfter(change, pool) as AhaPool // of a pool that is there
  }

  /**
   * Takes a service out, registered or not. Gives the pool as it is then; nothing happens when it was not in.
   *
   * @throws RegistryError `REG_NOT_FOUND` (`NoSuchName`) when there is no such pool; `REG_READ_ONLY`, `REG_BUSY`, `REG_STORE_FAILED`
   */
  async removeMember(name: string, serviceName: string, actor: string): Promise<AhaPool> {
    const pool = this.#pending(name)
    const service = expandName(serviceName, this.#services.network)
    if (!pool.members.some((member) => member.service === service)) return pool
    const change = {kind: 'aha:pool:svc:del', pool: pool.name, service} as const
    await this.#ledger.change(change, actor)
    return poolAfter(change, pool) as AhaPool // of a pool that is there
  }

  /** Gives the members of a pool that are registered, in the order in which they were put in. */
  members(pool: AhaPool): readonly AhaEntry[] {
    return pool.members.flatMap(({service}) => this.#services.get(service) ?? [])
  }

  /** Gives any of these members: one that is online, if there is one. */
  pick(members: readonly AhaEntry[]): AhaEntry | undefined {
    const online = members.filter((entry) => onlineOf(entry) !== undefined)
    const able = online.length === 0 ? members : online
    return able[able.length > 1 ? randomInt(able.length) : 0]
  }

  /**
   * Tells who the members of a pool are, and then what happens to them, until the pool is removed. A member that is not registered is told of
   * when it registers. Never ends by itself else; a reader who is late is cut off.
   *
   * @throws RegistryError `REG_NOT_FOUND` (`NoSuchName`) when there is no such pool; `REG_BUSY` for who is late; the signal's reason
   */
  async *follow(name: string, signal: AbortSignal): AsyncGenerator<Topology, void> {
    const full = this.#full(name)
    const pool = this.#ledger.visible.get(full) ?? missing(full)
    const mailbox = new Mailbox<Topology>(MAX_LATE)
    const followers = this.#followers.get(full) ?? new Set()
    this.#followers.set(full, followers.add(mailbox))
    try {
      for (const entry of this.members(pool)) yield {kind: 'svc:add', entry}
      yield* mailbox.read(signal)
    } finally {
      followers.delete(mailbox)
      if (followers.size === 0 && this.#followers.get(full) === followers) this.#followers.delete(full)
    }
  }

  #full(name: string): string {
    return expandName(name, this.#services.network)
  }

  #pending(name: string): AhaPool {
    const full = this.#full(name)
    return this.#ledger.pending.get(full) ?? missing(full)
  }

  /** Tells those who follow a pool what happened to it, and the log. */
  #onVisible(change: AhaPoolChange): void {
    const {kind, pool} = change
    switch (kind) {
      case 'aha:pool:add':
        this.#log.info('aha.pool.added', {pool})
        return
      case 'aha:pool:del':
        for (const follower of this.#followers.get(pool) ?? []) follower.end()
        this.#log.info('aha.pool.removed', {pool})
        return
      case 'aha:pool:svc:add': {
        const entry = this.#services.get(change.service)
        if (entry !== undefined) this.#tell(pool, {kind: 'svc:add', entry})
        this.#log.info('aha.pool.member-added', {pool, service: change.service})
        return
      }
      case 'aha:pool:svc:del':
        this.#tell(pool, {kind: 'svc:del', service: change.service})
        this.#log.info('aha.pool.member-removed', {pool, service: change.service})
    }
  }

  #tell(pool: string, topology: Topology): void {
    for (const follower of this.#followers.get(pool) ?? []) follower.push(topology)
  }

  /** The peer tells nobody: who began to follow while a member was not registered would never get to know of it. */
  #tellNew(service: string): void {
    const entry = this.#services.get(service)
    if (entry === undefined) return
    for (const name of this.#followers.keys()) {
      const members = this.#ledger.visible.get(name)?.members ?? []
      if (members.some((member) => member.service === service)) this.#tell(name, {kind: 'svc:add', entry})
    }
  }
}

function missing(name: string): never {
  const text = `There is no AHA service pool named ${name}.`
  const hints = ['registry pool list', 'registry pool add NAME']
  throw new RegistryError('REG_NOT_FOUND', text, {info: {name}, hints})
}

function noService(name: string): RegistryError {
  const text = `No AHA service is currently named "${name}".`
  return new RegistryError('REG_NOT_FOUND', text, {info: {name}, hints: ['registry query --call getAhaSvcs']})
}
