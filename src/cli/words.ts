import {nearestName} from '../base/nearest.ts'

/** What the frame needs to know of the commands; oclif's Config has it. */
export interface CommandNames {
  readonly commands: readonly {readonly id: string; readonly hidden?: boolean}[]
  readonly topics: readonly {readonly name: string}[]
}

/** What a command line asks for. `json` is said separately because an error has to know it before anything is parsed. */
export type Request =
  | {readonly kind: 'help'; readonly words: readonly string[]; readonly json: boolean}
  | {readonly kind: 'command'; readonly id: string; readonly argv: readonly string[]}
  | {readonly kind: 'unknown'; readonly words: readonly string[]; readonly json: boolean}

const HELP_FLAGS = ['--help', '-h']

/** Tells whether `--json` stands among the flags; what follows `--` belongs to another program. */
export function wantsJson(argv: readonly string[]): boolean {
  return ownPart(argv).includes('--json')
}

/** Splits a command line into the longest command that it names and that command's arguments, or finds that it asks for help. */
export function readRequest(argv: readonly string[], names: CommandNames): Request {
  const json = wantsJson(argv)
  // `registry --json service list` is understood although flags belong behind the command.
  const start = argv.findIndex((word) => word !== '--json')
  const moved = start > 0 ? [...argv.slice(start), '--json'] : argv
  const words = leadingWords(start < 0 ? [] : moved)
  const ids = new Set(names.commands.map((command) => command.id))
  const named = words.findLastIndex((_, index) => ids.has(words.slice(0, index + 1).join(':'))) + 1
  if (ownPart(argv).some((word) => HELP_FLAGS.includes(word)) || start < 0) {
    // The arguments of the command are of no matter then.
    return {kind: 'help', words: named > 0 && words[0] !== 'help' ? words.slice(0, named) : words, json}
  }
  if (named > 0) return {kind: 'command', id: words.slice(0, named).join(':'), argv: moved.slice(named)}
  const isTopic = words.length > 0 && names.topics.some((topic) => topic.name === words.join(':'))
  if (isTopic) return {kind: 'help', words, json}
  return {kind: 'unknown', words: words.length > 0 ? words : argv.slice(0, 1), json}
}

/** Gives the command that `words` most likely were meant to be, as it is typed. */
export function suggestCommand(words: readonly string[], names: CommandNames): string | undefined {
  const known = names.commands.filter((command) => !command.hidden).map((command) => command.id.replaceAll(':', ' '))
  const spots = new Set([...known, ...known.map((name) => name.split(' ')[0] ?? name)])
  for (let length = Math.min(words.length, 3); length > 0; length--) {
    const nearest = nearestName(words.slice(0, length).join(' '), spots)
    if (nearest !== undefined) return nearest
  }
  // `registry list` means one of the verbs; the first of them is a start.
  return known.find((name) => name.split(' ').at(-1) === words.at(-1))
}

/**
 * Gives what was meant where a command that is a topic too was given a word that is near one of its subcommands: `backup vrify`. Whether the word stands
 * for something else, a file of that name, the caller finds out.
 */
export function misspeltSubcommand(id: string, argv: readonly string[], {commands}: CommandNames): string | undefined {
  const [word = ''] = argv
  if (!/^[a-z]+$/i.test(word)) return undefined
  const verbs = commands.flatMap((command) =>
    command.id.startsWith(`${id}:`) && !command.hidden ? [command.id.slice(id.length + 1)] : [],
  )
  const verb = nearestName(word, verbs)
  return verb === undefined ? undefined : `${id.replaceAll(':', ' ')} ${verb}`
}

/** Gives the words before `--`, which are ours. */
export function ownPart(argv: readonly string[]): string[] {
  const end = argv.indexOf('--')
  return end < 0 ? [...argv] : argv.slice(0, end)
}

/** Gives the words behind `--`, in their order. (oclif's own list of them is sorted by where a word first stood on the whole line.) */
export function behindDashes(argv: readonly string[]): string[] {
  const end = argv.indexOf('--')
  return end < 0 ? [] : argv.slice(end + 1)
}

function leadingWords(argv: readonly string[]): string[] {
  const end = argv.findIndex((word) => word.startsWith('-'))
  return end < 0 ? [...argv] : argv.slice(0, end)
}
