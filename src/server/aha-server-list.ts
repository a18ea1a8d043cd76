import type {Log} from '../base/log.ts'
import {
  type AhaServer,
  type AhaServerChange,
  byServer,
  decodeServer,
  decodeServerChange,
  encodeServer,
  encodeServerChange,
  isServerKind,
  serverAfter,
  serverKey,
} from '../registry/aha-server.ts'
import {tooMany} from './aha-limits.ts'
import {type RecordFormat, RecordLedger, type RecordLedgerPorts} from './record-ledger.ts'

/** Far above real networks, which have one and some mirrors. */
const MAX_SERVERS = 100
/** Actor of what AHA does by itself. */
const AHA_ACTOR = 'aha'

const FORMAT: RecordFormat<AhaServerChange, AhaServer> = {
  table: 'aha:server',
  keyOf: serverKey,
  after: serverAfter,
  isKind: isServerKind,
  encodeChange: encodeServerChange,
  decodeChange: decodeServerChange,
  encode: encodeServer,
  decode: decodeServer,
}

interface Place {
  readonly host: string
  readonly port: number
}

/**
 * The AHA servers of the network, which services and users are told to ask.
 *
 * @see spec/aha.md, section 3.1
 */
export class AhaServerList {
  readonly #ledger: RecordLedger<AhaServerChange, AhaServer>
  readonly #log: Log
  /** Where this server listens; undefined until it does. */
  #own: Place | undefined

  private constructor(ledger: RecordLedger<AhaServerChange, AhaServer>, log: Log) {
    this.#ledger = ledger
    this.#log = log
  }

  /** Reads the servers from the store. Throws as `RecordLedger.open`. */
  static async open(ports: RecordLedgerPorts & {readonly log: Log}): Promise<AhaServerList> {
    return new AhaServerList(await RecordLedger.open(ports, FORMAT), ports.log)
  }

  get({host, port}: Place): AhaServer | undefined {
    return this.#ledger.visible.get(serverKey({host, port}))
  }

  list(): readonly AhaServer[] {
    return [...this.#ledger.visible.values()].sort(byServer)
  }

  /** Gives the URLs of the servers for a user of that name. While there is nothing in the list, that of this one, if it listens. */
  urls(user: string, network: string): readonly string[] {
    const own = this.#own === undefined ? [] : [this.#own]
    const servers: readonly Place[] = this.#ledger.visible.size === 0 ? own : this.list()
    return servers.map(({host, port}) => `ssl://${host}:${port}?certname=${user}@${network}`)
  }

  /**
   * Adds a server. False when it is there already.
   *
   * @throws RegistryError `REG_BUSY` (too many), `REG_READ_ONLY`, `REG_STORE_FAILED`
   */
  async add(server: AhaServer, actor: string): Promise<boolean> {
    const {pending} = this.#ledger
    if (pending.has(serverKey(server))) return false
    if (pending.size >= MAX_SERVERS) throw tooMany('AHA servers', MAX_SERVERS)
    await this.#ledger.change({kind: 'aha:server:add', ...server}, actor)
    return true
  }

  /**
   * Removes a server and gives it; undefined when there is none.
   *
   * @throws RegistryError `REG_READ_ONLY`, `REG_BUSY`, `REG_STORE_FAILED`
   */
  async remove(place: Place, actor: string): Promise<AhaServer | undefined> {
    const server = this.#ledger.pending.get(serverKey(place))
    if (server === undefined) return undefined
    await this.#ledger.change({kind: 'aha:server:del', host: server.host, port: server.port}, actor)
    return server
  }

  /** Puts this server in where it listens now, as `note` does. */
  async announce(own: Place): Promise<void> {
    this.#own = own
    await this.note(own)
  }

  /**
   * Puts a member of the cell in where it listens now, and takes it away where it listened before. When that cannot be written the log says so, and
   * its next start does it.
   */
  async note({host, port}: Place): Promise<void> {
    const isStale = (one: AhaServer): boolean => one.isOwn && one.host === host && one.port !== port
    const stale = [...this.#ledger.pending.values()].filter(isStale)
    try {
      await Promise.all([
        ...stale.map((one) => this.remove(one, AHA_ACTOR)),
        this.add({host, port, isOwn: true}, AHA_ACTOR),
      ])
    } catch (error) {
      this.#log.warning('aha.server.not-saved', {host, port, error})
    }
  }
}
