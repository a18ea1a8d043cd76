import {RegistryError} from '../../src/base/errors.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import type {Appended} from '../../src/store/store.ts'

/** A store that refuses to write for a while. */
export class MoodyStore extends MemoryStore {
  isBroken = false

  override async append(entries: Parameters<MemoryStore['append']>[0]): Promise<Appended> {
    if (this.isBroken) throw new RegistryError('REG_STORE_FAILED', 'disk full')
    return super.append(entries)
  }

  override async probe(): Promise<void> {
    if (this.isBroken) throw new RegistryError('REG_STORE_FAILED', 'disk full')
  }
}
