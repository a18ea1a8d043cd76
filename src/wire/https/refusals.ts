/** The answers of the server itself, to what no route is asked about. */
import {NotJson} from './json-body.ts'
import type {HttpsAnswer} from './messages.ts'

/** Makes an answer of the form that all errors have; `code` is the name of an error in Telepath. */
export function errorAnswer(status: number, code: string, mesg: string): HttpsAnswer {
  return {status, body: {status: 'err', code, mesg}}
}

/** Gives the answer to an error of fastify or of reading a body. */
export function refusalOf(error: Error & {readonly code?: string; readonly statusCode?: number}): HttpsAnswer {
  if (error instanceof NotJson) return errorAnswer(400, 'SchemaViolation', 'Invalid JSON content.')
  if (error.statusCode === 413) return errorAnswer(413, 'HitLimit', 'The body is too large.')
  return errorAnswer(400, 'BadHttpParam', 'The request cannot be read.')
}

/** Gives the answer to what node:http could not take as a request. */
export function connectionRefusal(code: string): HttpsAnswer {
  if (code === 'HPE_HEADER_OVERFLOW') return errorAnswer(431, 'HitLimit', 'The headers are too large.')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return errorAnswer(408, 'TimeOut', 'The request took too long.')
  return errorAnswer(400, 'BadHttpParam', 'The request cannot be read.')
}

/** Gives the JSON of an answer. */
export function jsonText({body}: HttpsAnswer): string {
  return JSON.stringify(body)
}

/** In words, of the answers below. Who imports node:http for its list gets its WebSocket as well, and 4 MB for that. */
const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
}

/** Writes an answer where there is no response object to do it. The connection is closed after it. */
export function rawAnswer(answer: HttpsAnswer, headers: Readonly<Record<string, string>>): string {
  const body = jsonText(answer)
  const lines = Object.entries({
    ...headers,
    'content-type': 'application/json; charset=UTF-8',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${answer.status} ${REASONS[answer.status] ?? ''}\r\n${lines.join('')}\r\n${body}`
}
