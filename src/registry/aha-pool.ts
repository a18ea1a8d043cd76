import {RegistryError} from '../base/errors.ts'
import {parseJson} from '../base/json-parse.ts'
import {isJsonObject, type JsonObject} from './aha-entry.ts'

/** A service in a pool, by its full name. It need not be registered now. */
interface PoolMember {
  readonly service: string
  readonly createdMs: number
  /** Iden of the user who put it in. */
  readonly creator: string
}

/** A named set of services that a caller may be spread over. Immutable. */
export interface AhaPool {
  /** In full: `pool00.cortex.loop.link`. */
  readonly name: string
  readonly createdMs: number
  /** Iden of the user who made it. */
  readonly creator: string
  /** In the order in which they were put in. */
  readonly members: readonly PoolMember[]
}

/**
 * What can happen to pools. Kinds are named as the peer's events are. It stands in the log as JSON text:
 *
 *     {"v":1,"kind":"aha:pool:add","pool":"pool00.cortex.loop.link","createdMs":1795219892491,"creator":"0f1e…"}
 *     {"v":1,"kind":"aha:pool:del","pool":"pool00.cortex.loop.link"}
 *     {"v":1,"kind":"aha:pool:svc:add","pool":"pool00.cortex.loop.link","service":"00.cortex.loop.link","createdMs":1795219892491,"creator":"0f1e…"}
 *     {"v":1,"kind":"aha:pool:svc:del","pool":"pool00.cortex.loop.link","service":"00.cortex.loop.link"}
 *
 * Versions: 1, the first.
 */
export type AhaPoolChange =
  | {readonly kind: 'aha:pool:add'; readonly pool: string; readonly createdMs: number; readonly creator: string}
  | {readonly kind: 'aha:pool:del'; readonly pool: string}
  | ({readonly kind: 'aha:pool:svc:add'; readonly pool: string} & PoolMember)
  | {readonly kind: 'aha:pool:svc:del'; readonly pool: string; readonly service: string}

const MAX_NAME = 256
/** What may be said of a new pool or member; all but the creator is set anew, whatever is said. */
const SAID: readonly string[] = ['creator', 'created', 'name', 'services']
const IDEN = /^[0-9a-f]{32}$/

/**
 * Checks the full name of a pool. As at the peer it may have no dot, but then nobody finds it by a relative name.
 *
 * @throws RegistryError `REG_BAD_REQUEST`
 */
export function checkPoolName(name: string): void {
  if (name.length > MAX_NAME) throw badRequest('name', `the name of a pool must not exceed ${MAX_NAME} characters`)
  if (name.split('.').includes('')) {
    throw badRequest('name', 'the name of a pool must not be empty nor have empty parts between its dots')
  }
  if (/\p{Cc}/u.test(name)) throw badRequest('name', 'the name of a pool must not hold control characters')
}

/**
 * Reads what may be said of a new pool or member: the iden of who made it; undefined when nothing is.
 *
 * @throws RegistryError `REG_BAD_REQUEST`, in Telepath `SchemaViolation`
 */
export function readCreator(info: unknown): string | undefined {
  if (!isJsonObject(info)) throw badRequest('info', 'info must be a map')
  const other = Object.keys(info).find((name) => !SAID.includes(name))
  if (other !== undefined) throw badSchema(`info must not have ${other.slice(0, 100)}`)
  const {creator} = info
  if (creator === undefined) return undefined
  if (typeof creator === 'string' && IDEN.test(creator)) return creator
  throw badSchema('info.creator must be the iden of a user')
}

/** Gives what a change leaves of a pool, which itself stays as it is; undefined when there is none then. */
export function poolAfter(change: AhaPoolChange, old: AhaPool | undefined): AhaPool | undefined {
  switch (change.kind) {
    case 'aha:pool:add': {
      const {pool: name, createdMs, creator} = change
      return {name, createdMs, creator, members: []}
    }
    case 'aha:pool:del':
      return undefined
    case 'aha:pool:svc:add':
      return old && {...old, members: withMember(old.members, memberOf(change))}
    case 'aha:pool:svc:del':
      return old && {...old, members: old.members.filter(({service}) => service !== change.service)}
  }
}

/** Tells whether a change of this kind is one of pools. */
export function isPoolKind(kind: string): boolean {
  return kind.startsWith('aha:pool:')
}

/** Gives the text of a change for the log. */
export function encodePoolChange(change: AhaPoolChange): string {
  return JSON.stringify({v: 1, ...change})
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodePoolChange(text: string): AhaPoolChange {
  const members = membersOf(parseJson(text))
  const {v, kind} = members
  if (v !== 1) throw new TypeError('not a change of version 1')
  const pool = textIn(members, 'pool')
  switch (kind) {
    case 'aha:pool:add':
      return {kind, pool, createdMs: numberIn(members, 'createdMs'), creator: textIn(members, 'creator')}
    case 'aha:pool:del':
      return {kind, pool}
    case 'aha:pool:svc:add':
      return {kind, pool, ...readMember(members)}
    case 'aha:pool:svc:del':
      return {kind, pool, service: textIn(members, 'service')}
    default:
      throw new TypeError(`not a change of a known kind: ${String(kind)}`)
  }
}

/** Gives the text of a pool for the store. */
export function encodePool(pool: AhaPool): string {
  return JSON.stringify(pool)
}

/** Reads a pool from the store. Throws a `TypeError` or `SyntaxError` when it is damaged. */
export function decodePool(text: string): AhaPool {
  const value = membersOf(parseJson(text))
  const {members} = value
  if (!Array.isArray(members)) throw new TypeError('members is not a list')
  return {
    name: textIn(value, 'name'),
    createdMs: numberIn(value, 'createdMs'),
    creator: textIn(value, 'creator'),
    members: members.map((member) => readMember(membersOf(member))),
  }
}

/** One that is in already stays in its place. */
function withMember(members: readonly PoolMember[], member: PoolMember): readonly PoolMember[] {
  const index = members.findIndex(({service}) => service === member.service)
  return index === -1 ? [...members, member] : members.with(index, member)
}

function memberOf({service, createdMs, creator}: PoolMember): PoolMember {
  return {service, createdMs, creator}
}

function readMember(members: JsonObject): PoolMember {
  return {
    service: textIn(members, 'service'),
    createdMs: numberIn(members, 'createdMs'),
    creator: textIn(members, 'creator'),
  }
}

function membersOf(value: unknown): JsonObject {
  if (!isJsonObject(value)) throw new TypeError('not an object')
  return value
}

function textIn(members: JsonObject, name: string): string {
  const value = members[name]
  if (typeof value !== 'string') throw new TypeError(`${name} is not a text`)
  return value
}

function numberIn(members: JsonObject, name: string): number {
  const value = members[name]
  if (typeof value !== 'number') throw new TypeError(`${name} is not a number`)
  return value
}

function badRequest(arg: string, text: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', text, {info: {arg}})
}

function badSchema(text: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', text, {telepath: 'SchemaViolation', info: {arg: 'info'}})
}
