/** What is in a store, in numbers and hashes: two stores with the same census have the same state and the same log. */
import {decodeCensus} from './sqlite-messages.ts'
import {runTask} from './sqlite-task.ts'

/** Counts and hashes by name. */
export type Census = Readonly<Record<string, number | string>>

/**
 * Takes the census of the database file at `path`, which may be in use: of one moment, in a thread of its own, and without altering it.
 *
 *     services         how many there are; services.sha256 is the hash over them: all but when they were last renewed
 *     records          how many there are in all; records.TABLE and records.TABLE.sha256 the same by table
 *     log.first        offset of the oldest entry that is kept
 *     log.entries      how many are kept
 *     log.index        offset that the next entry gets; log.epoch and log.hash are those of the newest one
 *     state.sha256     hash over all of this
 *
 * @throws RegistryError `REG_STORE_FAILED`, `REG_STORE_DAMAGED`, `REG_STORE_NEWER`; the reason of the signal
 */
export function storeCensus(path: string, signal?: AbortSignal): Promise<Census> {
  return runTask({kind: 'census', path}, decodeCensus, signal)
}
