import type {Command} from '@oclif/core'
import {EXIT_STATUSES} from './exit-statuses.ts'
import {commandsOfSource} from './manifest.ts'

type Flag = Command.Cached['flags'][string]
type Arg = Command.Cached['args'][string]
type Example = NonNullable<Command.Cached['examples']>[number]

const ALWAYS = [0, 1, 2, 130]
const WITH_REGISTRY = [4, 6]

/** Makes docs/commands.md from the commands' own declarations. */
export async function commandsPage(root: string): Promise<string> {
  const commands = (await commandsOfSource(root)).filter((command) => !command.hidden)
  const index = commands.map(
    (command) => `| [${typed(command)}](#${anchor(command)}) | ${cell(command.summary ?? '')} |`,
  )
  return `<!-- Made by npm run generate from src/commands. -->
# Commands

All commands take \`--json\`: the result on stdout is JSON then, and so is an error. Streams are one JSON value per line and end with
\`{"end": …}\` or \`{"error": …}\`. Results go to stdout, everything else to stderr. Durations are \`ms s m h d\`; a bare number is seconds.

| command | what it does |
|---|---|
${index.join('\n')}

${commands.map(section).join('\n')}`
}

function section(command: Command.Cached): string {
  const parts = [
    `## ${typed(command)}`,
    command.summary ?? '',
    fill(command.description ?? '', command),
    usages(command)
      .map((line) => `    ${line}`)
      .join('\n'),
    argsTable(Object.values(command.args)),
    flagsTable(Object.values(command.flags).filter((flag) => !flag.hidden)),
    examplesBlock(command),
    `Exit status: ${exits(command)}.`,
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

/** The forms that the command is typed in. */
function usages(command: Command.Cached): readonly string[] {
  if (command.usage !== undefined) return [command.usage].flat().map((line) => `registry ${fill(line, command)}`)
  const args = Object.values(command.args).map((arg) =>
    arg.required ? arg.name.toUpperCase() : `[${arg.name.toUpperCase()}]`,
  )
  return [['registry', typed(command), ...args, '[FLAGS]'].join(' ')]
}

function argsTable(args: readonly Arg[]): string {
  if (args.length === 0) return ''
  const rows = args.map((arg) => `| \`${arg.name.toUpperCase()}\` | ${cell(sentence(arg.description, arg))} |`)
  return ['| argument | |', '|---|---|', ...rows].join('\n')
}

function flagsTable(flags: readonly Flag[]): string {
  const rows = flags
    .filter((flag) => flag.name !== 'json')
    .map((flag) => `| \`${flagForm(flag)}\` | ${cell(sentence(flag.summary ?? flag.description, flag))} |`)
  return rows.length === 0 ? '' : ['| flag | |', '|---|---|', ...rows].join('\n')
}

function flagForm(flag: Flag): string {
  const name = `${flag.char ? `-${flag.char}, ` : ''}--${flag.type === 'boolean' && flag.allowNo ? '[no-]' : ''}${flag.name}`
  if (flag.type === 'boolean') return name
  const value = flag.options ? flag.options.join('|') : (flag.helpValue ?? '<value>')
  return `${name} ${value}${flag.multiple ? ' …' : ''}`
}

function sentence(
  text: string | undefined,
  item: {required?: boolean; default?: unknown; options?: readonly string[]},
): string {
  const given = item.default
  const isPlain = ['string', 'number'].includes(typeof given) && given !== ''
  return [text ?? '', item.required ? 'Required.' : '', isPlain ? `Default: ${String(given)}.` : '']
    .filter((part) => part !== '')
    .join(' ')
}

function examplesBlock(command: Command.Cached): string {
  const lines = (command.examples ?? []).flatMap((example) => exampleLines(example, command))
  return lines.length === 0 ? '' : `\`\`\`sh\n${lines.join('\n')}\n\`\`\``
}

function exampleLines(example: Example, command: Command.Cached): string[] {
  if (typeof example === 'string') return [fill(example, command)]
  return [`# ${fill(example.description, command)}`, fill(example.command, command)]
}

function exits(command: Command.Cached): string {
  const own = (command['exits'] ?? {}) as Readonly<Record<string, string>>
  const usual = [...ALWAYS, ...('url' in command.flags ? WITH_REGISTRY : [])]
  const statuses = [...new Set([...usual, ...Object.keys(own).map(Number)])].toSorted((a, b) => a - b)
  return statuses.map((status) => `${status} ${own[status] ?? EXIT_STATUSES[status]}`).join(' · ')
}

function typed(command: Command.Cached): string {
  return command.id.replaceAll(':', ' ')
}

function anchor(command: Command.Cached): string {
  return command.id.replaceAll(':', '-')
}

function fill(text: string, command: Command.Cached): string {
  return text.replaceAll('<%= config.bin %>', 'registry').replaceAll('<%= command.id %>', typed(command))
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
