import {cellFlags} from '../../cli/cell-command.ts'
import {PoolCommand} from '../../cli/pool-command.ts'
import {type PoolReport, poolReport, poolTable} from '../../cli/pool-text.ts'

export default class PoolList extends PoolCommand {
  static override readonly summary = 'List the pools of an AHA.'
  static override readonly description =
    'A pool is a name for a set of services: who opens aha://POOL... is spread over those that are in it.'
  static override readonly examples = [
    {description: 'List the pools of the server on this machine.', command: '<%= config.bin %> <%= command.id %>'},
    {
      description: 'List those of another AHA, for a script.',
      command: '<%= config.bin %> <%= command.id %> --url cell:///srv/aha --json',
    },
  ]
  static override readonly flags = cellFlags

  async run(): Promise<{pools: readonly PoolReport[]}> {
    const {flags} = await this.parse(PoolList)
    await using admin = await this.openPools(flags)
    const pools = await admin.pools()
    if (pools.length === 0) this.say('there are no pools')
    else this.show(pools, poolTable)
    return {pools: pools.map(poolReport)}
  }
}
