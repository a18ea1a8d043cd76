import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {Log} from '../base/log.ts'
import {SHORT_DIGITS, shortIden, standingOf, type Ticket} from '../registry/ticket.ts'
import type {Claim} from './redemption.ts'
import type {TicketLedger} from './ticket-ledger.ts'
import {ticketSecrets} from './ticket-secrets.ts'

export interface TicketDeskPorts {
  readonly ledger: Pick<TicketLedger, 'pending' | 'change'>
  readonly clock: Pick<Clock, 'wallMs'>
  readonly log: Pick<Log, 'info'>
  /** Gives the session that redeems a ticket at present, by the hash of its iden. */
  readonly claimOf: (idenSha256: string) => Claim | undefined
}

/** A ticket, and who is about to use it. */
export interface TicketView {
  readonly ticket: Ticket
  readonly state: 'pending' | 'claimed' | 'used' | 'expired'
  readonly claim: Claim | undefined
}

const IDEN_DIGITS = 32
const HINTS = ['registry provision list']

/** Shows tickets to those who did not make them, and takes them back. */
export class TicketDesk {
  readonly #ports: TicketDeskPorts

  constructor(ports: TicketDeskPorts) {
    this.#ports = ports
  }

  /** Gives the tickets that there are, the oldest first: all of them, or those whose iden begins so. What is between eight digits and all is not known. */
  list(beginning = ''): readonly TicketView[] {
    const isWhole = beginning.length === IDEN_DIGITS
    const whole = isWhole ? ticketSecrets.hash(beginning) : undefined
    const tickets = [...this.#ports.ledger.pending.values()].filter(({short, idenSha256}) =>
      isWhole ? idenSha256 === whole : short.startsWith(beginning),
    )
    return tickets.toSorted((one, other) => one.createdMs - other.createdMs).map((ticket) => this.#view(ticket))
  }

  /**
   * Takes back a ticket that was not used, by its iden or the first eight digits of it, and gives what it was.
   *
   * @throws RegistryError `REG_BAD_REQUEST`; `REG_NOT_FOUND`; `REG_CONFLICT` when it was used, or several begin so; those of the change log
   */
  async revoke(beginning: string, actor: string): Promise<TicketView> {
    const view = this.#theOne(beginning)
    const {idenSha256, short: id, kind, name, used} = view.ticket
    if (used !== null) {
      const text = `the one-time URL ${id} of ${name} was used at ${new Date(used.atMs).toISOString()} from ${used.from}`
      const hints = ['registry provision list --certs', 'registry user set NAME --locked']
      throw new RegistryError('REG_CONFLICT', text, {info: {id, name}, hints})
    }
    await this.#ports.ledger.change({kind: 'ticket:del', tickets: [idenSha256]}, actor)
    this.#ports.log.info('provision.revoked', {kind, name, id})
    return view
  }

  #theOne(beginning: string): TicketView {
    if (!/^[0-9a-f]{8}([0-9a-f]{24})?$/.test(beginning)) {
      const text = `a one-time URL is named by the first ${SHORT_DIGITS} digits of its iden, or all of it`
      throw new RegistryError('REG_BAD_REQUEST', text, {hints: HINTS})
    }
    const [view, ...others] = this.list(beginning)
    const id = shortIden(beginning)
    if (view === undefined) throw new RegistryError('REG_NOT_FOUND', `there is no one-time URL ${id}`, {hints: HINTS})
    if (others.length === 0) return view
    const text = `${others.length + 1} one-time URLs begin with ${id}: give the whole iden`
    throw new RegistryError('REG_CONFLICT', text, {hints: HINTS})
  }

  #view(ticket: Ticket): TicketView {
    const standing = standingOf(ticket, this.#ports.clock.wallMs())
    if (standing === 'expired') return {ticket, state: 'expired', claim: undefined}
    if (standing !== 'open') return {ticket, state: 'used', claim: undefined}
    const claim = this.#ports.claimOf(ticket.idenSha256)
    return {ticket, state: claim === undefined ? 'pending' : 'claimed', claim}
  }
}
