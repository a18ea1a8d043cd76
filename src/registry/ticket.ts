/**
 * Tickets: what stands behind a one-time URL for a new service, a user or another member of this cell. Life of one:
 *
 *     open ──last certificate signed──► used: fetchable for 10 minutes ──► spent, kept for lists
 *       └──expires──► expired
 *
 * An open ticket is claimed by the first session that asks for it (`server/redemption.ts`; claims are in memory only, and are free again when the
 * session ends). It calls for certain certificates and no others: `00.axon.demo.net` for a host and `root@demo.net` for a user. It is used by the
 * entry of the log that holds the last of them, which is on disk before that certificate leaves. A reply that is lost then does not burn the URL:
 * whoever comes with the same public keys gets the same certificates again for a while; anybody else is told that there is no such ticket.
 *
 * The iden in the URL is the credential. A ticket holds its hash, and what a service is told sealed with it: who has the log or the store can redeem
 * nothing, and learns none of the passwords that are among it.
 *
 * @see docs/decisions/0007-tickets-are-hashed.md
 */
/** A `clone` is another member of this cell. */
export type TicketKind = 'service' | 'user' | 'clone'

/** A certificate that a ticket calls for. */
export interface Want {
  readonly purpose: 'host' | 'user'
  /** Common name. */
  readonly name: string
}

/** A certificate that was signed for a ticket. */
export interface TicketCertificate extends Want {
  /** SHA-256 of the public key in SPKI form, hex. */
  readonly keySha256: string
  /** Hex, as `X509Certificate` has it. */
  readonly serial: string
  readonly issuedMs: number
  /** Address of who asked. */
  readonly from: string
  readonly pem: string
}

export interface Ticket {
  /** SHA-256 of the iden in the URL, hex; the iden is 128 random bits, so this gives nothing away. */
  readonly idenSha256: string
  /** The first eight digits of the iden, for people. */
  readonly short: string
  readonly kind: TicketKind
  /** Of the service within its network, of the user without the network, or of the host of a clone. */
  readonly name: string
  readonly wants: readonly Want[]
  /** Alias that a service claims while it leads, without the network; null when it has none, and for others. */
  readonly leader: string | null
  /** What a service is told (`getProvInfo`), or a clone (`getMemberDef`), as JSON text that is sealed with the iden; null for a user. */
  readonly sealed: string | null
  readonly createdMs: number
  readonly createdBy: string
  /** Null: never. */
  readonly expiresMs: number | null
  /** The newest last. */
  readonly certificates: readonly TicketCertificate[]
  readonly used: Use | null
}

/** When and from where a ticket was used. */
export interface Use {
  readonly atMs: number
  readonly from: string
}

/**
 * What can happen to tickets, in the log as JSON text with its version: `{"v":2,"kind":"ticket:del","tickets":["9b…"]}`. Tickets are named by the
 * hash of their iden.
 *
 * Versions: 1 had the idens themselves, and in clear what is sealed now; 2 is what is written.
 */
export type TicketChange =
  /** `dropped`: finished ones that are forgotten to make room. */
  | {readonly kind: 'ticket:add'; readonly ticket: Ticket; readonly dropped: readonly string[]}
  | {readonly kind: 'ticket:issue'; readonly idenSha256: string; readonly certificate: TicketCertificate}
  /** `certificate` is null when the last one had been signed in a session that ended early. */
  | {
      readonly kind: 'ticket:use'
      readonly idenSha256: string
      readonly certificate: TicketCertificate | null
      readonly use: Use
    }
  | {readonly kind: 'ticket:del'; readonly tickets: readonly string[]}
  /** All are written anew: the records of version 1 have idens. */
  | {readonly kind: 'ticket:hash'}

/** A record that a change leaves; undefined deletes. */
export interface TicketRecord {
  readonly idenSha256: string
  readonly ticket: Ticket | undefined
}

/** How long what was signed can be fetched again after the use, ms. */
export const FETCH_AGAIN_MS = 600_000
/** Of what was signed in vain, by sessions that ended early, so much is kept; all of it is in the log. */
const CERTIFICATES_KEPT = 8
/** Tickets that are no longer open are kept for lists, that many. */
const FINISHED_KEPT = 1000
/** Longest name of a host or a user with its network, bytes: what a common name may have. */
export const MAX_FULL_NAME = 64
/** Of an iden, so many digits name the ticket where its URL is not to be known. */
export const SHORT_DIGITS = 8

const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
const SERVICE_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`)
const USER_NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_+-]|\.(?!\.|$))*$/

/** Tells whether a service can have this name within its network: labels of letters, digits, `-` and `_`, with dots between them. */
export function isServiceName(text: string): boolean {
  return text.length <= MAX_FULL_NAME && SERVICE_NAME.test(text)
}

/** Tells whether a user can have this name before the `@`. */
export function isUserName(text: string): boolean {
  return text.length <= MAX_FULL_NAME && USER_NAME.test(text)
}

/** Says what a ticket is good for at a time. Of one that is `fetchable`, only what was signed already can be had. */
export function standingOf({used, expiresMs}: Ticket, nowMs: number): 'open' | 'expired' | 'fetchable' | 'spent' {
  if (used !== null) return nowMs < used.atMs + FETCH_AGAIN_MS ? 'fetchable' : 'spent'
  return expiresMs === null || nowMs < expiresMs ? 'open' : 'expired'
}

/** Gives the digits of an iden that may be shown: the whole of it is the credential of a URL. */
export function shortIden(iden: string): string {
  return iden.slice(0, SHORT_DIGITS)
}

/** Gives the hashes of finished tickets beyond those that are kept, the longest finished first. */
export function outdated(tickets: Iterable<Ticket>, nowMs: number): readonly string[] {
  const finished = [...tickets].filter((ticket) => ['spent', 'expired'].includes(standingOf(ticket, nowMs)))
  const endOf = ({used, expiresMs, createdMs}: Ticket): number => used?.atMs ?? expiresMs ?? createdMs
  const inOrder = finished.toSorted((one, other) => endOf(one) - endOf(other))
  return inOrder.slice(0, Math.max(0, inOrder.length - FINISHED_KEPT)).map(({idenSha256}) => idenSha256)
}

/** Gives the records that a change leaves when it is made on top of these tickets. One for a ticket that is not there leaves none. */
export function ticketRecords(tickets: ReadonlyMap<string, Ticket>, change: TicketChange): readonly TicketRecord[] {
  switch (change.kind) {
    case 'ticket:add':
      return [...gone(change.dropped), {idenSha256: change.ticket.idenSha256, ticket: change.ticket}]
    case 'ticket:del':
      return gone(change.tickets)
    case 'ticket:hash':
      return [...tickets].map(([idenSha256, ticket]) => ({idenSha256, ticket}))
    case 'ticket:issue':
    case 'ticket:use': {
      const {idenSha256} = change
      const ticket = tickets.get(idenSha256)
      if (ticket === undefined) return []
      const issued = change.certificate === null ? [] : [change.certificate]
      const certificates = [...ticket.certificates, ...issued].slice(-CERTIFICATES_KEPT)
      const used = change.kind === 'ticket:use' ? change.use : ticket.used
      return [{idenSha256, ticket: {...ticket, certificates, used}}]
    }
  }
}

/** Tells whether a change of this kind is one of tickets. */
export function isTicketKind(kind: string): boolean {
  return kind.startsWith('ticket:')
}

function gone(tickets: readonly string[]): readonly TicketRecord[] {
  return tickets.map((idenSha256) => ({idenSha256, ticket: undefined}))
}
