import {Args, Flags} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {nearestName} from '../../base/nearest.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import {keyValues} from '../../cli/render.ts'
import type {Explanation} from '../../config/describe.ts'
import {dataDirOf, readEnvironment} from '../../config/environment.ts'
import {isOptionName, OPTION_NAMES, type OptionName} from '../../config/options.ts'

export default class ConfigExplain extends BaseCommand {
  static override readonly summary = 'Explain an option: what it does, what it takes, and who sets it now.'
  static override readonly args = {
    option: Args.string({description: 'Name of the option, as in cell.yaml.', required: true}),
  }
  static override readonly flags = {
    dir: Flags.string({
      summary: 'Data directory whose files are read. Without it: REGISTRY_DIR, else ~/.local/share/registry.',
      helpValue: '<directory>',
    }),
  }
  static override readonly examples = [
    {description: 'Explain one option.', command: '<%= config.bin %> <%= command.id %> lease:grace'},
    {
      description: 'See which source of another directory sets the port.',
      command: '<%= config.bin %> <%= command.id %> zmq:req:port --dir ./lab',
    },
  ]

  async run(): Promise<Explanation> {
    const {args, flags} = await this.parse(ConfigExplain)
    const name = optionNamed(args.option)
    const {inspectConf} = await import('../../config/load.ts')
    const {explainOption} = await import('../../config/describe.ts')
    const checked = await inspectConf({dir: dataDirOf(flags.dir, readEnvironment())})
    return this.show(explainOption(name, checked), explainText)
  }
}

/** Takes the name of a flag or with other separators as well: what was meant is plain. */
function optionNamed(text: string): OptionName {
  if (isOptionName(text)) return text
  const name = text.replace(/^--/, '').replaceAll(/[-_.]/g, ':').toLowerCase()
  if (isOptionName(name)) return name
  const nearest = nearestName(name, OPTION_NAMES)
  throw new RegistryError(
    'REG_NOT_FOUND',
    `there is no option "${text}"${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}`,
    {
      hints: nearest === undefined ? ['registry config show --all'] : [`registry config explain ${nearest}`],
    },
  )
}

function explainText(option: Explanation): string {
  const {state} = option
  const [inForce, ...overridden] = option.settings
  return keyValues([
    ['option', option.name],
    ['about', `${option.about}\n${option.effect}`],
    ['takes', option.type],
    ['default', option.default ?? undefined],
    ['example', option.example],
    ['variables', option.variables.join('\n') || undefined],
    ['flag', option.flag ?? undefined],
    [
      'value now',
      state === null ? 'not set' : `${valueText(state.value)}${state.origin === 'default' ? ' (the default)' : ''}`,
    ],
    ['set by', inForce === undefined ? 'nobody' : inForce.from],
    ['overrides', overridden.map(({value, from}) => `${value} from ${from}`).join('\n') || undefined],
    ['wrong', option.problems.join('\n') || undefined],
  ])
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
