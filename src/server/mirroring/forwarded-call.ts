/**
 * A call that a mirror passes on to the leader, and its answer, as they travel: one value each, encoded for itself, so that what is in it may
 * be as deep as in any other call.
 *
 *     {v: 1, via: "telepath", method, args, kwargs, user, session: {id, peer: {family, address, port}}}
 *     {v: 1, via: "https", route, params, body, user, address}
 *     {v: 1, via: "zeromq", requests: [{action, text, actor}, …]}
 *     {v: 1, via: "login", user, passwd, actor}           a password that works once, at a mirror
 *     {v: 1, via: "lock", user, actor}                    too many wrong passwords at a mirror
 *     {v: 1, via: "offline", services: [{full, online}, …]}   sessions that ended at a mirror
 *
 *     {v: 1, kind: "done", at: {nextOffset, epoch, lastHash}, result}
 *     {v: 1, kind: "failed", at, error: {code, name, text, info, hints}}
 *     {v: 1, kind: "not-leader"}                          nothing was done
 */
import {ERRORS, type ErrorCode, RegistryError} from '../../base/errors.ts'
import {decode} from '../../wire/msgpack/decode.ts'
import {encode} from '../../wire/msgpack/encode.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import {retnOfError} from '../../wire/telepath/errors.ts'
import type {Peer} from '../../wire/telepath/share.ts'

/** What a mirror has the leader do. */
export type ForwardedCall =
  | TelepathCall
  | HttpsCall
  | {readonly via: 'zeromq'; readonly requests: readonly ZeromqRequest[]}
  | {readonly via: 'login'; readonly user: string; readonly passwd: string; readonly actor: string}
  | {readonly via: 'lock'; readonly user: string; readonly actor: string}
  | {readonly via: 'offline'; readonly services: readonly OfflineService[]}

/** A method of the cell, for the user that the session acts as. */
export interface TelepathCall {
  readonly via: 'telepath'
  readonly method: string
  readonly args: readonly Value[]
  readonly kwargs: Readonly<Record<string, Value>>
  /** Iden. */
  readonly user: string
  /** That of the caller at the mirror. */
  readonly session: {readonly id: string; readonly peer: Pick<Peer, 'family' | 'address' | 'port'>}
}

/** A route of HTTPS, for a user who has logged in at the mirror. */
export interface HttpsCall {
  readonly via: 'https'
  readonly route: string
  readonly params: Readonly<Record<string, string>>
  /** The body as JSON text. */
  readonly body: string
  /** Iden. */
  readonly user: string
  /** Of the client. */
  readonly address: string
}

/** A request of a client of ZeroMQ, as it came. */
export interface ZeromqRequest {
  readonly action: ZeromqAction
  readonly text: string
  readonly actor: string
}

export type ZeromqAction = 'register' | 'deregister' | 'renew'

/** A service whose session has ended, with the token that it had. */
interface OfflineService {
  /** Full name. */
  readonly full: string
  readonly online: string
}

/** Where the log of the leader ended when a call was done. */
export interface LogPoint {
  readonly nextOffset: number
  readonly epoch: number
  /** Hash of the entry before `nextOffset`. */
  readonly lastHash: string
}

/** How a call ended at the one who was asked. */
export type ForwardedAnswer =
  | {readonly kind: 'done'; readonly at: LogPoint; readonly result: Value}
  | {readonly kind: 'failed'; readonly at: LogPoint; readonly error: RegistryError}
  /** It does not lead; nothing was done. */
  | {readonly kind: 'not-leader'}

/** Largest call, bytes: what alters something is small. */
export const MAX_CALL_BYTES = 8 * 1024 * 1024
const MAX_NAME = 4096
const MAX_REQUESTS = 1000
const MAX_TEXT = 1024 * 1024

/**
 * Gives the bytes of a call.
 *
 * @throws RegistryError `REG_BAD_REQUEST` when it is too large
 */
export function encodeCall(call: ForwardedCall): Buffer {
  const bytes = encode({v: 1, ...call} as unknown as Value)
  if (bytes.length <= MAX_CALL_BYTES) return bytes
  throw new RegistryError('REG_BAD_REQUEST', `a change must not exceed ${MAX_CALL_BYTES} bytes`)
}

/**
 * Reads a call.
 *
 * @throws RegistryError `REG_BAD_REQUEST` for what is none
 */
export function decodeCall(bytes: Value): ForwardedCall {
  if (!(bytes instanceof Uint8Array) || bytes.length > MAX_CALL_BYTES) throw unreadable('a call of bytes')
  const call = mapOf(decode(bytes), 'call')
  if (call['v'] !== 1) throw unreadable('a call of version 1')
  switch (call['via']) {
    case 'telepath':
      return readTelepath(call)
    case 'https':
      return readHttps(call)
    case 'zeromq':
      return {via: 'zeromq', requests: listOf(call['requests'], 'requests').map(readRequest)}
    case 'login':
      return {via: 'login', user: name(call, 'user'), passwd: name(call, 'passwd'), actor: name(call, 'actor')}
    case 'lock':
      return {via: 'lock', user: name(call, 'user'), actor: name(call, 'actor')}
    case 'offline':
      return {via: 'offline', services: listOf(call['services'], 'services').map(readOffline)}
    default:
      throw unreadable('a call of a known kind')
  }
}

/** Gives the bytes of an answer. */
export function encodeAnswer(answer: ForwardedAnswer): Buffer {
  if (answer.kind !== 'failed') return encode({v: 1, ...answer} as Value)
  const {code, hints} = answer.error
  const [, [errname, facts]] = retnOfError(answer.error) as readonly [false, readonly [string, MapOfValues]]
  const {mesg, ...info} = facts
  return encode({v: 1, kind: 'failed', at: {...answer.at}, error: {code, name: errname, text: mesg, info, hints}})
}

/**
 * Reads an answer.
 *
 * @throws RegistryError `REG_BAD_ANSWER` for what is none
 */
export function decodeAnswer(bytes: Value): ForwardedAnswer {
  try {
    return readAnswer(bytes)
  } catch (error) {
    throw notUnderstood(error)
  }
}

function notUnderstood(cause: unknown): RegistryError {
  return new RegistryError('REG_BAD_ANSWER', 'the leader gave an answer that is not understood', {cause})
}

function readAnswer(bytes: Value): ForwardedAnswer {
  if (!(bytes instanceof Uint8Array)) throw unreadable('an answer of bytes')
  const answer = mapOf(decode(bytes), 'answer')
  if (answer['v'] !== 1) throw unreadable('an answer of version 1')
  if (answer['kind'] === 'not-leader') return {kind: 'not-leader'}
  const at = readPoint(answer['at'])
  if (answer['kind'] === 'done') return {kind: 'done', at, result: answer['result']}
  if (answer['kind'] !== 'failed') throw unreadable('an answer of a known kind')
  return {kind: 'failed', at, error: readError(mapOf(answer['error'], 'error'))}
}

function readPoint(value: Value): LogPoint {
  const {nextOffset, epoch, lastHash} = mapOf(value, 'at')
  const isPoint = Number.isSafeInteger(nextOffset) && Number.isSafeInteger(epoch) && typeof lastHash === 'string'
  if (!isPoint) throw unreadable('a place in the log')
  return {nextOffset: Number(nextOffset), epoch: Number(epoch), lastHash}
}

/** The error as it was at the leader, for who asked the mirror. */
function readError(error: MapOfValues): RegistryError {
  const {code, info, hints} = error
  const given = typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'REG_PEER_FAILED'
  const texts = listOf(hints, 'hints').filter((hint) => typeof hint === 'string')
  return new RegistryError(given, text(error, 'text'), {
    telepath: name(error, 'name'),
    info: mapOf(info, 'info'),
    hints: texts,
  })
}

function readTelepath(call: MapOfValues): TelepathCall {
  const session = mapOf(call['session'], 'session')
  const {family, port, ...peer} = mapOf(session['peer'], 'peer')
  if (family !== 'tcp' && family !== 'tls' && family !== 'unix') throw unreadable('a family of addresses')
  if (port !== null && typeof port !== 'number') throw unreadable('a port')
  return {
    via: 'telepath',
    method: name(call, 'method'),
    args: listOf(call['args'], 'args', Number.POSITIVE_INFINITY),
    kwargs: mapOf(call['kwargs'], 'kwargs'),
    user: name(call, 'user'),
    session: {id: name(session, 'id'), peer: {family, address: name(peer, 'address'), port}},
  }
}

function readHttps(call: MapOfValues): HttpsCall {
  const given = mapOf(call['params'], 'params')
  const params = Object.fromEntries(Object.keys(given).map((key) => [key, name(given, key)]))
  return {
    via: 'https',
    route: name(call, 'route'),
    params,
    body: text(call, 'body', MAX_CALL_BYTES),
    user: name(call, 'user'),
    address: name(call, 'address'),
  }
}

function readRequest(value: Value): ZeromqRequest {
  const request = mapOf(value, 'request')
  const {action} = request
  if (action !== 'register' && action !== 'deregister' && action !== 'renew') throw unreadable('a known action')
  return {action, text: text(request, 'text'), actor: name(request, 'actor')}
}

function readOffline(value: Value): OfflineService {
  const service = mapOf(value, 'service')
  return {full: name(service, 'full'), online: name(service, 'online')}
}

type MapOfValues = Readonly<Record<string, Value>>

function mapOf(value: Value, what: string): MapOfValues {
  const isPlain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  if (!isPlain) throw unreadable(`${what} as a map`)
  return value as MapOfValues
}

function listOf(value: Value, what: string, most = MAX_REQUESTS): readonly Value[] {
  if (!Array.isArray(value) || value.length > most) throw unreadable(`${what} as a list of at most ${most}`)
  return value
}

function name(fields: MapOfValues, field: string): string {
  return text(fields, field, MAX_NAME)
}

function text(fields: MapOfValues, field: string, most = MAX_TEXT): string {
  const value = fields[field]
  if (typeof value !== 'string' || value.length > most) throw unreadable(`${field} as a text of at most ${most}`)
  return value
}

function unreadable(what: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', `what is forwarded must have ${what}`)
}

/** What a call is refused with that no member passes on. */
export function notPassedOn(name: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', `${name.slice(0, 100)} is nothing that a mirror passes on`)
}
