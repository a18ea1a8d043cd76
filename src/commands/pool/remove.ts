import {Args} from '@oclif/core'
import {cellFlags, confirmFlags} from '../../cli/cell-command.ts'
import type {ChangeReport} from '../../cli/holder-command.ts'
import {PoolCommand} from '../../cli/pool-command.ts'
import {type PoolReport, poolChange} from '../../cli/pool-text.ts'
import {printable} from '../../cli/printable.ts'

export default class PoolRemove extends PoolCommand {
  static override readonly summary = 'Remove a pool. The services that are in it stay as they are.'
  static override readonly description =
    'Nobody is spread over them any more, and aha://POOL... leads nowhere. Its name is to be typed, or --yes given.'
  static override readonly exits = {3: 'no such pool'}
  static override readonly args = {
    pool: Args.string({description: 'Name of the pool, in full or within the network of AHA.', required: true}),
  }
  static override readonly examples = [
    {description: 'See what would be removed.', command: '<%= config.bin %> <%= command.id %> pool00.cortex --dry-run'},
    {
      description: 'Remove a pool in a script.',
      command: '<%= config.bin %> <%= command.id %> pool00.cortex --yes --json',
    },
  ]
  static override readonly flags = {...confirmFlags, ...cellFlags}

  async run(): Promise<ChangeReport<PoolReport>> {
    const {args, flags} = await this.parse(PoolRemove)
    await using admin = await this.openPools(flags)
    const pool = await admin.pool(args.pool)
    const about = pool.services.map((service) => `in it: ${service}`)
    await this.confirm({what: `remove the pool ${pool.name}`, name: pool.name, about}, flags)
    const isDry = flags['dry-run']
    if (isDry) this.say('dry run: nothing was done')
    else await admin.remove(pool)
    return this.show(poolChange(pool, null, isDry), () => {
      return printable(`${isDry ? 'would remove' : 'removed'} the pool ${pool.name}`)
    })
  }
}
