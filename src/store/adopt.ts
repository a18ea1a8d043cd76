/** What is done to a copy of a store before it is opened. */
import {newGuid} from '../base/ids.ts'
import type {ChainPlace} from './chain.ts'
import {runFileTask} from './sqlite-task.ts'
import type {StoreHead} from './store.ts'

/**
 * Gives a copied file an iden of its own, a new one unless given, and its head. To be called before it is opened, when it has been verified.
 *
 * @throws RegistryError `REG_STORE_FAILED`, `REG_STORE_DAMAGED`, `REG_STORE_NEWER`
 */
export function adoptStore(path: string, iden: string = newGuid()): Promise<StoreHead> {
  return runFileTask({kind: 'adopt', path, iden})
}

/**
 * Verifies that a copied file is whole, that the chain of its log is intact from the oldest entry that is kept, and that it ends at `end`. Alters
 * nothing.
 *
 * @throws RegistryError `REG_STORE_DAMAGED` when it is not, `REG_STORE_NEWER` when it is of something else or of newer software;
 * `REG_STORE_FAILED` when it cannot be read
 */
export async function verifyStoreFile(path: string, {nextOffset, lastHash}: ChainPlace): Promise<void> {
  await runFileTask({kind: 'verify', path, nextOffset, lastHash})
}
