import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {printable, printableJson} from './printable.ts'
import type {QueryOutput} from './query-output.ts'
import {jsonOf, readArgument} from './query-values.ts'
import {withPeerHints} from './query-words.ts'
import {readText} from './read-text.ts'
import {jsonOfMessage, type StormMessage} from './storm-messages.ts'
import {type StormEnd, StormRun} from './storm-run.ts'
import {nodeText, rowText} from './storm-text.ts'

export interface StormFlags {
  readonly 'query-file'?: string | undefined
  readonly opts?: string | undefined
  readonly view?: string | undefined
  readonly raw: boolean
  readonly timeout?: number | undefined
}

/** A query with its options, as the Cortex takes them. */
export interface StormQuery {
  readonly text: string
  readonly opts: {readonly [key: string]: Value}
}

const MAX_QUERY_BYTES = 4 * 1024 * 1024
const MAX_OPTS_BYTES = 1024 * 1024

/** The Cortex says what values look like, and counts changes instead of sending them. A file of options may say otherwise. */
const FOR_PEOPLE = {repr: true, editformat: 'count'} as const

/**
 * Gathers the query: the word, or from where the flags say; `-` is the standard input.
 *
 * @throws RegistryError `REG_USAGE`
 */
export async function readStorm(words: readonly string[], flags: StormFlags, signal: AbortSignal): Promise<StormQuery> {
  if (flags.opts === '-' && (flags['query-file'] ?? words[0]) === '-') {
    throw usage('the query and its options cannot both come from the standard input')
  }
  const text = await readQueryText(words, flags['query-file'], signal)
  const given = flags.opts === undefined ? {} : await readOpts(flags.opts, signal)
  const view = flags.view === undefined ? {} : {view: flags.view}
  return {text, opts: {...(flags.raw ? {} : FOR_PEOPLE), ...given, ...view}}
}

/** Runs a query and prints what comes: results on stdout, warnings and what came of it on stderr. */
export async function runStorm(cell: Callable, query: StormQuery, flags: StormFlags, out: QueryOutput): Promise<void> {
  if (!cell.info.methods.has('storm')) throw noStorm(cell)
  const {text, opts} = query
  // A query may be busy for long without a word; it ends when it is cancelled.
  const timeoutMs = flags.timeout ?? 0
  const run = new StormRun(text, cell.stream('storm', {args: [text], kwargs: {opts}, signal: out.signal, timeoutMs}))
  try {
    await out.stream(printed(run), (item) => (flags.raw ? item.raw() : item.text(out)))
  } catch (error) {
    throw withPeerHints(error)
  } finally {
    if (run.marked !== undefined) out.say(run.marked)
    if (run.end !== undefined) out.say(endText(run.end))
  }
}

/** One message as it is printed: as an object under `--json`, else as text. */
class Printed {
  readonly #message: StormMessage

  constructor(message: StormMessage) {
    this.#message = message
  }

  toJSON(): unknown {
    return jsonOfMessage(this.#message)
  }

  raw(): string {
    return printableJson(JSON.stringify([this.#message.name, jsonOf(this.#message.body)]))
  }

  /** What stands on stdout; what is only said goes to `out`. */
  text(out: QueryOutput): string | undefined {
    const message = this.#message
    switch (message.kind) {
      case 'node':
        return nodeText(message.node)
      case 'print':
      case 'return':
        return printable(message.text, true)
      case 'row':
        return rowText(message.row)
      case 'warn':
        out.say(`warning: ${printable(message.text, true)}`)
        return undefined
      case 'miss':
        out.say(`not found: ${printable(message.text)}`)
        return undefined
      default:
        return undefined
    }
  }
}

async function* printed(run: StormRun): AsyncGenerator<Printed, StormEnd> {
  const messages = run.messages()
  let step = await messages.next()
  try {
    for (; !step.done; step = await messages.next()) yield new Printed(step.value)
  } finally {
    if (!step.done) await messages.return(undefined as never)
  }
  return step.value
}

async function readQueryText(words: readonly string[], file: string | undefined, signal: AbortSignal): Promise<string> {
  const [word, ...more] = words
  if (more.length > 0) throw usage('a query is one word: put it in quotes', "registry query URL 'inet:fqdn | count'")
  if (word !== undefined && file !== undefined) throw usage('the query is given twice: as a word and by --query-file')
  const source = file ?? (word === '-' ? word : undefined)
  if (source !== undefined) return await readText(source, {what: 'the query', maxBytes: MAX_QUERY_BYTES, signal})
  if (word !== undefined) return word
  throw usage('there is no query', "registry query URL 'inet:fqdn=vertex.link'", 'registry query URL --call METHOD')
}

async function readOpts(file: string, signal: AbortSignal): Promise<{readonly [key: string]: Value}> {
  const text = await readText(file, {what: 'the options', maxBytes: MAX_OPTS_BYTES, signal})
  const source = file === '-' ? 'the standard input' : file
  const value = readArgument(text, source)
  const isMap = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  if (isMap) return value as {readonly [key: string]: Value}
  throw usage(`${source} holds no options: they are NAME: VALUE, as vars: {fqdn: vertex.link}`)
}

function endText({nodes, edits, tookMs}: StormEnd): string {
  const took = tookMs < 10_000 ? `${tookMs} ms` : `${(tookMs / 1000).toFixed(1)} s`
  return `${counted(nodes, 'node')}${edits > 0 ? `, ${counted(edits, 'edit')}` : ''} in ${took}`
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

function noStorm({info}: Callable): RegistryError {
  const [name = 'of no known class'] = info.classes
  return new RegistryError('REG_NOT_FOUND', `this service takes no Storm: it is no Cortex (${name})`, {
    telepath: 'NoSuchMeth',
    hints: ['registry query URL --call METHOD', 'registry status URL'],
  })
}

function usage(text: string, ...hints: readonly string[]): RegistryError {
  return new RegistryError('REG_USAGE', text, {hints: [...hints, 'registry help query']})
}
