import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {Replayed, ReplayedChange} from '../nexus/replication.ts'
import {compareTexts, type StateCheck, textsOf} from '../nexus/state-check.ts'
import {isTicketKind, type Ticket, type TicketChange, type TicketRecord, ticketRecords} from '../registry/ticket.ts'
import {decodeTicket, decodeTicketChange, encodeTicket, encodeTicketChange} from '../registry/ticket-text.ts'
import type {Effect, Store, StoredRecord} from '../store/store.ts'
import {ticketSecrets} from './ticket-secrets.ts'

export interface TicketLedgerPorts {
  readonly store: Pick<Store, 'records' | 'place'>
  readonly changeLog: Pick<ChangeLog, 'assertOpen' | 'propose' | 'join'>
  readonly clock: Pick<Clock, 'wallMs'>
}

const TABLE = 'ticket'

/**
 * The tickets as they are on disk, and as they will be when all that is under way is. A change is decided against the second (`pending`); when a
 * commit fails, what was decided is thrown away.
 */
export class TicketLedger {
  readonly #ports: TicketLedgerPorts
  /** By the hash of the iden, as `pending`. */
  readonly #visible: Map<string, Ticket>
  #pending: Map<string, Ticket>
  /** Keys of the records of version 1, by the hash of what they are: the idens. */
  readonly #firstKeys: Map<string, string>

  private constructor(ports: TicketLedgerPorts, tickets: Map<string, Ticket>, firstKeys: Map<string, string>) {
    this.#ports = ports
    this.#firstKeys = firstKeys
    this.#visible = tickets
    this.#pending = new Map(tickets)
    ports.changeLog.join({
      onReset: () => {
        this.#pending = new Map(this.#visible)
      },
      replay: (change) => this.#replay(change),
      check: () => this.#check(),
    })
  }

  /** Reads the tickets from the store. @throws RegistryError `REG_STORE_DAMAGED`, `REG_STORE_FAILED` */
  static async open(ports: TicketLedgerPorts): Promise<TicketLedger> {
    const tickets = new Map<string, Ticket>()
    const firstKeys = new Map<string, string>()
    for await (const chunk of ports.store.records(TABLE)) {
      for (const record of chunk) {
        const {ticket, isFirst} = readTicket(record, ports.store.place)
        tickets.set(ticket.idenSha256, ticket)
        if (isFirst) firstKeys.set(ticket.idenSha256, record.key)
      }
    }
    return new TicketLedger(ports, tickets, firstKeys)
  }

  get pending(): ReadonlyMap<string, Ticket> {
    return this.#pending
  }

  /** Writes records of version 1, which have idens of one-time URLs in them, anew without; gives how many there were. Throws as `change`. */
  async withoutIdens(actor: string): Promise<number> {
    const count = this.#firstKeys.size
    if (count > 0) await this.change({kind: 'ticket:hash'}, actor)
    return count
  }

  /**
   * Makes a change durable. It counts in `pending` when this returns, before the promise resolves: to be called in the same turn in which it was
   * decided.
   *
   * @throws RegistryError `REG_READ_ONLY`, `REG_BUSY`, `REG_STORE_FAILED`; the change did not happen.
   */
  async change(change: TicketChange, actor: string): Promise<void> {
    const {changeLog, clock} = this.#ports
    changeLog.assertOpen()
    const {effect, apply} = this.#decide(change)
    const entry = {timeMs: clock.wallMs(), actor, change: encodeTicketChange(change), effect}
    await new Promise<void>((resolve, failed) => {
      const committed = (): void => {
        apply()
        resolve()
      }
      changeLog.propose({entry, committed, failed})
    })
  }

  #replay({kind, change}: ReplayedChange): Replayed | undefined {
    if (!isTicketKind(kind)) return undefined
    const {effect, apply} = this.#decide(decodeTicketChange(change, ticketSecrets))
    return {effect, committed: apply, failed: () => undefined}
  }

  #check(): StateCheck {
    const wanted = new Map<string, Ticket>()
    return {
      take: (kind, text) => {
        if (isTicketKind(kind)) put(wanted, ticketRecords(wanted, decodeTicketChange(text, ticketSecrets)))
      },
      compare: () => compareTexts(textsOf(TABLE, wanted, encodeTicket), textsOf(TABLE, this.#visible, encodeTicket)),
    }
  }

  /** Counts a change in what is pending, and gives what it leaves in the store and how it becomes visible. */
  #decide(change: TicketChange): {readonly effect: Effect; readonly apply: () => void} {
    const records = ticketRecords(this.#pending, change)
    put(this.#pending, records)
    const apply = () => {
      put(this.#visible, records)
      for (const {idenSha256} of records) this.#firstKeys.delete(idenSha256)
    }
    return {effect: {kind: 'records', records: records.flatMap((record) => this.#stored(record))}, apply}
  }

  #stored({idenSha256, ticket}: TicketRecord) {
    const first = this.#firstKeys.get(idenSha256)
    const now = {table: TABLE, key: idenSha256, value: ticket === undefined ? null : encodeTicket(ticket)}
    return first === undefined ? [now] : [{table: TABLE, key: first, value: null}, now]
  }
}

function put(tickets: Map<string, Ticket>, records: readonly TicketRecord[]): void {
  for (const {idenSha256, ticket} of records) {
    if (ticket === undefined) tickets.delete(idenSha256)
    else tickets.set(idenSha256, ticket)
  }
}

function readTicket(record: StoredRecord, place: string): ReturnType<typeof decodeTicket> {
  try {
    return decodeTicket(record.value, ticketSecrets)
  } catch (error) {
    throw damaged(record, place, error)
  }
}

/** The key of a record of version 1 is the credential of a URL: the text has its beginning only. */
function damaged({key}: StoredRecord, place: string, cause: unknown): RegistryError {
  const text = `${place}: the ticket ${key.slice(0, 8)} cannot be read`
  return new RegistryError('REG_STORE_DAMAGED', text, {info: {place, table: TABLE}, cause})
}
