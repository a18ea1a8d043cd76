/**
 * What members tell each other about the lead, besides the feed. A member that leads tells the others with `fence(lead)`, again and again until each has heard;
 * the answer says whom that one takes for the leader, so that who is behind the times learns it by telling:
 *
 *     fence(lead: {member, name, urls, epoch, how, from} or nil)   ─►  {cell, member, lead: {…} or nil}
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

export function packHeard({cell, member, lead}: LeadHeard): Value {
  return {cell, member, lead: lead === undefined ? null : packLead(lead)}
}

/** Reads what a member says. @throws RegistryError `REG_BAD_ANSWER` */
export function unpackHeard(value: Value): LeadHeard {
  const {cell, member, lead} = mapOf(value)
  if (typeof cell !== 'string' || typeof member !== 'string') throw odd('member')
  try {
    return {cell, member, lead: lead === null ? undefined : bounded(readLead(lead))}
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

function mapOf(value: Value): Readonly<Record<string, Value>> {
  const isMap = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  if (!isMap) throw odd('not a map')
  return value as Readonly<Record<string, Value>>
}

function wholeOf(value: Value, what: string): number {
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
