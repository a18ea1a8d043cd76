/** What requests of the ZeroMQ protocol name, and what they are answered, in the words of the Python server. */
import {encodeString} from '../base/json-text.ts'
import {idText, isEmpty} from '../registry/service.ts'
import {failure, type Request} from '../wire/zeromq/messages.ts'
import type {Refusal} from './registrar.ts'

/** The answer to who would change a service of AHA. */
export const READ_ONLY = failure('services of AHA are read-only here: they come and go with their sessions on AHA')
const NO_SERVICE_ID = failure('Missing required field: service_id')
/** The answer to who has deregistered. */
export const DEREGISTERED = '{"success":true,"message":"Service deregistered successfully"}'
const SHOWN_MAX = 100

/** Tells whether it is a whole number that is not too small. */
export function isCount(value: unknown, least: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least
}

/** The answer to who has registered; `id` as JSON text. */
export function registered(id: string): string {
  return `{"success":true,"service_id":${id},"message":"Service registered successfully"}`
}

/** The answer to a change that was refused, in the words of the Python server. */
export function refusalAnswer(refusal: Refusal, action: 'register' | 'deregister'): string {
  switch (refusal.kind) {
    case 'invalid':
      return failure(refusal.error)
    case 'policy':
      return `{"success":false,"error":"invalid_service_type_policy","message":"singleton and allow_duplicate_service_type cannot both be true."}`
    case 'duplicate-type': {
      const message = `Service type '${refusal.type}' is already registered by service_id '${refusal.holder}'.`
      return (
        `{"success":false,"error":"duplicate_service_type","message":${encodeString(message)},` +
        `"service_type":${encodeString(refusal.type)},"existing_service_id":${encodeString(refusal.holder)}}`
      )
    }
    case 'read-only':
      return READ_ONLY
    case 'not-found':
      return failure(`Service not found or could not be ${action}ed`)
    case 'store':
      return failure(`Failed to ${action} service: ${refusal.reason}`)
  }
}

/** Gives the id that a request names, or the answer to one that names none. */
export function serviceId({body}: Request): string | {readonly answer: string} {
  const value = body['service_id']
  // Any text may be asked for: what no service can have as its id is simply not found.
  const id = typeof value === 'string' ? value : idText(value)
  if (id !== undefined && !isEmpty(value)) return id
  return {answer: isEmpty(value) ? NO_SERVICE_ID : failure('Invalid value: service_id must be a text or an integer')}
}

/** Gives the type or tag asked for; undefined when the field is absent in the protocol's sense. */
export function labelOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  return isEmpty(value) ? undefined : shown(value)
}

/** Tells whether a request names no action, in the sense of the protocol. */
export function isAbsent(action: unknown): boolean {
  return isEmpty(action) || (typeof action === 'object' && action !== null && Object.keys(action).length === 0)
}

/** Shows what a client sent in an answer to it, cut to a readable length. */
export function shown(value: unknown): string {
  if (value === true) return 'True'
  const text = typeof value === 'string' || typeof value === 'number' ? String(value) : JSON.stringify(value)
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text
}
