/** What may stand at the cursor. */
export interface Candidate {
  readonly value: string
  readonly about: string
}

/** Values that only a registry knows, by its ZeroMQ port. */
export type ServiceKind = 'id' | 'type' | 'name' | 'tag'
/** Values that only a cell knows. */
export type HolderKind = 'user' | 'role' | 'apikey'
/** `aha`: URLs of services that an AHA knows; `member`: other members of the cell; `backup`: those of the data directory. */
export type LiveKind = ServiceKind | HolderKind | 'pool' | 'aha' | 'member' | 'backup'

/** What can be completed: fixed candidates, and the kind of live value that fits as well. Both empty: the shell offers files. */
export interface Completion {
  readonly candidates: readonly Candidate[]
  readonly live: LiveKind | undefined
}

/** The parts of oclif's manifest that completion reads. */
export interface CompletedCommand {
  readonly id: string
  readonly summary?: string | undefined
  readonly hidden?: boolean | undefined
  readonly args: Readonly<Record<string, {readonly name: string; readonly options?: readonly string[] | undefined}>>
  readonly flags: Readonly<Record<string, CompletedFlag>>
}

interface CompletedFlag {
  readonly name: string
  readonly type: string
  readonly summary?: string | undefined
  readonly description?: string | undefined
  readonly char?: string | undefined
  readonly hidden?: boolean | undefined
  readonly multiple?: boolean | undefined
  readonly allowNo?: boolean | undefined
  readonly options?: readonly string[] | undefined
}

const LIVE_KINDS: readonly LiveKind[] = ['id', 'type', 'name', 'tag', 'user', 'role', 'apikey', 'pool']
const NOTHING: Completion = {candidates: [], live: undefined}

/** Completes `current`, the word at the cursor, behind `words`; the program's name is not among them. Candidates all begin with `current`. */
export function complete(words: readonly string[], current: string, commands: readonly CompletedCommand[]): Completion {
  if (words.includes('--')) return NOTHING // another program's command line
  const seen = commands.filter((command) => !command.hidden)
  if (words[0] === 'help') return matching(nextWords(words.slice(1), seen), current)
  const command = longestCommand(words, seen)
  const further = matching(nextWords(words, seen), current)
  if (command === undefined) return current.startsWith('-') ? NOTHING : further
  const rest = words.slice(command.id.split(':').length)
  const own = completeIn(command, rest, current)
  // `backup` may be a command and a topic: both go on.
  return {live: own.live, candidates: rest.length === 0 ? [...further.candidates, ...own.candidates] : own.candidates}
}

function completeIn(command: CompletedCommand, rest: readonly string[], current: string): Completion {
  const flags = Object.values(command.flags).filter((flag) => !flag.hidden)
  const open = flagBefore(rest.at(-1), flags)
  if (open !== undefined) return valuesOf(command, open, current, '')
  const assigned = /^(--[^=]+)=(.*)$/s.exec(current)
  if (assigned?.[1] !== undefined) {
    const flag = flagBefore(assigned[1], flags)
    return flag === undefined ? NOTHING : valuesOf(command, flag, assigned[2] ?? '', `${assigned[1]}=`)
  }
  if (current.startsWith('-')) return matching(flagNames(flags, rest), current)
  const argument = Object.values(command.args)[countArguments(rest, flags)]
  if (argument?.name === 'backup') return {...NOTHING, live: 'backup'}
  // Only one that is there can be forgotten.
  if (command.id === 'clone' && argument !== undefined && rest.includes('--forget')) return {...NOTHING, live: 'member'}
  return argument === undefined ? NOTHING : valuesOf(command, argument, current, '')
}

function valuesOf(
  command: CompletedCommand,
  item: {readonly name: string; readonly options?: readonly string[] | undefined},
  current: string,
  prefix: string,
): Completion {
  const options = (item.options ?? []).filter((value) => value.startsWith(current))
  const isAha = ['url', 'consumer'].includes(item.name) && current.startsWith('aha:')
  const named = isAha ? 'aha' : LIVE_KINDS.find((kind) => kind === item.name)
  const live = 'url' in command.flags ? named : undefined
  return {live, candidates: options.map((value) => ({value: prefix + value, about: ''}))}
}

/** Gives the words that may follow `words` on the way to a command. */
function nextWords(words: readonly string[], commands: readonly CompletedCommand[]): Candidate[] {
  const found = new Map<string, string>()
  for (const command of commands) {
    const parts = command.id.split(':')
    const next = parts[words.length]
    if (next === undefined || words.some((word, index) => word !== parts[index])) continue
    const about = parts.length === words.length + 1 ? (command.summary ?? '') : ''
    found.set(next, about || (found.get(next) ?? ''))
  }
  return [...found].map(([value, about]) => ({value, about}))
}

function longestCommand(words: readonly string[], commands: readonly CompletedCommand[]): CompletedCommand | undefined {
  for (let length = words.length; length > 0; length--) {
    const id = words.slice(0, length).join(':')
    const command = commands.find((one) => one.id === id)
    if (command !== undefined) return command
  }
  return undefined
}

function flagNames(flags: readonly CompletedFlag[], given: readonly string[]): Candidate[] {
  return flags
    .filter((flag) => flag.multiple || !given.some((word) => isFlagWord(word, flag)))
    .flatMap((flag) => {
      const about = flag.summary ?? flag.description ?? ''
      const names = flag.allowNo ? [`--${flag.name}`, `--no-${flag.name}`] : [`--${flag.name}`]
      return names.map((value) => ({value, about}))
    })
}

/** Finds the flag that `word` is, when it waits for a value in the next word. */
function flagBefore(word: string | undefined, flags: readonly CompletedFlag[]): CompletedFlag | undefined {
  if (word === undefined || word.includes('=')) return undefined
  return flags.find((flag) => flag.type === 'option' && isFlagWord(word, flag))
}

function isFlagWord(word: string, flag: CompletedFlag): boolean {
  const name = word.split('=', 1)[0]
  return (
    name === `--${flag.name}` || name === `--no-${flag.name}` || (flag.char !== undefined && name === `-${flag.char}`)
  )
}

/** Counts the words that are neither flags nor their values. */
function countArguments(rest: readonly string[], flags: readonly CompletedFlag[]): number {
  return rest.filter((word, index) => !word.startsWith('-') && flagBefore(rest[index - 1], flags) === undefined).length
}

function matching(candidates: readonly Candidate[], current: string): Completion {
  return {live: undefined, candidates: candidates.filter(({value}) => value.startsWith(current))}
}
