import type {PoolAdmin} from '../client/pools.ts'
import {CellCommand, type CellWish} from './cell-command.ts'

/** A command about the pools of an AHA. */
export abstract class PoolCommand extends CellCommand {
  /** Opens the AHA that the flags name. */
  protected async openPools(flags: CellWish): Promise<PoolAdmin> {
    const {PoolAdmin} = await import('../client/pools.ts')
    return new PoolAdmin(await this.openCell(flags), this.signal)
  }
}
