/** What who archives the change log tells of itself: with `archiveLog(from, about)`, and then, as its archive grows, `archiveAck(told)`. */
import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'

/** Who it is. */
export interface ArchiverAbout {
  /** Iden of its archive, 32 hex digits. */
  readonly archiver: string
  /** Where that is, for people. */
  readonly name: string
  /** It ends when it has all that there is, and comes again: it is not there most of the time. */
  readonly isOnce: boolean
}

/** Who it is, and how far its archive goes: it has every entry below `index` on its disk. */
export interface ArchiverPlace extends ArchiverAbout {
  readonly index: number
}

export interface ArchiverTold {
  readonly archiver: string
  readonly index: number
  /** It had all that there was at that moment. */
  readonly isAll: boolean
}

const IDEN = /^[0-9a-f]{32}$/
const NAME = /^[^\p{Cc}]{1,256}$/u
const MOST_PLACES = 1000

/** @throws RegistryError `REG_BAD_REQUEST` */
export function readArchiverAbout(value: Value, what: string): ArchiverAbout {
  const {archiver, name, isOnce} = fieldsOf(value, what)
  if (typeof archiver !== 'string' || !IDEN.test(archiver)) throw bad(`${what}.archiver`, 'must be 32 hex digits')
  if (typeof name !== 'string' || !NAME.test(name)) throw bad(`${what}.name`, 'must be a name')
  return {archiver, name, isOnce: truth(isOnce, `${what}.isOnce`)}
}

/** @throws RegistryError `REG_BAD_REQUEST` */
export function readArchiverPlace(value: Value, what: string): ArchiverPlace {
  return {...readArchiverAbout(value, what), index: offset(fieldsOf(value, what)['index'], `${what}.index`)}
}

/** @throws RegistryError `REG_BAD_REQUEST` */
export function readArchiverPlaces(value: Value, what: string): readonly ArchiverPlace[] {
  if (!Array.isArray(value) || value.length > MOST_PLACES) throw bad(what, `must be a list of at most ${MOST_PLACES}`)
  return value.map((one: Value) => readArchiverPlace(one, what))
}

/** @throws RegistryError `REG_BAD_REQUEST` */
export function readArchiverTold(value: Value): ArchiverTold {
  const {archiver, index, isAll} = fieldsOf(value, 'told')
  if (typeof archiver !== 'string' || !IDEN.test(archiver)) throw bad('told.archiver', 'must be 32 hex digits')
  return {archiver, index: offset(index, 'told.index'), isAll: truth(isAll, 'told.isAll')}
}

function fieldsOf(value: Value, what: string): Readonly<Record<string, Value>> {
  const isMap = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  if (!isMap) throw bad(what, 'must be a map')
  return value as Readonly<Record<string, Value>>
}

function offset(value: Value, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw bad(what, 'must be an integer from 0')
}

function truth(value: Value, what: string): boolean {
  if (typeof value === 'boolean') return value
  throw bad(what, 'must be true or false')
}

function bad(what: string, how: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', `${what} ${how}`, {info: {name: what}})
}
