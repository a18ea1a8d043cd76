import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {Replayed, ReplayedChange} from '../nexus/replication.ts'
import {
  decodeTicket,
  decodeTicketChange,
  encodeTicket,
  encodeTicketChange,
  isTicketKind,
  type Ticket,
  type TicketChange,
  type TicketRecord,
  ticketRecords,
} from '../registry/ticket.ts'
import type {Effect, Store, StoredRecord} from '../store/store.ts'

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
  readonly #visible: Map<string, Ticket>
  #pending: Map<string, Ticket>

  private constructor(ports: TicketLedgerPorts, tickets: Map<string, Ticket>) {
    this.#ports = ports
    this.#visible = tickets
    this.#pending = new Map(tickets)
    ports.changeLog.join({
      onReset: () => {
        this.#pending = new Map(this.#visible)
      },
      replay: (change) => this.#replay(change),
    })
  }

  /** Reads the tickets from the store. @throws RegistryError `REG_STORE_DAMAGED`, `REG_STORE_FAILED` */
  static async open(ports: TicketLedgerPorts): Promise<TicketLedger> {
    const tickets = new Map<string, Ticket>()
    for await (const chunk of ports.store.records(TABLE)) {
      for (const record of chunk) tickets.set(record.key, readTicket(record, ports.store.place))
    }
    return new TicketLedger(ports, tickets)
  }

  get pending(): ReadonlyMap<string, Ticket> {
    return this.#pending
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
    const {effect, apply} = this.#decide(decodeTicketChange(change))
    return {effect, committed: apply, failed: () => undefined}
  }

  /** Counts a change in what is pending, and gives what it leaves in the store and how it becomes visible. */
  #decide(change: TicketChange): {readonly effect: Effect; readonly apply: () => void} {
    const records = ticketRecords(this.#pending, change)
    put(this.#pending, records)
    return {effect: {kind: 'records', records: records.map(storedForm)}, apply: () => put(this.#visible, records)}
  }
}

function put(tickets: Map<string, Ticket>, records: readonly TicketRecord[]): void {
  for (const {iden, ticket} of records) {
    if (ticket === undefined) tickets.delete(iden)
    else tickets.set(iden, ticket)
  }
}

function storedForm({iden, ticket}: TicketRecord) {
  return {table: TABLE, key: iden, value: ticket === undefined ? null : encodeTicket(ticket)}
}

function readTicket(record: StoredRecord, place: string): Ticket {
  try {
    return decodeTicket(record.value)
  } catch (error) {
    throw damaged(record, place, error)
  }
}

/** The key of the record is the credential of a URL: the text has its beginning only. */
function damaged({key}: StoredRecord, place: string, cause: unknown): RegistryError {
  const text = `${place}: the ticket ${key.slice(0, 8)} cannot be read`
  return new RegistryError('REG_STORE_DAMAGED', text, {info: {place, table: TABLE}, cause})
}
