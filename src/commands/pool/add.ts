import {Args, Flags} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {cellFlags} from '../../cli/cell-command.ts'
import type {ChangeReport} from '../../cli/holder-command.ts'
import {doPoolSteps, poolSteps} from '../../cli/pool-change.ts'
import {PoolCommand} from '../../cli/pool-command.ts'
import {type PoolReport, poolChange, poolDetails} from '../../cli/pool-text.ts'
import {printable} from '../../cli/printable.ts'

export default class PoolAdd extends PoolCommand {
  static override readonly summary = 'Add a pool of services to an AHA.'
  static override readonly description =
    'The services must have registered at that AHA. When one of them cannot be put in, there is no pool.'
  static override readonly exits = {3: 'no such service', 5: 'a pool or service has the name'}
  static override readonly args = {
    pool: Args.string({description: 'Name of the new pool, in full or within the network of AHA.', required: true}),
  }
  static override readonly examples = [
    {
      description: 'Spread readers over two mirrors of a Cortex.',
      command: '<%= config.bin %> <%= command.id %> pool00.cortex --service 01.cortex --service 02.cortex',
    },
    {
      description: 'Add an empty one at another AHA.',
      command: '<%= config.bin %> <%= command.id %> pool00.axon --url cell:///srv/aha',
    },
  ]
  static override readonly flags = {
    service: Flags.string({
      summary: 'Put this service in; may be given several times.',
      helpValue: '<name>',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    ...cellFlags,
  }

  async run(): Promise<ChangeReport<PoolReport>> {
    const {args, flags} = await this.parse(PoolAdd)
    await using admin = await this.openPools(flags)
    if ((await admin.find(args.pool)) !== undefined) throw isThere(args.pool)
    const steps = await poolSteps(admin, undefined, {add: flags.service, remove: []})
    const pool = await admin.add(args.pool)
    await doPoolSteps(admin, pool, steps).catch(async (error: unknown) => {
      await admin.remove(pool)
      throw error
    })
    const after = await admin.pool(pool.name)
    return this.show(poolChange(null, after, false), () => {
      return `${printable(`added the pool ${after.name}`)}\n${poolDetails(after)}`
    })
  }
}

function isThere(name: string): RegistryError {
  return new RegistryError('REG_CONFLICT', `there is a pool "${name}" already`, {
    telepath: 'DupName',
    info: {name},
    hints: [`registry pool show ${name}`, `registry pool set ${name} --add SERVICE`],
  })
}
