import {type Actor, readActor} from './actor.ts'
import {type AhaChange, decodeAhaChange, isAhaKind, subjectOf} from './aha-change.ts'
import {type AhaFenceChange, decodeFenceChange, isFenceKind} from './aha-fence.ts'
import {decodeCertChange, isCertKind} from './cert-change.ts'
import {decodeChange, isServiceKind} from './change.ts'
import {changeKind} from './change-kind.ts'
import {isTicketKind, type Ticket, type TicketCertificate, type TicketChange} from './ticket.ts'
import {decodeTicketChange, type TicketSecrets} from './ticket-text.ts'

/** What of an entry of the log the history is made of. */
export interface LoggedChange {
  readonly offset: number
  readonly timeMs: number
  readonly actor: string
  readonly change: string
}

type Fact = string | number | null

/** Something that happened to a service. */
export interface HistoryEvent {
  readonly offset: number
  readonly timeMs: number
  /** How the service is known: at the ZeroMQ ports, in AHA, or as one that is let in. */
  readonly world: 'zeromq' | 'aha' | 'provision'
  readonly event: string
  /** Name of the service; undefined when the entry that said it was trimmed away. */
  readonly name: string | undefined
  /** Id of the service at the ZeroMQ ports; beginning of the iden of a one-time URL. */
  readonly id: string | undefined
  readonly by: Actor
  readonly facts: Readonly<Record<string, Fact>>
}

/** An event, and other names under which the service can be asked for. */
interface Found {
  readonly event: Omit<HistoryEvent, 'offset' | 'timeMs' | 'by'> & {readonly from?: string}
  readonly aliases: readonly string[]
}

interface TicketNames {
  readonly name: string
  /** The digits of its iden that may be shown. */
  readonly short: string
  readonly hosts: readonly string[]
}

/**
 * Tells from the entries of the log, read in order, what happened to services. Entries name a service by its id or number only, so names are
 * remembered as long as it is there: what this keeps is bounded by what the registry itself keeps.
 */
export class History {
  readonly #secrets: TicketSecrets
  readonly #wanted: string | undefined
  readonly #names = new Map<number, string>()
  readonly #tickets = new Map<string, TicketNames>()

  /** `wanted`: a name or an id; without it, all services. */
  constructor(secrets: TicketSecrets, wanted?: string) {
    this.#secrets = secrets
    this.#wanted = wanted
  }

  /** Gives what an entry tells. Throws a `TypeError` or `SyntaxError` when its change cannot be read: the log is from a newer version. */
  read({offset, timeMs, actor, change}: LoggedChange): readonly HistoryEvent[] {
    const wanted = this.#wanted
    return this.#find(change).flatMap(({event: {from, ...event}, aliases}) => {
      if (wanted !== undefined && ![event.name, event.id, ...aliases].includes(wanted)) return []
      const by = readActor(actor)
      return [{offset, timeMs, ...event, by: from === undefined ? by : {...by, from}}]
    })
  }

  #find(change: string): readonly Found[] {
    const kind = changeKind(change)
    if (kind === undefined) throw new TypeError('not a change')
    if (isServiceKind(kind)) return [this.#ofService(change)]
    if (isAhaKind(kind)) return [ofAha(decodeAhaChange(change))]
    if (isFenceKind(kind)) return [ofFence(decodeFenceChange(change))]
    if (isTicketKind(kind)) return this.#ofTicket(decodeTicketChange(change, this.#secrets))
    return isCertKind(kind) ? ofCertificate(change) : []
  }

  #ofService(text: string): Found {
    const change = decodeChange(text)
    const {kind, seq} = change
    if (kind === 'register') {
      const {id, name, type = null, host, port} = change.service
      const event = this.#names.has(seq) ? 'registered again' : 'registered'
      this.#names.set(seq, name)
      return {event: {world: 'zeromq', event, name, id, facts: {type, host, port}}, aliases: []}
    }
    const about = {world: 'zeromq', name: this.#names.get(seq), id: change.id} as const
    if (kind === 'maintenance') {
      const {maintenance} = change
      const event = maintenance === undefined ? 'maintenance off' : 'maintenance on'
      return {
        event: {...about, event, facts: maintenance === undefined ? {} : {reason: maintenance.reason}},
        aliases: [],
      }
    }
    this.#names.delete(seq)
    return {event: {...about, event: kind === 'expire' ? 'expired' : 'deregistered', facts: {}}, aliases: []}
  }

  #ofTicket(change: TicketChange): readonly Found[] {
    switch (change.kind) {
      case 'ticket:add':
        for (const idenSha256 of change.dropped) this.#tickets.delete(idenSha256)
        return this.#added(change.ticket)
      case 'ticket:del':
        return change.tickets.flatMap((idenSha256) => {
          const found = this.#about(idenSha256, 'URL revoked', {})
          this.#tickets.delete(idenSha256)
          return found
        })
      case 'ticket:issue':
        return this.#about(
          change.idenSha256,
          'certificate issued',
          factsOf(change.certificate),
          change.certificate.from,
        )
      case 'ticket:use': {
        const {idenSha256, certificate, use} = change
        const issued =
          certificate === null
            ? []
            : this.#about(idenSha256, 'certificate issued', factsOf(certificate), certificate.from)
        return [...issued, ...this.#about(idenSha256, 'URL used', {}, use.from)]
      }
      case 'ticket:hash':
        return []
    }
  }

  #added({idenSha256, short, kind, name, wants, expiresMs}: Ticket): readonly Found[] {
    if (kind !== 'service') return []
    const hosts = wants.flatMap((want) => (want.purpose === 'host' ? [want.name] : []))
    this.#tickets.set(idenSha256, {name, short, hosts})
    return this.#about(idenSha256, 'URL minted', {
      expires: expiresMs === null ? null : new Date(expiresMs).toISOString(),
    })
  }

  /** Nothing for a ticket that is not of a service, or was made before the log begins. */
  #about(idenSha256: string, event: string, facts: HistoryEvent['facts'], from?: string): readonly Found[] {
    const known = this.#tickets.get(idenSha256)
    if (known === undefined) return []
    const {short: id} = known
    const where = from === undefined ? {} : {from}
    return [{event: {world: 'provision', event, name: known.name, id, facts, ...where}, aliases: known.hosts}]
  }
}

function ofAha(change: AhaChange): Found {
  const full = subjectOf(change)
  const about = {world: 'aha', name: full, id: undefined} as const
  switch (change.kind) {
    case 'aha:svc:add': {
      const {scheme, host, port} = change.entry.info.urlinfo
      const facts = {url: `${String(scheme)}://${String(host)}:${String(port)}`}
      return {event: {...about, event: 'up', facts}, aliases: [change.entry.name]}
    }
    case 'aha:svc:mod':
      return {event: {...about, event: change.isReady ? 'ready' : 'not ready', facts: {}}, aliases: beginnings(full)}
    case 'aha:svc:down':
      return {event: {...about, event: 'down', facts: {}}, aliases: beginnings(full)}
    case 'aha:svc:del':
      return {event: {...about, event: 'removed', facts: {}}, aliases: beginnings(full)}
  }
}

function ofFence(change: AhaFenceChange): Found {
  const about = {world: 'aha', name: change.name, id: undefined} as const
  const aliases = beginnings(change.name)
  switch (change.kind) {
    case 'aha:fence:set': {
      const {alias, leader} = change
      return {event: {...about, event: 'fenced', facts: {alias, leader}}, aliases}
    }
    case 'aha:fence:refuse':
      return {event: {...about, event: 'refused to lead', facts: {run: change.run}, from: change.from}, aliases}
    case 'aha:fence:lift':
      return {event: {...about, event: 'fence lifted', facts: {why: change.why}}, aliases}
  }
}

/** What the service may be called within its network, which such an entry does not name: `00.axon` of `00.axon.demo.net`. */
function beginnings(full: string): readonly string[] {
  const labels = full.split('.')
  return labels.map((_, count) => labels.slice(0, count).join('.'))
}

function ofCertificate(text: string): readonly Found[] {
  const {purpose, name, authority, serial, from} = decodeCertChange(text)
  if (purpose !== 'host') return []
  const service = name.endsWith(`.${authority}`) ? name.slice(0, -authority.length - 1) : name
  const facts = {certificate: name, serial}
  return [
    {
      event: {world: 'provision', event: 'certificate issued', name: service, id: undefined, facts, from},
      aliases: [name],
    },
  ]
}

function factsOf({name, serial}: TicketCertificate): HistoryEvent['facts'] {
  return {certificate: name, serial}
}
