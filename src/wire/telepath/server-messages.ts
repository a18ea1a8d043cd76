/**
 * The messages of Telepath as the client writes and reads them; `messages.ts` lists them all. What a server adds to them is ignored.
 *
 * @see spec/telepath.md, sections 3 to 7
 */
import {RegistryError} from '../../base/errors.ts'
import {encode} from '../msgpack/encode.ts'
import type {Value} from '../msgpack/value.ts'
import {valueOfRetn} from './errors.ts'
import {PROTOCOL_VERSION} from './messages.ts'
import type {ShareInfo} from './share.ts'

/** Login of a user; without a password where a certificate, or the UNIX socket, says who it is. */
export interface Login {
  readonly user: string
  readonly passwd: string | null
}

/** What a server says when a session begins. */
export interface Welcome {
  readonly sessionId: string
  readonly info: ShareInfo
  readonly features: Readonly<Record<string, number>>
  readonly ahaName: string | null | undefined
  readonly peerVersion: readonly number[]
}

/** What a server sends on a link that a call was made on. */
export type Reply =
  | {readonly kind: 'value'; readonly value: Value}
  | {readonly kind: 'error'; readonly error: unknown}
  | {readonly kind: 'stream'}
  | {readonly kind: 'item'; readonly value: Value}
  /** The end of a stream; with the error that ended it, if one did. */
  | {readonly kind: 'end'; readonly error?: unknown}
  | {readonly kind: 'share'; readonly iden: string; readonly info: ShareInfo}
  /** None of these. */
  | {readonly kind: 'junk'}

type Body = Readonly<Record<string, Value>>

/** Opens a session; `name` is `share/path/elements`. */
export function greetingMessage(name: string, login: Login | undefined): Buffer {
  const auth = login === undefined ? null : [login.user, {passwd: login.passwd}]
  return encode(['tele:syn', {auth, vers: PROTOCOL_VERSION, name}])
}

/** Calls a method of the session's object, or of a dynamic share. Throws `REG_BAD_REQUEST` (`NotMsgpackSafe`). */
export function callMessage(
  todo: readonly [string, readonly Value[], Body],
  share: string | null,
  sessionId: string,
): Buffer {
  return encode(['t2:init', {todo, name: share, sess: sessionId}])
}

/** Drops a dynamic share. */
export function shareEndMessage(iden: string): Buffer {
  return encode(['share:fini', {share: iden}])
}

/**
 * Reads the answer to a greeting.
 *
 * @throws RegistryError the server's refusal; `REG_BAD_ANSWER` (`BadMesgVers`) when it speaks another version, or no Telepath of our time
 */
export function readWelcome(message: Value, about: string): Welcome {
  const [type, body] = partsOf(message)
  if (type !== 'tele:syn') throw new RegistryError('REG_BAD_ANSWER', `${about}: what answered does not speak Telepath`)
  const {vers, retn, sess, sharinfo, features, ahainfo} = body
  if (!Array.isArray(vers) || vers[0] !== PROTOCOL_VERSION[0]) {
    throw new RegistryError('REG_BAD_ANSWER', `${about}: it speaks another version of Telepath`, {
      telepath: 'BadMesgVers',
      info: {myver: PROTOCOL_VERSION, hisver: vers ?? null},
    })
  }
  valueOfRetn(retn, about)
  if (typeof sess !== 'string')
    throw new RegistryError('REG_BAD_ANSWER', `${about}: it is too old: it knows no sessions`)
  const version = recordOf(sharinfo)['syn:version']
  return {
    sessionId: sess,
    info: readShareInfo(sharinfo),
    features: Object.fromEntries(Object.entries(recordOf(features)).filter(isCount)),
    ahaName: ahainfo === undefined || ahainfo === null ? undefined : textOf(recordOf(ahainfo)['name']),
    peerVersion: Array.isArray(version) ? version.filter((part) => typeof part === 'number') : [],
  }
}

/** Recognizes what comes on a link that a call was made on. `about` is for the text of an error that has none. */
export function readReply(message: Value, about: string): Reply {
  const [type, body] = partsOf(message)
  switch (type) {
    case 't2:fini':
      return settled(body['retn'], about)
    case 't2:genr':
      return {kind: 'stream'}
    case 't2:yield':
      return yielded(body['retn'], about)
    case 't2:share': {
      const {iden, sharinfo} = body
      return typeof iden === 'string' ? {kind: 'share', iden, info: readShareInfo(sharinfo)} : {kind: 'junk'}
    }
    default:
      return {kind: 'junk'}
  }
}

function settled(retn: Value, about: string): Reply {
  try {
    return {kind: 'value', value: valueOfRetn(retn, about)}
  } catch (error) {
    return {kind: 'error', error}
  }
}

function yielded(retn: Value, about: string): Reply {
  if (retn === null) return {kind: 'end'}
  const reply = settled(retn, about)
  if (reply.kind === 'value') return {kind: 'item', value: reply.value}
  return reply.kind === 'error' ? {kind: 'end', error: reply.error} : reply
}

function readShareInfo(sharinfo: Value): ShareInfo {
  const {meths, classes} = recordOf(sharinfo)
  const methods = Object.entries(recordOf(meths)).map(
    ([name, facts]) => [name, {isGenerator: recordOf(facts)['genr'] === true}] as const,
  )
  return {
    classes: Array.isArray(classes) ? classes.filter((name) => typeof name === 'string') : [],
    methods: new Map(methods),
  }
}

function partsOf(message: Value): readonly [type: Value, body: Body] {
  if (!Array.isArray(message)) return [undefined, NOTHING]
  const [type, body]: readonly Value[] = message
  return [type, recordOf(body)]
}

const NOTHING: Body = {}

/** A map with texts as keys; anything else is as good as empty. */
function recordOf(value: Value): Body {
  if (typeof value !== 'object' || value === null) return NOTHING
  return Object.getPrototypeOf(value) === Object.prototype ? (value as Body) : NOTHING
}

function isCount(entry: [string, Value]): entry is [string, number] {
  return typeof entry[1] === 'number'
}

function textOf(value: Value): string | null {
  return typeof value === 'string' ? value : null
}
