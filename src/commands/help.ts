import {Args, type Command, Flags} from '@oclif/core'
import {RegistryError} from '../base/errors.ts'
import {BaseCommand} from '../cli/base-command.ts'
import {HelpText} from '../cli/help-text.ts'
import {suggestCommand} from '../cli/words.ts'

export default class HelpCommand extends BaseCommand {
  static override readonly summary = 'Show what there is, or how a command is used.'
  static override readonly examples = [
    {description: 'List the topics and commands.', command: '<%= config.bin %> <%= command.id %>'},
    {description: 'Show how a command is used.', command: '<%= config.bin %> <%= command.id %> service register'},
  ]
  static override readonly args = {command: Args.string({description: 'Topic or command to explain.', required: false})}
  static override readonly strict = false
  static override readonly flags = {all: Flags.boolean({summary: 'Show all levels of commands.', default: false})}

  async run(): Promise<unknown> {
    const {argv, flags} = await this.parse(HelpCommand)
    const id = argv.join(':')
    const command = this.config.findCommand(id)
    if (id !== '' && command === undefined && this.config.findTopic(id) === undefined)
      throw this.#unknown(argv.join(' '))
    if (this.jsonEnabled()) {
      return command === undefined ? {commands: this.#below(id).map(summaryOf)} : describe(command)
    }
    await new HelpText(this.config, {all: flags.all}).showId(id)
    return undefined
  }

  #below(id: string): Command.Loadable[] {
    return this.config.commands.filter((command) => !command.hidden && (id === '' || command.id.startsWith(`${id}:`)))
  }

  #unknown(given: string): RegistryError {
    const suggestion = suggestCommand(given.split(' '), this.config)
    return new RegistryError('REG_USAGE', `"${given}" is not a registry command`, {
      hints: [...(suggestion === undefined ? [] : [`registry help ${suggestion}`]), 'registry help'],
      info: {given},
    })
  }
}

function summaryOf(command: Command.Loadable) {
  return {command: command.id.replaceAll(':', ' '), summary: command.summary ?? ''}
}

function describe(command: Command.Loadable) {
  const {args, flags} = command
  return {
    ...summaryOf(command),
    description: command.description ?? '',
    args: Object.values(args).map(({name, description, required, options}) => ({name, description, required, options})),
    flags: Object.values(flags)
      .filter((flag) => !flag.hidden)
      .map(({name, type, summary, description, required, char}) => ({
        name,
        type,
        char,
        summary: summary ?? description,
        required,
      })),
  }
}
