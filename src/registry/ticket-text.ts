/** Tickets and their changes as texts, in the store and in the log. */
import {parseJson} from '../base/json-parse.ts'
import {isObject} from './service.ts'
import {shortIden, type Ticket, type TicketCertificate, type TicketChange, type Use, type Want} from './ticket.ts'

/** What is made of an iden. It is given because it needs a library; the same always comes of the same. */
export interface TicketSecrets {
  /** SHA-256, hex. */
  readonly hash: (iden: string) => string
  /** Makes a text that only who has the iden can read. */
  readonly seal: (iden: string, text: string) => string
}

/** Gives the text of a change for the log. */
export function encodeTicketChange(change: TicketChange): string {
  return JSON.stringify({v: 2, ...change})
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodeTicketChange(text: string, secrets: TicketSecrets): TicketChange {
  const value = objectOf(parseJson(text))
  const version = value['v']
  if (version !== 1 && version !== 2) throw new TypeError('not a change of version 1 or 2')
  return version === 1 ? readFirst(value, secrets) : readChange(value)
}

function readChange(value: Members): TicketChange {
  switch (value['kind']) {
    case 'ticket:add':
      return {kind: value['kind'], ticket: readTicket(objectOf(value['ticket'])), dropped: textsIn(value, 'dropped')}
    case 'ticket:issue':
    case 'ticket:use':
      return readStep(value, textIn(value, 'idenSha256'))
    case 'ticket:del':
      return {kind: value['kind'], tickets: textsIn(value, 'tickets')}
    case 'ticket:hash':
      return {kind: value['kind']}
    default:
      throw unknownKind(value)
  }
}

/** Reads what version 1 had, as version 2 has it. */
function readFirst(value: Members, secrets: TicketSecrets): TicketChange {
  const {hash} = secrets
  switch (value['kind']) {
    case 'ticket:add': {
      const dropped = textsIn(value, 'dropped').map(hash)
      return {kind: value['kind'], ticket: readFirstTicket(objectOf(value['ticket']), secrets), dropped}
    }
    case 'ticket:issue':
    case 'ticket:use':
      return readStep(value, hash(textIn(value, 'iden')))
    case 'ticket:del':
      return {kind: value['kind'], tickets: textsIn(value, 'idens').map(hash)}
    default:
      throw unknownKind(value)
  }
}

function readStep(value: Members, idenSha256: string): TicketChange {
  const {kind} = value
  if (kind === 'ticket:issue') return {kind, idenSha256, certificate: readCertificate(value['certificate'])}
  if (kind !== 'ticket:use') throw unknownKind(value)
  const certificate = value['certificate'] === null ? null : readCertificate(value['certificate'])
  return {kind, idenSha256, certificate, use: readUse(objectOf(value['use']))}
}

function unknownKind({kind}: Members): TypeError {
  return new TypeError(`not a change of a known kind: ${String(kind)}`)
}

/** Gives the text of a ticket for the store. */
export function encodeTicket(ticket: Ticket): string {
  return JSON.stringify(ticket)
}

/** Reads a ticket from the store, `isFirst` when it is of version 1. Throws a `TypeError` or `SyntaxError` when it is damaged, or newer. */
export function decodeTicket(
  text: string,
  secrets: TicketSecrets,
): {readonly ticket: Ticket; readonly isFirst: boolean} {
  const value = objectOf(parseJson(text))
  const isFirst = 'iden' in value
  return {ticket: isFirst ? readFirstTicket(value, secrets) : readTicket(value), isFirst}
}

type Members = Readonly<Record<string, unknown>>

function readTicket(value: Members): Ticket {
  return {
    idenSha256: textIn(value, 'idenSha256'),
    short: textIn(value, 'short'),
    ...readPlace(value),
    leader: value['leader'] === null ? null : textIn(value, 'leader'),
    sealed: value['sealed'] === null ? null : textIn(value, 'sealed'),
    ...readLife(value),
  }
}

function readFirstTicket(value: Members, {hash, seal}: TicketSecrets): Ticket {
  const iden = textIn(value, 'iden')
  const info = value['info'] === null ? null : textIn(value, 'info')
  const place = readPlace(value)
  return {
    idenSha256: hash(iden),
    short: shortIden(iden),
    ...place,
    leader: info === null || place.kind !== 'service' ? null : leaderIn(info),
    sealed: info === null ? null : seal(iden, info),
    ...readLife(value),
  }
}

function leaderIn(info: string): string | null {
  const told: unknown = parseJson(info)
  const conf = isObject(told) && isObject(told['conf']) ? told['conf'] : {}
  return typeof conf['aha:leader'] === 'string' ? conf['aha:leader'] : null
}

function readPlace(value: Members): Pick<Ticket, 'kind' | 'name' | 'wants'> {
  const kind = value['kind']
  if (kind !== 'service' && kind !== 'user' && kind !== 'clone') throw new TypeError('not a ticket of a known kind')
  return {kind, name: textIn(value, 'name'), wants: listIn(value, 'wants').map(readWant)}
}

function readLife(value: Members): Pick<Ticket, 'createdMs' | 'createdBy' | 'expiresMs' | 'certificates' | 'used'> {
  return {
    createdMs: numberIn(value, 'createdMs'),
    createdBy: textIn(value, 'createdBy'),
    expiresMs: value['expiresMs'] === null ? null : numberIn(value, 'expiresMs'),
    certificates: listIn(value, 'certificates').map(readCertificate),
    used: value['used'] === null ? null : readUse(objectOf(value['used'])),
  }
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
