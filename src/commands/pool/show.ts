import {Args} from '@oclif/core'
import {cellFlags} from '../../cli/cell-command.ts'
import {PoolCommand} from '../../cli/pool-command.ts'
import {type PoolShown, poolDetails, poolShown} from '../../cli/pool-text.ts'

export default class PoolShow extends PoolCommand {
  static override readonly summary = 'Show a pool: the services in it, and which of them are online and ready.'
  static override readonly exits = {3: 'no such pool'}
  static override readonly args = {
    pool: Args.string({description: 'Name of the pool, in full or within the network of AHA.', required: true}),
  }
  static override readonly examples = [
    {description: 'Show a pool of Cortexes.', command: '<%= config.bin %> <%= command.id %> pool00.cortex'},
    {
      description: 'Show one by its full name, for a script.',
      command: '<%= config.bin %> <%= command.id %> pool00.cortex.demo.net --json',
    },
  ]
  static override readonly flags = cellFlags

  async run(): Promise<PoolShown> {
    const {args, flags} = await this.parse(PoolShow)
    await using admin = await this.openPools(flags)
    const pool = await admin.pool(args.pool)
    const members = await admin.members(pool)
    this.show(pool, () => poolDetails(pool, members))
    return poolShown(pool, members)
  }
}
