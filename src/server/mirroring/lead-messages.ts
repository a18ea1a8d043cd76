/**
 * What members tell each other about the lead, besides the feed. A member that leads tells the others with `fence(lead)`, again and again until each has heard;
 * the answer says whom that one takes for the leader, so that who is behind the times learns it by telling:
 *
 *     fence(lead: {member, name, urls, epoch, how, from} or nil)   ─►  {cell, member, lead: {…} or nil, isThere, log: {leader or nil, epoch, nextOffset}}
 *     getLogPlace(offset)                                          ─►  {hash or nil, first, nextOffset, epoch}
 */
import {messageOf, RegistryError} from '../../base/errors.ts'
import type {LogPlace} from '../../nexus/log-reader.ts'
import {type Lead, readLead} from '../../registry/lead.ts'
import type {Value} from '../../wire/msgpack/value.ts'

const MAX_URLS = 16
const MAX_TEXT = 1024

/** What a member says when it was told who leads. */
export interface LeadHeard {
  /** Iden of its cell. */
  readonly cell: string
  /** Its iden. */
  readonly member: string
  /** Whom it takes for the leader; undefined while it knows of none. */
  readonly lead: Lead | undefined
  /** It leads itself, or has a link with the one that it takes for the leader. */
  readonly isThere: boolean
  /** Whom its log names as the leader, its epoch, and how far it goes. */
  readonly log: {readonly leader: string | undefined; readonly epoch: number; readonly nextOffset: number}
}

export function packLead({member, name, urls, epoch, how, from}: Lead): Value {
  return {member, name, urls: [...urls], epoch, how, from}
}

/** Reads who leads, from a caller. @throws RegistryError `REG_BAD_REQUEST` */
export function unpackLead(value: Value): Lead {
  try {
    return bounded(readLead(value))
  } catch (cause) {
    throw badLead(cause)
  }
}

export function packHeard({cell, member, lead, isThere, log}: LeadHeard): Value {
  return {
    ...{cell, member, isThere},
    lead: lead === undefined ? null : packLead(lead),
    log: {...log, leader: log.leader ?? null},
  }
}

/** Reads what a member says. @throws RegistryError `REG_BAD_ANSWER` */
export function unpackHeard(value: Value): LeadHeard {
  const {cell, member, lead, isThere, log} = mapOf(value)
  if (typeof cell !== 'string' || typeof member !== 'string' || typeof isThere !== 'boolean') throw odd('member')
  const {leader, epoch, nextOffset} = mapOf(log)
  const place = {epoch: wholeOf(epoch, 'epoch'), nextOffset: wholeOf(nextOffset, 'nextOffset')}
  try {
    const told = lead === null ? undefined : bounded(readLead(lead))
    return {cell, member, lead: told, isThere, log: {...place, leader: typeof leader === 'string' ? leader : undefined}}
  } catch (cause) {
    throw odd('lead', cause)
  }
}

export function packPlace({hash, first, nextOffset, epoch}: LogPlace): Value {
  return {hash: hash ?? null, first, nextOffset, epoch}
}

/** Reads a place. @throws RegistryError `REG_BAD_ANSWER` */
export function unpackPlace(value: Value): LogPlace {
  const {hash, first, nextOffset, epoch} = mapOf(value)
  if (hash !== null && typeof hash !== 'string') throw odd('hash')
  return {
    hash: hash ?? undefined,
    first: wholeOf(first, 'first'),
    nextOffset: wholeOf(nextOffset, 'nextOffset'),
    epoch: wholeOf(epoch, 'epoch'),
  }
}

function bounded(lead: Lead): Lead {
  const {name, urls} = lead
  const isLong = name.length > MAX_TEXT || urls.length > MAX_URLS || urls.some((url) => url.length > MAX_TEXT)
  if (isLong) throw new TypeError('names or URLs that are too long')
  return lead
}

function mapOf(value: Value | undefined): Readonly<Record<string, Value>> {
  const isMap = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  if (!isMap) throw odd('not a map')
  return value as Readonly<Record<string, Value>>
}

function wholeOf(value: Value | undefined, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw odd(what)
}

function badLead(cause: unknown): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', `lead: ${messageOf(cause)}`, {info: {name: 'lead'}, cause})
}

function odd(what: string, cause?: unknown): RegistryError {
  const hints = ['all members of the cell need the same version: registry status']
  return new RegistryError('REG_BAD_ANSWER', `what another member says is not understood: ${what}`, {hints, cause})
}
