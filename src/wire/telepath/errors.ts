/**
 * Errors as Telepath carries them: `retn` is `[true, value]` or `[false, [name, facts]]`. The name is that of the peer's exception, the facts are
 * its fields; four more say where in its source it was raised (`efile`, `eline`, `esrc`, `ename`).
 *
 * @see spec/telepath.md, section 9
 */
import {type ErrorCode, RegistryError} from '../../base/errors.ts'
import type {Value} from '../msgpack/value.ts'

export type Retn = readonly [true, Value] | readonly [false, readonly [string, {readonly [key: string]: Value}]]

/** Names that have a meaning of their own; a name that begins with one of the second table's has that one, all others `REG_PEER_FAILED`. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  AuthDeny: 'REG_DENIED',
  BackupAlreadyRunning: 'REG_BACKUP_RUNNING',
  BadArg: 'REG_BAD_REQUEST',
  BadCertBytes: 'REG_CERT_INVALID',
  BadCertHost: 'REG_CERT_INVALID',
  BadCertVerify: 'REG_CERT_INVALID',
  BadConfValu: 'REG_BAD_REQUEST',
  BadMesgFormat: 'REG_BAD_ANSWER',
  BadMesgVers: 'REG_BAD_ANSWER',
  BadState: 'REG_CONFLICT',
  BadTypeValu: 'REG_BAD_REQUEST',
  BadUrl: 'REG_BAD_REQUEST',
  CryptoErr: 'REG_CERT_INVALID',
  HitLimit: 'REG_BUSY',
  IsFini: 'REG_LINK_CLOSED',
  IsReadOnly: 'REG_READ_ONLY',
  LinkBadCert: 'REG_CERT_INVALID',
  LinkErr: 'REG_UNREACHABLE',
  LowSpace: 'REG_DISK_LOW',
  NeedConfValu: 'REG_BAD_REQUEST',
  NoCertKey: 'REG_CERT_MISSING',
  NoSuchCert: 'REG_CERT_MISSING',
  NotReady: 'REG_UNREACHABLE',
  Retry: 'REG_UNREACHABLE',
  SchemaViolation: 'REG_BAD_REQUEST',
  ShuttingDown: 'REG_LINK_CLOSED',
  TimeOut: 'REG_TIMED_OUT',
}
const CODES_BY_BEGIN: readonly (readonly [begin: string, code: ErrorCode])[] = [
  ['NoSuch', 'REG_NOT_FOUND'],
  ['Dup', 'REG_CONFLICT'],
  ['Link', 'REG_LINK_CLOSED'],
]

/** Facts that are no more than levels of this. */
const MAX_LEVELS = 8
const UNNAMED = 'SynErr'

/** Makes the error that a peer sent. `about` says what was asked, for a text that has none: `getAhaSvc of ssl://aha:27492`. */
export function fromErrInfo(name: string, facts: Readonly<Record<string, Value>>, about: string): RegistryError {
  const {mesg, ...info} = facts
  const message = typeof mesg === 'string' && mesg !== '' ? mesg : `${about}: ${name}${listed(info)}`
  return new RegistryError(codeOf(name), message, {telepath: name, info: {errname: name, ...info}})
}

/**
 * Gives the value of a `retn`.
 *
 * @throws RegistryError the error that it holds; `REG_BAD_ANSWER` when it is none
 */
export function valueOfRetn(retn: Value, about: string): Value {
  if (!Array.isArray(retn) || retn.length !== 2 || typeof retn[0] !== 'boolean') throw notRetn(about)
  const [isGood, value]: readonly Value[] = retn
  if (isGood) return value
  if (!Array.isArray(value) || typeof value[0] !== 'string') throw notRetn(about)
  const [name, facts]: readonly Value[] = value
  throw fromErrInfo(String(name), isRecord(facts) ? facts : {}, about)
}

/**
 * Makes the `retn` of something that was thrown. What is not a `RegistryError` is a mistake of ours: the peer learns only that there is one.
 */
export function retnOfError(thrown: unknown): Retn {
  if (!(thrown instanceof RegistryError)) return [false, [UNNAMED, {mesg: 'the service failed; its log says why'}]]
  const facts: Record<string, Value> = {}
  for (const [key, fact] of Object.entries(thrown.info)) {
    const value = asValue(fact, MAX_LEVELS)
    // The Python client makes this one anew of its field `errname`; in others the field would only repeat the name.
    if (value !== undefined && (key !== 'errname' || thrown.telepath === 'StormRaise')) facts[key] = value
  }
  return [false, [thrown.telepath, {...facts, mesg: thrown.message}]]
}

function codeOf(name: string): ErrorCode {
  const exact = Object.hasOwn(CODES, name) ? CODES[name] : undefined
  return exact ?? CODES_BY_BEGIN.find(([begin]) => name.startsWith(begin))?.[1] ?? 'REG_PEER_FAILED'
}

/** Facts of an error without a text; where in the source it was raised is left out. */
function listed(facts: Readonly<Record<string, Value>>): string {
  const shown = Object.entries(facts).filter(([key, value]) => !PLACES.has(key) && isShort(value))
  return shown.length === 0 ? '' : ` (${shown.map(([key, value]) => `${key}: ${String(value)}`).join(', ')})`
}

const PLACES: ReadonlySet<string> = new Set(['efile', 'eline', 'esrc', 'ename'])

function isShort(value: Value): value is string | number | bigint | boolean {
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value) && String(value).length <= 200
}

/** A fact as a value that can be sent; undefined when it cannot. */
function asValue(fact: unknown, levels: number): Value {
  if (fact === null || ['string', 'number', 'bigint', 'boolean'].includes(typeof fact)) return fact as Value
  if (fact instanceof Uint8Array) return fact
  if (levels === 0 || typeof fact !== 'object') return undefined
  if (Array.isArray(fact)) return fact.map((item) => asValue(item, levels - 1) ?? null)
  if (!isRecord(fact)) return undefined
  const entries = Object.entries(fact).map(([key, value]) => [key, asValue(value, levels - 1)] as const)
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

function isRecord(value: unknown): value is Readonly<Record<string, Value>> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function notRetn(about: string): RegistryError {
  return new RegistryError('REG_BAD_ANSWER', `${about}: the answer is not one of this protocol`)
}
