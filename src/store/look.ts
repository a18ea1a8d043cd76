/** Looks into a store that belongs to somebody else. */
import {BODY, decodeHead} from './sqlite-messages.ts'
import {runTask} from './sqlite-task.ts'
import type {StoreHead} from './store.ts'

/**
 * Reads the head of the database file at `path` and the value of one record; undefined when there is none. The file may be in use, is not brought to
 * this version, and is as it was.
 *
 * @throws RegistryError `REG_STORE_FAILED`, `REG_STORE_DAMAGED`, `REG_STORE_NEWER`
 */
export function lookIntoStore(
  path: string,
  record: {readonly table: string; readonly key: string},
): Promise<{head: StoreHead; value: string | undefined}> {
  return runTask({kind: 'record', path, ...record}, (answer) => {
    const value = answer[BODY + 6]
    return {head: decodeHead(answer), value: typeof value === 'string' ? value : undefined}
  })
}
