import {Args, Flags} from '@oclif/core'
import {CellCommand, cellFlags} from '../cli/cell-command.ts'
import {jsonOf} from '../cli/query-values.ts'
import {readQuery, withMethodHints} from '../cli/query-words.ts'
import {behindDashes} from '../cli/words.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable, CallOptions} from '../wire/telepath/caller.ts'

interface QueryResult {
  readonly result: unknown
}

export default class Query extends CellCommand {
  static override readonly summary = 'Call a method of any Telepath service and print what it answers.'
  static override readonly description =
    `Arguments are YAML: 5, true, text, [1, 2], {a: 1}; '"5"' is a text. Results are JSON; a stream is one JSON value per line. What JSON has no form
for is an object with one member, in arguments too: {"$bytes": BASE64}, {"$float": "nan"}, {"$map": [[KEY, VALUE], …]}, {"$time": "SECONDS"}. Integers of any
size stay exact. With --raw, bytes and texts are printed as they are, a stream of them without anything between.
A first word with :// is the service; what begins with a minus stands behind --.`
  static override readonly usage = 'query [URL] --call METHOD [ARGUMENT...] [--kwarg NAME=VALUE...] [FLAGS]'
  static override readonly strict = false
  static override readonly exits = {3: 'no such method, or what the service did not find', 4: 'the service refuses it'}
  static override readonly args = {
    url: Args.string({description: 'Service to call, instead of --url; then the arguments of the method.'}),
  }
  static override readonly examples = [
    {
      description: 'Ask a service what it is.',
      command: '<%= config.bin %> <%= command.id %> cell:///srv/axon --call getCellInfo',
    },
    {
      description: 'Read a stream, one JSON value per line.',
      command: '<%= config.bin %> <%= command.id %> cell:///srv/axon --call getTasks',
    },
    {
      description: 'Give an argument by its name.',
      command:
        "<%= config.bin %> <%= command.id %> cell:///srv/axon --call allowed --kwarg 'perm=[axon, upload]' --json",
    },
  ]
  static override readonly flags = {
    call: Flags.string({summary: 'Method to call.', helpValue: '<method>', required: true}),
    kwarg: Flags.string({
      summary: 'An argument by its name; may be given several times.',
      helpValue: '<name>=<yaml>',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    raw: Flags.boolean({summary: 'Print bytes and texts as they are.', default: false, exclusive: ['json']}),
    ...cellFlags,
  }

  async run(): Promise<QueryResult | undefined> {
    // The list of arguments that oclif makes is sorted by where a word first stood; the tokens are in their order.
    const {flags, raw} = await this.parse(Query)
    const words = raw.flatMap((token) => (token.type === 'arg' ? [token.input] : []))
    const {url, args, kwargs} = readQuery(words, behindDashes(this.argv).length, flags.kwarg)
    await using cell = await this.openCell(flags, url)
    try {
      return await this.#call(cell, flags, {args, kwargs, signal: this.signal})
    } catch (error) {
      throw withMethodHints(error, flags.call, cell.info.methods.keys())
    }
  }

  async #call(
    cell: Callable,
    flags: {readonly call: string; readonly raw: boolean},
    options: CallOptions,
  ): Promise<QueryResult | undefined> {
    if (cell.info.methods.get(flags.call)?.isGenerator === true) {
      await this.#stream(cell.stream(flags.call, options), flags.raw)
      return undefined
    }
    const value = await cell.call(flags.call, options)
    if (flags.raw) await this.#raw(value)
    else this.show(jsonOf(value), (json) => JSON.stringify(json, undefined, 2))
    return flags.raw ? undefined : {result: jsonOf(value)}
  }

  async #stream(items: AsyncGenerator<Value, void>, isRaw: boolean): Promise<void> {
    if (!isRaw) return await this.stream(counted(items), (item) => JSON.stringify(item))
    for await (const item of items) await this.#raw(item)
  }

  async #raw(value: Value): Promise<void> {
    if (typeof value === 'string' || value instanceof Uint8Array) await this.write(value)
    else await this.write(`${JSON.stringify(jsonOf(value))}\n`)
  }
}

async function* counted(items: AsyncGenerator<Value, void>): AsyncGenerator<unknown, {items: number}> {
  let count = 0
  for await (const item of items) {
    count += 1
    yield jsonOf(item)
  }
  return {items: count}
}
