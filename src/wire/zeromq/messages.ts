import {checkText} from '../../base/json-check.ts'
import {parseJson} from '../../base/json-parse.ts'
import {encodeString} from '../../base/json-text.ts'
import type {Frame} from './listener.ts'

/**
 * How a message was framed, and so how its answer must be. Frames after the routing id:
 *
 * | framing        | who                    | in                    | out                    |
 * |----------------|------------------------|-----------------------|------------------------|
 * | `envelope`     | DEALER, CGSE from 0.15 | `REQ` JSON            | `RESPONSE` JSON        |
 * | `rep`          | the same, 0.10 to 0.14 | `REQ` JSON            | `REP` JSON             |
 * | `silent`       | the same               | `NOTIF`, … JSON       | nothing, but executed  |
 * | `req`          | REQ, CGSE 0.7 to 0.9   | empty JSON            | empty JSON             |
 * | `req-envelope` | REQ that adds the type | empty `REQ` JSON      | empty `RESPONSE` JSON  |
 * | `bare`         | DEALER                 | JSON                  | JSON                   |
 *
 * Frames after the JSON are ignored, as the Python server does. `envelope` and `rep` cannot be told apart by the request, and each of the
 * two generations fails at the other's answer: the port that a message came to decides.
 */
export type Framing = 'envelope' | 'rep' | 'silent' | 'req' | 'req-envelope' | 'bare'

/** The framing of an enveloped request to a port. */
export type Envelope = 'envelope' | 'rep'

export interface Incoming {
  readonly framing: Framing
  readonly payload: Buffer
}

const SILENT_TYPES: ReadonlySet<string> = new Set(['REQ_NO_REPLY', 'NO-REQ', 'RESPONSE', 'REP', 'NOTIF', 'HB'])
const EMPTY = Buffer.alloc(0)
const OPEN_BRACE = 0x7b

/** Recognizes the framing of a message to the request port; undefined when nobody could make an answer of it. */
export function unwrap(frames: readonly Buffer[], envelope: Envelope = 'envelope'): Incoming | undefined {
  const [first, second, third] = frames
  if (first === undefined) return undefined
  if (first.length === 0) {
    if (second === undefined) return {framing: 'req', payload: EMPTY}
    if (third !== undefined && isReq(second)) return {framing: 'req-envelope', payload: third}
    return {framing: 'req', payload: second}
  }
  if (second === undefined) return first[0] === OPEN_BRACE ? {framing: 'bare', payload: first} : undefined
  if (isReq(first)) return {framing: envelope, payload: second}
  if (first.length <= 12 && SILENT_TYPES.has(first.toString('latin1'))) return {framing: 'silent', payload: second}
  return undefined
}

/** The same for the heartbeat port, where one frame is always a heartbeat. */
export function unwrapHeartbeat(frames: readonly Buffer[]): Incoming | undefined {
  const [first] = frames
  if (frames.length === 1 && first !== undefined) return {framing: 'bare', payload: first}
  return unwrap(frames)
}

/** Frames an answer as its request was framed; undefined when none is wanted. */
export function wrap(framing: Framing, answer: Frame): readonly Frame[] | undefined {
  switch (framing) {
    case 'envelope':
      return ['RESPONSE', answer]
    case 'rep':
      return ['REP', answer]
    case 'req':
      return [EMPTY, answer]
    case 'req-envelope':
      return [EMPTY, 'RESPONSE', answer]
    case 'bare':
      return [answer]
    case 'silent':
      return undefined
  }
}

function isReq(frame: Buffer): boolean {
  return frame.length === 3 && frame[0] === 0x52 && frame[1] === 0x45 && frame[2] === 0x51
}

/** A request as far as it can be read without knowing its action. */
export interface Request {
  readonly body: Readonly<Record<string, unknown>>
  /** The text that `body` was read from. */
  readonly text: string
}

export interface Malformed {
  readonly error: string
}

const MAX_DEPTH = 64

/** Reads a payload; what is wrong with it otherwise is in the words of the answer. */
export function decodeRequest(payload: Buffer, maxBytes: number): Request | Malformed {
  const text = checkText(payload, {maxBytes, maxDepth: MAX_DEPTH})
  if (typeof text !== 'string') return {error: text.error}
  let body: unknown
  try {
    body = parseJson(text)
  } catch {
    // The text is the client's; what matters to it is that it is not JSON, in the words that it knows.
    return {error: 'Invalid JSON format'}
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return {error: 'Invalid request: expected a JSON object'}
  return {body: body as Record<string, unknown>, text}
}

/** Makes the answer that says no. */
export function failure(error: string): string {
  return `{"success":false,"error":${encodeString(error)}}`
}

/** Makes an event body, as subscribers get it; `data` is JSON text. */
export function eventBody(type: string, timestampS: number, data: string): string {
  return `{"type":"${type}","timestamp":${timestampS},"data":${data}}`
}
