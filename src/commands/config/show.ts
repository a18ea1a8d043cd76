import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {table} from '../../cli/render.ts'
import type {OptionState} from '../../config/describe.ts'
import {dataDirOf, readEnvironment} from '../../config/environment.ts'

interface Shown {
  readonly dir: string
  readonly options: Readonly<Record<string, OptionState>>
}

export default class ConfigShow extends BaseCommand {
  static override readonly summary = 'Show the values in force and where each comes from.'
  static override readonly description =
    `Reads what a registry on the data directory would read if it started now, with this environment
and without flags. Options that have their default are left out, unless --all is given.`
  static override readonly args = {
    dir: Args.string({description: 'Data directory. Without it: REGISTRY_DIR, else ~/.local/share/registry.'}),
  }
  static override readonly flags = {
    all: Flags.boolean({summary: 'Show options that have their default as well.', default: false}),
  }
  static override readonly examples = [
    {description: 'Show what was set, and where.', command: '<%= config.bin %> <%= command.id %>'},
    {description: 'Show all options of another directory.', command: '<%= config.bin %> <%= command.id %> ./lab --all'},
  ]

  async run(): Promise<Shown> {
    const {args, flags} = await this.parse(ConfigShow)
    const {inspectConf, invalid} = await import('../../config/load.ts')
    const {optionStates} = await import('../../config/describe.ts')
    const dir = dataDirOf(args.dir, readEnvironment())
    const checked = await inspectConf({dir})
    if (checked.problems.length > 0) throw invalid(checked.problems)
    for (const {message} of checked.warnings) this.say(`warning: ${message}`)
    return this.show({dir, options: optionStates(checked, flags.all)}, showText)
  }
}

function showText({dir, options}: Shown): string {
  const rows = Object.entries(options)
  if (rows.length === 0) return `Nothing is set for ${dir}: every option has its default. Add --all to see them.`
  return table(rows, [
    {header: 'option', value: ([name]) => name},
    {header: 'value', value: ([, {value}]) => (typeof value === 'string' ? value : JSON.stringify(value))},
    {header: 'from', value: ([, {from}]) => from},
  ])
}
