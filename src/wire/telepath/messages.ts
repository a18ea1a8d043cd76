/**
 * The messages of Telepath as the server reads and writes them. Each is `[type, body]`:
 *
 *     c>s tele:syn    {vers, name?, auth?}              opens a session; `name` is `share/path/elements`
 *     s>c tele:syn    {vers, retn, ahainfo?, features?, sharinfo?, sess?}
 *     c>s t2:init     {todo: [method, args, kwargs], name, sess}    name: nil or the iden of a dynamic share
 *     s>c t2:fini     {retn}                            the value or the error of a call
 *     s>c t2:genr     {}                                a stream follows
 *     s>c t2:yield    {retn}                            one item; nil is the end, an error ends it too
 *     s>c t2:share    {iden, sharinfo}                  a dynamic share
 *     c>s share:fini  {share}                           drops a dynamic share; on the link of the session; no answer
 *     c>s task:init   {task, …}                         a call of clients before sessions; always refused here, with
 *     s>c task:fini   {task, retn}
 *
 * @see spec/telepath.md, sections 3 to 8
 */
import {RegistryError} from '../../base/errors.ts'
import {encode} from '../msgpack/encode.ts'
import type {Value} from '../msgpack/value.ts'
import {type Retn, retnOfError} from './errors.ts'

/** Version of the protocol; peers compare the first number only. */
export const PROTOCOL_VERSION: readonly [number, number] = [3, 0]

/** What a client sent. `body` is undefined when it is not a map. */
export type ClientMessage =
  | {readonly kind: 'greeting'; readonly body: Body | undefined}
  | {readonly kind: 'call'; readonly body: Body | undefined}
  | {readonly kind: 'share-end'; readonly iden: Value}
  | {readonly kind: 'old-call'; readonly task: Value}
  /** A bare nil, which the peers take for the end of the stream. */
  | {readonly kind: 'end'}
  /** Nothing that could be answered. */
  | {readonly kind: 'junk'}

/** Body of a message. Keys that are not known are ignored, as the peers do. */
export type Body = Readonly<Record<string, Value>>

/** What a call asks for. */
export interface Todo {
  readonly method: string
  readonly args: readonly Value[]
  readonly kwargs: Readonly<Record<string, Value>>
}

/** Who greets, and what he wants. */
export interface Syn {
  readonly name: string
  readonly path: readonly string[]
  readonly auth: {readonly user: string; readonly passwd: string | null} | undefined
}

const JUNK: ClientMessage = {kind: 'junk'}
const END: ClientMessage = {kind: 'end'}

/** Recognizes a message of a client. */
export function readMessage(message: Value): ClientMessage {
  if (message === null) return END
  if (!Array.isArray(message)) return JUNK
  const [type, body]: readonly Value[] = message
  switch (type) {
    case 't2:init':
      return {kind: 'call', body: readBody(body)}
    case 'tele:syn':
      return {kind: 'greeting', body: readBody(body)}
    case 'share:fini':
      return {kind: 'share-end', iden: readBody(body)?.['share']}
    case 'task:init':
      return {kind: 'old-call', task: readBody(body)?.['task']}
    default:
      return JUNK
  }
}

/**
 * Reads what a call asks for.
 *
 * @throws RegistryError `REG_BAD_REQUEST` (`BadMesgFormat`)
 */
export function readTodo(todo: Value): Todo {
  if (!Array.isArray(todo) || todo.length !== 3) throw malformed('todo is not [method, args, kwargs]')
  const [method, args, kwargs]: readonly Value[] = todo
  if (typeof method !== 'string' || method === '') throw malformed('the name of the method is not a text')
  if (!Array.isArray(args)) throw malformed('args is not an array')
  const named = readBody(kwargs)
  if (named === undefined || kwargs instanceof Map) throw malformed('kwargs is not a map with names as keys')
  return {method, args, kwargs: named}
}

/**
 * Reads a greeting.
 *
 * @throws RegistryError `REG_BAD_REQUEST`: `BadMesgVers` when the client speaks another version, `BadMesgFormat`
 */
export function readSyn(body: Body | undefined): Syn {
  if (body === undefined) throw malformed('tele:syn has no body')
  const {vers, name, auth} = body
  if (!Array.isArray(vers) || vers[0] !== PROTOCOL_VERSION[0]) {
    throw new RegistryError('REG_BAD_REQUEST', 'the protocol of the client is not version 3', {
      telepath: 'BadMesgVers',
      info: {vers: vers ?? null, myvers: PROTOCOL_VERSION},
    })
  }
  if (name !== undefined && name !== null && typeof name !== 'string') throw malformed('name is not a text')
  const [share, path] = splitName(name || '*')
  return {name: share, path, auth: readAuth(auth)}
}

/** Writes the answer to a call: its value. @throws RegistryError `REG_BAD_REQUEST` (`NotMsgpackSafe`) */
export function valueMessage(value: Value): Buffer {
  return encode(['t2:fini', {retn: [true, value]}])
}

/** Writes the answer to a call: its error. */
export function errorMessage(thrown: unknown): Buffer {
  return encode(['t2:fini', {retn: retnOf(thrown)}])
}

/** Begins a stream. */
export const STREAM_MESSAGE: Buffer = Buffer.from(encode(['t2:genr', {}]))
/** Ends a stream. */
export const STREAM_END_MESSAGE: Buffer = Buffer.from(encode(['t2:yield', {retn: null}]))

/** The bytes of items that are sent often, from the first time on. */
const often = new WeakMap<object, Buffer | null>()

/** Says that a value never changes and is an item of many streams: it is encoded once, and its bytes live as long as the value. */
export function sentOften<Item extends object>(value: Item): Item {
  often.set(value, null)
  return value
}

/** Writes an item of a stream. What is handed out must not be changed. Throws as `valueMessage`. */
export function itemMessage(value: Value): Buffer {
  const known = typeof value === 'object' && value !== null ? often.get(value) : undefined
  if (known) return known
  const message = encode(['t2:yield', {retn: [true, value]}])
  if (known === undefined) return message
  const kept = Buffer.from(message)
  often.set(value as object, kept)
  return kept
}

/** Ends a stream with an error. */
export function itemErrorMessage(thrown: unknown): Buffer {
  return encode(['t2:yield', {retn: retnOf(thrown)}])
}

/** Refuses a call in the form that was used before there were sessions. */
export function oldCallMessage(task: Value): Buffer {
  const error = new RegistryError('REG_BAD_REQUEST', 'calls without a session are not supported: use t2:init', {
    telepath: 'FeatureNotSupported',
  })
  return encode(['task:fini', {task, retn: retnOf(error)}])
}

/** Refuses a greeting. */
export function refusalMessage(thrown: unknown): Buffer {
  return encode(['tele:syn', {vers: PROTOCOL_VERSION, retn: retnOf(thrown)}])
}

/** Makes the error for a message that is not what its type says. */
export function malformed(what: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', `malformed message: ${what}`, {telepath: 'BadMesgFormat'})
}

/** Facts of an error may hold what cannot be written, for instance too many levels; its name and text always can. */
function retnOf(thrown: unknown): Retn {
  const retn = retnOfError(thrown)
  try {
    encode(retn)
    return retn
  } catch {
    return [false, [retn[0] ? '' : retn[1][0], {mesg: thrown instanceof Error ? thrown.message : ''}]]
  }
}

function readBody(body: Value): Body | undefined {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined
  if (body instanceof Map) return Object.fromEntries([...body].filter(([key]) => typeof key === 'string'))
  const prototype: unknown = Object.getPrototypeOf(body)
  return prototype === Object.prototype || prototype === null ? (body as Body) : undefined
}

/** `share/path/elements`; a slash at the end of the share's name is no path. */
function splitName(name: string): [share: string, path: readonly string[]] {
  const slash = name.indexOf('/')
  if (slash === -1) return [name, []]
  return [name.slice(0, slash), slash === name.length - 1 ? [] : name.slice(slash + 1).split('/')]
}

function readAuth(auth: Value): Syn['auth'] {
  if (auth === undefined || auth === null) return undefined
  const [user, secret]: readonly Value[] = Array.isArray(auth) ? auth : []
  if (typeof user !== 'string') throw malformed('auth is not [user, {passwd}]')
  const passwd = readBody(secret)?.['passwd'] ?? null
  if (passwd !== null && typeof passwd !== 'string') throw malformed('passwd is not a text')
  return {user, passwd}
}
