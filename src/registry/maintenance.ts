import {encodeString} from '../base/json-text.ts'

/**
 * That an instance is being worked on. It stays registered and listed, keeps its health and the type that it is unique by, but is not
 * discovered; and when its lease ends it becomes critical as ever, but is not removed. Maintenance ends when somebody ends it or
 * deregisters the instance; a new registration of the same id goes on with it.
 *
 * It stands in the service object: `"maintenance":{"reason":"new lens","since":1760000000,"by":"unix/root"}`.
 */
export interface Maintenance {
  readonly reason: string
  /** Epoch seconds, whole. */
  readonly sinceS: number
  /** Who asked for it. */
  readonly by: string
}

const MAX_REASON = 256
/** The names of users are shorter; this is for whatever else an actor may be made of. */
const MAX_BY = 512
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

/** Says what is wrong with a reason; undefined when nothing is. */
export function faultOfReason(reason: string): string | undefined {
  const isGood = reason.trim() !== '' && reason.length <= MAX_REASON && !CONTROL.test(reason)
  return isGood ? undefined : `the reason must be a text of 1 to ${MAX_REASON} characters without control characters`
}

/** Writes it as it stands in the service object and in the log. */
export function encodeMaintenance({reason, sinceS, by}: Maintenance): string {
  return `{"reason":${encodeString(reason)},"since":${sinceS},"by":${encodeString(by.slice(0, MAX_BY))}}`
}

/** Reads what `encodeMaintenance` wrote; undefined when it is something else. */
export function readMaintenance(value: unknown): Maintenance | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const {reason, since, by} = value as Readonly<Record<string, unknown>>
  if (typeof reason !== 'string' || typeof since !== 'number' || typeof by !== 'string') return undefined
  return {reason, sinceS: since, by}
}
