import {messageOf, RegistryError, systemCode} from '../base/errors.ts'

/** What the world may do to a database file; by primary result code of SQLite. */
const FAILURES: Readonly<Record<number, string>> = {
  3: 'SQLITE_PERM',
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  7: 'SQLITE_NOMEM',
  8: 'SQLITE_READONLY',
  10: 'SQLITE_IOERR',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  15: 'SQLITE_PROTOCOL',
  22: 'SQLITE_NOLFS',
  23: 'SQLITE_AUTH',
}
/** What shows that the file is not as we wrote it: also a missing table (ERROR) or an entry that should not be there yet (CONSTRAINT). */
const DAMAGES: Readonly<Record<number, string>> = {
  1: 'SQLITE_ERROR',
  11: 'SQLITE_CORRUPT',
  19: 'SQLITE_CONSTRAINT',
  26: 'SQLITE_NOTADB',
}

/** Says whether the lock of another connection was in the way. */
export function isBusy(thrown: unknown): boolean {
  return isSqliteFault(thrown) && FAILURES[thrown.errcode & 0xff] === 'SQLITE_BUSY'
}

interface SqliteFault {
  /** Extended result code. */
  readonly errcode: number
  readonly errstr: string
  readonly message: string
}

/**
 * Translates what a call of node:sqlite or node:fs threw into a `REG_STORE_FAILED` or `REG_STORE_DAMAGED`. A RegistryError passes
 * unchanged; anything else is a bug of ours and is thrown on.
 */
export function asStoreError(thrown: unknown, operation: string, place: string): RegistryError {
  if (thrown instanceof RegistryError) return thrown
  if (isSqliteFault(thrown)) return sqliteError(thrown, operation, place)
  const system = systemCode(thrown)
  // An integer that JavaScript cannot hold was never written by us.
  if (system === 'ERR_OUT_OF_RANGE') return damagedFile(place, messageOf(thrown))
  if (system === undefined || !/^E[A-Z0-9]+$/.test(system)) throw thrown
  return new RegistryError('REG_STORE_FAILED', `cannot ${operation} ${place}: ${system}`, {
    info: {place, operation, system},
    cause: thrown,
  })
}

/** Makes the error for a file that SQLite can read, but whose content cannot be what was written. */
export function damagedFile(place: string, reason: string, offset?: number): RegistryError {
  return new RegistryError('REG_STORE_DAMAGED', `${place} is damaged: ${reason}`, {
    info: offset === undefined ? {place} : {place, offset},
  })
}

/** Says whether this is a failed read or write of the system, after which it is not known what reached the disk. */
export function isIoFault(thrown: unknown): boolean {
  return isSqliteFault(thrown) && FAILURES[thrown.errcode & 0xff] === 'SQLITE_IOERR'
}

function sqliteError(fault: SqliteFault, operation: string, place: string): RegistryError {
  const primary = fault.errcode & 0xff // the upper bits of an extended code tell the kind
  const failure = FAILURES[primary]
  const name = failure ?? DAMAGES[primary] ?? `SQLite error ${primary}`
  const code = failure === undefined ? 'REG_STORE_DAMAGED' : 'REG_STORE_FAILED'
  return new RegistryError(code, `cannot ${operation} ${place}: ${fault.message} (${name})`, {
    info: {place, operation, sqlite: name, errcode: fault.errcode, errstr: fault.errstr},
    cause: fault,
  })
}

function isSqliteFault(thrown: unknown): thrown is Error & SqliteFault {
  return systemCode(thrown) === 'ERR_SQLITE_ERROR' && thrown instanceof Error && 'errcode' in thrown
}
