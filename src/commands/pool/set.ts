import {Args, Flags} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {cellFlags, dryRunFlag} from '../../cli/cell-command.ts'
import type {ChangeReport} from '../../cli/holder-command.ts'
import {doPoolSteps, poolAfterSteps, poolSteps} from '../../cli/pool-change.ts'
import {PoolCommand} from '../../cli/pool-command.ts'
import {type PoolReport, poolChange, poolDetails} from '../../cli/pool-text.ts'
import {printable} from '../../cli/printable.ts'

export default class PoolSet extends PoolCommand {
  static override readonly summary = 'Put services into a pool, or take them out.'
  static override readonly description =
    'Who uses the pool hears of it at once: new connections are made, and those to services that are out are closed.'
  static override readonly exits = {3: 'no such pool or service'}
  static override readonly args = {
    pool: Args.string({description: 'Name of the pool, in full or within the network of AHA.', required: true}),
  }
  static override readonly examples = [
    {
      description: 'Put a third mirror in.',
      command: '<%= config.bin %> <%= command.id %> pool00.cortex --add 03.cortex',
    },
    {
      description: 'See what would become of it when one takes the place of another.',
      command: '<%= config.bin %> <%= command.id %> pool00.cortex --add 03.cortex --remove 01.cortex --dry-run',
    },
  ]
  static override readonly flags = {
    add: Flags.string({
      summary: 'Put this service in; may be given several times.',
      helpValue: '<name>',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    remove: Flags.string({
      summary: 'Take this service out; may be given several times.',
      helpValue: '<name>',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    ...dryRunFlag,
    ...cellFlags,
  }

  async run(): Promise<ChangeReport<PoolReport>> {
    const {args, flags} = await this.parse(PoolSet)
    if (flags.add.length + flags.remove.length === 0) throw nothingToDo()
    await using admin = await this.openPools(flags)
    const pool = await admin.pool(args.pool)
    const steps = await poolSteps(admin, pool, flags)
    const isDry = flags['dry-run']
    if (isDry) this.say('dry run: nothing was done')
    else await doPoolSteps(admin, pool, steps)
    const after = isDry ? poolAfterSteps(pool, steps) : await admin.pool(pool.name)
    const nothing = steps.length > 0 ? '' : ' (nothing to change)'
    return this.show(poolChange(pool, after, isDry), () => {
      return `${printable(`pool ${pool.name}`)}${nothing}\n${poolDetails(after)}`
    })
  }
}

function nothingToDo(): RegistryError {
  return new RegistryError('REG_USAGE', 'give at least one --add or --remove', {hints: ['registry help pool set']})
}
