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
 */
import {parseJson} from '../base/json-parse.ts'
import {isObject} from './service.ts'

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
  /** 32 hex digits: the credential in the URL. It belongs in no log. */
  readonly iden: string
  readonly kind: TicketKind
  /** Of the service within its network, of the user without the network, or of the host of a clone. */
  readonly name: string
  readonly wants: readonly Want[]
  /** What a service is told (`getProvInfo`), or a clone (`getMemberDef`), as JSON text; null for a user. */
  readonly info: string | null
  readonly createdMs: number
  readonly createdBy: string
  /** Null: never. */
  readonly expiresMs: number | null
  /** The newest last. */
  readonly certificates: readonly TicketCertificate[]
  readonly used: Use | null
}

/** When and from where a ticket was used. */
interface Use {
  readonly atMs: number
  readonly from: string
}

/**
 * What can happen to tickets, in the log as JSON text with its version: `{"v":1,"kind":"ticket:del","idens":["0f…"]}`.
 *
 * Versions: 1, the first; the kind `clone` of a ticket came later, and is refused by software from before.
 */
export type TicketChange =
  /** `dropped`: finished ones that are forgotten to make room. */
  | {readonly kind: 'ticket:add'; readonly ticket: Ticket; readonly dropped: readonly string[]}
  | {readonly kind: 'ticket:issue'; readonly iden: string; readonly certificate: TicketCertificate}
  /** `certificate` is null when the last one had been signed in a session that ended early. */
  | {
      readonly kind: 'ticket:use'
      readonly iden: string
      readonly certificate: TicketCertificate | null
      readonly use: Use
    }
  | {readonly kind: 'ticket:del'; readonly idens: readonly string[]}

/** A record that a change leaves; undefined deletes. */
export interface TicketRecord {
  readonly iden: string
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

/** Gives the idens of finished tickets beyond those that are kept, the longest finished first. */
export function outdated(tickets: Iterable<Ticket>, nowMs: number): readonly string[] {
  const finished = [...tickets].filter((ticket) => ['spent', 'expired'].includes(standingOf(ticket, nowMs)))
  const endOf = ({used, expiresMs, createdMs}: Ticket): number => used?.atMs ?? expiresMs ?? createdMs
  const inOrder = finished.toSorted((one, other) => endOf(one) - endOf(other))
  return inOrder.slice(0, Math.max(0, inOrder.length - FINISHED_KEPT)).map(({iden}) => iden)
}

/** Gives the records that a change leaves when it is made on top of these tickets. One for a ticket that is not there leaves none. */
export function ticketRecords(tickets: ReadonlyMap<string, Ticket>, change: TicketChange): readonly TicketRecord[] {
  switch (change.kind) {
    case 'ticket:add':
      return [...gone(change.dropped), {iden: change.ticket.iden, ticket: change.ticket}]
    case 'ticket:del':
      return gone(change.idens)
    case 'ticket:issue':
    case 'ticket:use': {
      const ticket = tickets.get(change.iden)
      if (ticket === undefined) return []
      const issued = change.certificate === null ? [] : [change.certificate]
      const certificates = [...ticket.certificates, ...issued].slice(-CERTIFICATES_KEPT)
      const used = change.kind === 'ticket:use' ? change.use : ticket.used
      return [{iden: change.iden, ticket: {...ticket, certificates, used}}]
    }
  }
}

/** Tells whether a change of this kind is one of tickets. */
export function isTicketKind(kind: string): boolean {
  return kind.startsWith('ticket:')
}

/** Gives the text of a change for the log. */
export function encodeTicketChange(change: TicketChange): string {
  return JSON.stringify({v: 1, ...change})
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodeTicketChange(text: string): TicketChange {
  const value = objectOf(parseJson(text))
  if (value['v'] !== 1) throw new TypeError('not a change of version 1')
  switch (value['kind']) {
    case 'ticket:add':
      return {kind: value['kind'], ticket: readTicket(objectOf(value['ticket'])), dropped: textsIn(value, 'dropped')}
    case 'ticket:issue':
      return {kind: value['kind'], iden: textIn(value, 'iden'), certificate: readCertificate(value['certificate'])}
    case 'ticket:use': {
      const certificate = value['certificate'] === null ? null : readCertificate(value['certificate'])
      return {kind: value['kind'], iden: textIn(value, 'iden'), certificate, use: readUse(objectOf(value['use']))}
    }
    case 'ticket:del':
      return {kind: value['kind'], idens: textsIn(value, 'idens')}
    default:
      throw new TypeError(`not a change of a known kind: ${String(value['kind'])}`)
  }
}

/** Gives the text of a ticket for the store. */
export function encodeTicket(ticket: Ticket): string {
  return JSON.stringify(ticket)
}

/** Reads a ticket from the store. Throws a `TypeError` or `SyntaxError` when it is damaged, or newer. */
export function decodeTicket(text: string): Ticket {
  return readTicket(objectOf(parseJson(text)))
}

type Members = Readonly<Record<string, unknown>>

function readTicket(value: Members): Ticket {
  const kind = value['kind']
  if (!isKind(kind)) throw new TypeError('not a ticket of a known kind')
  return {
    iden: textIn(value, 'iden'),
    kind,
    name: textIn(value, 'name'),
    wants: listIn(value, 'wants').map(readWant),
    info: value['info'] === null ? null : textIn(value, 'info'),
    createdMs: numberIn(value, 'createdMs'),
    createdBy: textIn(value, 'createdBy'),
    expiresMs: value['expiresMs'] === null ? null : numberIn(value, 'expiresMs'),
    certificates: listIn(value, 'certificates').map(readCertificate),
    used: value['used'] === null ? null : readUse(objectOf(value['used'])),
  }
}

function isKind(value: unknown): value is TicketKind {
  return value === 'service' || value === 'user' || value === 'clone'
}

function gone(idens: readonly string[]): readonly TicketRecord[] {
  return idens.map((iden) => ({iden, ticket: undefined}))
}

function readWant(value: unknown): Want {
  const members = objectOf(value)
  const purpose = members['purpose']
  if (purpose !== 'host' && purpose !== 'user') throw new TypeError('not a certificate of a known kind')
  return {purpose, name: textIn(members, 'name')}
}

function readCertificate(value: unknown): TicketCertificate {
  const members = objectOf(value)
  return {
    ...readWant(value),
    keySha256: textIn(members, 'keySha256'),
    serial: textIn(members, 'serial'),
    issuedMs: numberIn(members, 'issuedMs'),
    from: textIn(members, 'from'),
    pem: textIn(members, 'pem'),
  }
}

function readUse(value: Members): Use {
  return {atMs: numberIn(value, 'atMs'), from: textIn(value, 'from')}
}

function objectOf(value: unknown): Members {
  if (!isObject(value)) throw new TypeError('not an object')
  return value
}

function textIn(members: Members, name: string): string {
  const value = members[name]
  return typeof value === 'string' ? value : fail(name)
}

function numberIn(members: Members, name: string): number {
  const value = members[name]
  return typeof value === 'number' && Number.isFinite(value) ? value : fail(name)
}

function listIn(members: Members, name: string): readonly unknown[] {
  const value = members[name]
  return Array.isArray(value) ? value : fail(name)
}

function textsIn(members: Members, name: string): readonly string[] {
  return listIn(members, name).map((one) => (typeof one === 'string' ? one : fail(name)))
}

function fail(name: string): never {
  throw new TypeError(`${name} is not what it should be`)
}
