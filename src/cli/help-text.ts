import {type Command, CommandHelp, Help} from '@oclif/core'

/** Help for people: of everything, of a topic, or of a command. */
export class HelpText extends Help {
  protected override CommandHelpClass = PlainCommandHelp

  async showId(id: string): Promise<void> {
    const command = this.config.findCommand(id)
    const topic = this.config.findTopic(id)
    if (command !== undefined) await this.showCommandHelp(command)
    else if (topic !== undefined) await this.showTopicHelp(topic)
    else await this.showRootHelp()
  }
}

/** Of oclif's help what is said by itself: no empty defaults, no broken groups of flags, and examples that can be copied. */
class PlainCommandHelp extends CommandHelp {
  protected override defaultUsage(): string {
    return usageOf(this.command)
  }

  protected override description(): string | undefined {
    const {description} = this.command
    return description === undefined ? undefined : this.wrap(unwrapped(description))
  }

  protected override examples(examples: Command.Example[] | string | undefined): string | undefined {
    const list = examples === undefined ? [] : [examples].flat()
    const parts = list.map((example) =>
      typeof example === 'string'
        ? this.#typed(example)
        : `${this.wrap(example.description, this.indentSpacing * 2)}\n\n${this.#typed(example.command)}`,
    )
    return parts.length === 0 ? undefined : parts.join('\n\n')
  }

  protected override flags(flags: Command.Flag.Any[]): Array<[string, string | undefined]> | undefined {
    return super.flags(flags.map(withoutEmptyDefault))
  }

  /** As it is typed: never wrapped, because a break within quotes would change it. */
  #typed(command: string): string {
    return this.indent(`$ ${this.render(command)}`)
  }
}

function withoutEmptyDefault(flag: Command.Flag.Any): Command.Flag.Any {
  return flag.type === 'option' && Array.isArray(flag.default) ? {...flag, default: undefined} : flag
}

/** With more of them the line tells nothing any more; they are listed below it. */
const MAX_FLAGS = 9

/** Gives how a command is typed. Which flags go together is said by their own texts. */
export function usageOf({args, flags}: Pick<Command.Loadable, 'args' | 'flags'>): string {
  const argWords = Object.values(args)
    .filter(({hidden}) => !hidden)
    .map(({name, required}) => (required ? name.toUpperCase() : `[${name.toUpperCase()}]`))
  const own = Object.values(flags).filter(({hidden, helpGroup}) => !hidden && helpGroup === undefined)
  const free = own.filter(({required}) => !required)
  const shown = [...own.filter(({required}) => required), ...(free.length > MAX_FLAGS ? [] : free)]
  const flagWords = shown.map(flagWord)
  const isMore = Object.values(flags).filter(({hidden}) => !hidden).length > shown.length
  return ['<%= command.id %>', ...argWords, ...flagWords, ...(isMore ? ['[FLAGS]'] : [])].join(' ')
}

function flagWord(flag: Command.Flag.Any): string {
  const name = `--${flag.type === 'boolean' && flag.allowNo ? '[no-]' : ''}${flag.name}`
  const word = flag.type === 'boolean' ? name : `${name} ${valueWord(flag)}${flag.multiple ? '...' : ''}`
  return flag.required ? word : `[${word}]`
}

function valueWord({options, helpValue}: {options?: readonly string[]; helpValue?: string | string[]}): string {
  if (options !== undefined) return options.join('|')
  return [helpValue ?? '<value>'].flat().join(' ')
}

/** Joins the lines of each paragraph, which end where the source does; empty lines stay, and indented ones as they are. */
export function unwrapped(text: string): string {
  return text.replaceAll(/(?<=\S)[ \t]*\n(?=\S)/g, ' ')
}
