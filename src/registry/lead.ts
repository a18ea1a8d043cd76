import {parseJson} from '../base/json-parse.ts'
import {isJsonObject} from './aha-entry.ts'

/**
 * How a member came to lead. `restored`: its directory was made of a backup, and nobody has been asked yet; `confirmed`: it was restored, and those who could
 * be asked knew of nobody who leads.
 */
export type LeadWay = 'founded' | 'handed-over' | 'forced' | 'rejoined' | 'restored' | 'confirmed'

/** A data directory of a cell: its leader or one of its mirrors. Immutable. */
export interface LeadMember {
  /** Iden of the data directory: 32 hex digits, never copied. */
  readonly member: string
  /** For people: `dns:name` where there is one. */
  readonly name: string
  /** Where the others reach its Telepath listener, without users and passwords; the best one first. */
  readonly urls: readonly string[]
}

/** Who leads since an entry of the log. */
export interface Lead extends LeadMember {
  readonly epoch: number
  readonly how: LeadWay
  /** Iden of the member that led before; null when nobody did. */
  readonly from: string | null
}

/**
 * What can happen to the lead of a cell. It stands in the log as JSON text:
 *
 *     {"v":1,"kind":"lead:take","member":"5f…","name":"01.aha.loop.link","urls":["ssl://01.aha.loop.link:27492"],"epoch":2,"how":"forced","from":"8a…"}
 *     {"v":1,"kind":"lead:member","member":"5f…","name":"01.aha.loop.link","urls":["ssl://01.aha.loop.link:27492"]}
 *     {"v":1,"kind":"lead:forget","member":"5f…"}
 *
 * The entry of a `lead:take` is the first one of its epoch. Versions: 1, the first.
 */
export type LeadChange =
  | ({readonly kind: 'lead:take'} & Lead)
  | ({readonly kind: 'lead:member'} & LeadMember)
  | {readonly kind: 'lead:forget'; readonly member: string}

/** Table of the records that these changes leave: `leader`, and one for each member under its iden. */
export const LEAD_TABLE = 'lead'
/** Key of the record of the leader. */
export const LEADER_KEY = 'leader'

const WAYS: ReadonlySet<string> = new Set<LeadWay>([
  ...(['founded', 'handed-over', 'forced', 'rejoined', 'restored', 'confirmed'] as const),
])
const IDEN = /^[0-9a-f]{32}$/

/** Tells who leads and who belongs to the cell. */
export interface LeadState {
  /** Undefined while there are no mirrors: the only member leads. */
  readonly lead: Lead | undefined
  /** By iden. */
  readonly members: ReadonlyMap<string, LeadMember>
}

/**
 * Gives the state that a change leaves. Who leads is a member too. A name belongs to one member: who comes with that of another one, because its directory
 * was made anew, takes its place.
 */
export function leadAfter(state: LeadState, change: LeadChange): LeadState {
  const {lead, members} = state
  const next = new Map(members)
  for (const iden of leftBy(state, change)) next.delete(iden)
  if (change.kind === 'lead:forget') return {lead, members: next}
  const {member, name, urls} = change
  next.set(member, {member, name, urls})
  if (change.kind === 'lead:member') return {lead, members: next}
  const {epoch, how, from} = change
  return {lead: {member, name, urls, epoch, how, from}, members: next}
}

/** Gives the idens of the members that are none any more after a change. */
export function leftBy({lead, members}: LeadState, change: LeadChange): readonly string[] {
  if (change.kind === 'lead:forget') return [change.member]
  const {member, name} = change
  const same = [...members.values()].filter((known) => known.name === name && known.member !== member)
  return same.flatMap((known) => (known.member === lead?.member && change.kind === 'lead:member' ? [] : [known.member]))
}

/** Tells whether a member leads. */
export function isLeading({lead}: LeadState, member: string): boolean {
  return lead === undefined || lead.member === member
}

/** Tells whether a change of this kind is one of who leads. */
export function isLeadKind(kind: string): boolean {
  return kind.startsWith('lead:')
}

/** Gives the text of a change for the log. */
export function encodeLeadChange(change: LeadChange): string {
  return JSON.stringify({v: 1, ...change})
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodeLeadChange(text: string): LeadChange {
  const value = parseJson(text)
  if (!isJsonObject(value) || value['v'] !== 1) throw new TypeError('not a change of version 1')
  const {kind} = value
  if (kind === 'lead:take') return {kind, ...readLead(value)}
  if (kind === 'lead:member') return {kind, ...readMember(value)}
  if (kind !== 'lead:forget') throw new TypeError(`not a change of a known kind: ${String(kind)}`)
  return {kind, member: readIden(value['member'])}
}

/** Gives the text of a member, or of the leader, for the store. */
export function encodeLeadRecord(record: Lead | LeadMember): string {
  return JSON.stringify(record)
}

/** Reads the leader from the store. Throws a `TypeError` or `SyntaxError` when it is damaged. */
export function decodeLead(text: string): Lead {
  return readLead(parseJson(text))
}

/** Reads a member from the store. Throws a `TypeError` or `SyntaxError` when it is damaged. */
export function decodeLeadMember(text: string): LeadMember {
  return readMember(parseJson(text))
}

/** Reads a leader from a value that came from outside. Throws a `TypeError` when it is not one. */
export function readLead(value: unknown): Lead {
  if (!isJsonObject(value)) throw new TypeError('not an object')
  const {epoch, how, from} = value
  if (typeof epoch !== 'number' || !Number.isSafeInteger(epoch) || epoch < 1) throw new TypeError('not an epoch')
  if (!isWay(how)) throw new TypeError('not a way to lead')
  return {...readMember(value), epoch, how, from: from === null ? null : readIden(from)}
}

function readMember(value: unknown): LeadMember {
  if (!isJsonObject(value)) throw new TypeError('not an object')
  const {member, name, urls} = value
  if (typeof name !== 'string') throw new TypeError('not a name')
  if (!Array.isArray(urls) || !urls.every((url) => typeof url === 'string')) throw new TypeError('not a list of URLs')
  return {member: readIden(member), name, urls}
}

function isWay(value: unknown): value is LeadWay {
  return typeof value === 'string' && WAYS.has(value)
}

function readIden(value: unknown): string {
  if (typeof value !== 'string' || !IDEN.test(value)) throw new TypeError('not an iden')
  return value
}
