import {RegistryError} from '../../base/errors.ts'
import {type ChangeCount, countingChanges} from '../../nexus/asked-changes.ts'

/**
 * Does what may be several changes, at the member that was asked itself. Where the lead moves after the first of them, who asked hears that a part is
 * done: as `REG_NOT_LEADER` alone he would take it for nothing, and ask the new leader for all of it.
 *
 * @throws RegistryError `REG_NOT_CONFIRMED` then; else what the work throws
 */
export async function sayingPart<T>(work: () => Promise<T>): Promise<T> {
  const count: ChangeCount = {changes: 0}
  try {
    return await countingChanges(count, work)
  } catch (error) {
    const isMoved = error instanceof RegistryError && error.code === 'REG_NOT_LEADER'
    throw isMoved && count.changes > 0 ? doneInPart(error) : error
  }
}

/** Says that some of the changes of a call are made, and not all. */
export function doneInPart(cause: RegistryError): RegistryError {
  const text = 'the lead moved when a part of it was done: whether the rest is needed is to be seen'
  return new RegistryError('REG_NOT_CONFIRMED', text, {
    hints: ['look what was made', 'ask again for what is missing'],
    cause,
  })
}
