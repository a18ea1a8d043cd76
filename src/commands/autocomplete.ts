import {Args} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {INSTALL, SCRIPTS, SHELLS, type Shell} from '../cli/shells.ts'

export default class Autocomplete extends BaseCommand {
  static override readonly summary = 'Print what completes commands, flags and the names of live services in a shell.'
  static override readonly description = `Without SHELL: says how each shell is told to use it, once and for all.
Ids, names, types and tags are those of the registry that the command being typed would talk to. One that does not answer within 300 ms
is left out.`
  static override readonly args = {
    shell: Args.string({description: 'Shell to print the script for.', options: [...SHELLS]}),
  }
  static override readonly examples = [
    {description: 'Say how to set it up.', command: '<%= config.bin %> <%= command.id %>'},
    {description: 'Print the script for bash.', command: '<%= config.bin %> <%= command.id %> bash'},
  ]

  async run(): Promise<Readonly<Record<string, unknown>>> {
    const {args} = await this.parse(Autocomplete)
    if (args.shell === undefined) return this.show({install: INSTALL}, () => howTo())
    const script = SCRIPTS[args.shell as Shell] // oclif takes only what stands in `options`
    return this.show({shell: args.shell, script}, () => script)
  }
}

function howTo(): string {
  const steps = SHELLS.map((shell) => `${shell}:\n  ${INSTALL[shell]}`)
  return ['Type this once, then open a new shell:', ...steps].join('\n')
}
