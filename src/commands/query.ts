import {Args, Flags} from '@oclif/core'
import {CellCommand, cellFlags} from '../cli/cell-command.ts'
import {type CallReport, runCall} from '../cli/query-call.ts'
import {type FileReport, readFileWish, runFile} from '../cli/query-file.ts'
import type {QueryOutput} from '../cli/query-output.ts'
import {readStorm, runStorm} from '../cli/query-storm.ts'
import {modeOf, readCall, splitWords} from '../cli/query-words.ts'
import {behindDashes} from '../cli/words.ts'

export default class Query extends CellCommand {
  static override readonly summary =
    'Run a Storm query on a Cortex, call a method of any service, or move a file to or from an Axon.'
  static override readonly description =
    `Storm: nodes and what the query prints go to stdout, warnings and the summary to stderr. The query is one word; - reads it from stdin. Ctrl-C ends it
at the Cortex too. return(x) prints x. With --json each line is {"node": …}, {"print": …}, {"warn": …} and so on; with --raw the messages of the
Cortex, as they are and without the options that make them readable.

--call: arguments are YAML: 5, true, text, [1, 2], {a: 1}; '"5"' is a text. Results are JSON; a stream is one JSON value per line. What JSON has no form
for is an object with one member, in arguments too: {"$bytes": BASE64}, {"$float": "nan"}, {"$map": [[KEY, VALUE], …]}, {"$time": "SECONDS"}. Integers of any
size stay exact. With --raw, bytes and texts are printed as they are, a stream of them without anything between.

--file put PATH prints the SHA-256 of what was uploaded; --file get SHA256 writes to --output, or to stdout where nobody looks. What came is compared
with its SHA-256 before the file is there. On a Cortex it is the Axon of the Cortex.

A first word with :// is the service; what begins with a minus stands behind --.`
  static override readonly usage = [
    'query [URL] QUERY [--opts FILE] [--view IDEN] [--raw] [FLAGS]',
    'query [URL] --call METHOD [ARGUMENT...] [--kwarg NAME=VALUE...] [FLAGS]',
    'query [URL] --file put PATH [FLAGS]',
    'query [URL] --file get SHA256 --output PATH [--force] [FLAGS]',
  ]
  static override readonly strict = false
  static override readonly exits = {
    1: 'failed; the query ended with an error',
    3: 'no such method, or what the service did not find',
    4: 'the service refuses it',
    5: 'the file is there already',
  }
  static override readonly args = {
    url: Args.string({
      description: 'Service to call, instead of --url; then the query, the arguments of the method, or the file.',
    }),
  }
  static override readonly examples = [
    {
      description: 'Find a node on a Cortex.',
      command: "<%= config.bin %> <%= command.id %> aha://cortex... 'inet:fqdn=vertex.link'",
    },
    {
      description: 'Run a query from a file with its variables, one JSON value per line.',
      command: '<%= config.bin %> <%= command.id %> aha://cortex... --query-file hosts.storm --opts vars.yaml --json',
    },
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
    {
      description: 'Upload a file and print its SHA-256.',
      command: '<%= config.bin %> <%= command.id %> aha://axon... --file put report.pdf',
    },
  ]
  static override readonly flags = {
    'query-file': Flags.string({
      summary: 'Take the query from this file; - is stdin.',
      helpValue: '<file>',
      helpGroup: 'STORM',
    }),
    opts: Flags.string({
      summary: 'Options of the query, YAML or JSON: vars, view, limit, …; - is stdin.',
      helpValue: '<file>',
      helpGroup: 'STORM',
    }),
    view: Flags.string({
      summary: 'View to run the query in, whatever the options say.',
      helpValue: '<iden>',
      helpGroup: 'STORM',
    }),
    call: Flags.string({summary: 'Method to call.', helpValue: '<method>', helpGroup: 'CALL'}),
    kwarg: Flags.string({
      summary: 'An argument of the method by its name; may be given several times.',
      helpValue: '<name>=<yaml>',
      helpGroup: 'CALL',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    raw: Flags.boolean({
      summary: 'Print what comes as it is: messages of Storm, bytes and texts of a call.',
      default: false,
      exclusive: ['json'],
    }),
    file: Flags.string({summary: 'Upload a file to an Axon, or download one.', options: ['put', 'get']}),
    output: Flags.string({
      summary: 'Where to write the downloaded file; - is stdout.',
      helpValue: '<file>',
    }),
    force: Flags.boolean({summary: 'Replace the file of --output.', default: false}),
    ...cellFlags,
  }

  async run(): Promise<CallReport | FileReport | undefined> {
    // The list of arguments that oclif makes is sorted by where a word first stood; the tokens are in their order.
    const {flags, raw} = await this.parse(Query)
    const typed = raw.flatMap((token) => (token.type === 'arg' ? [token.input] : []))
    const {url, words} = splitWords(typed, behindDashes(this.argv).length)
    const mode = modeOf(flags)
    const out = this.#output()
    if (mode.kind === 'call') {
      const call = readCall(mode.method, words, flags.kwarg)
      await using cell = await this.openCell({...flags, isExact: true}, url)
      return await runCall(cell, call, flags.raw, out)
    }
    if (mode.kind === 'file') {
      const wish = readFileWish(mode.action, words, flags, process.stdout.isTTY || this.jsonEnabled())
      await using cell = await this.openCell(flags, url)
      return await runFile(cell, wish, flags, out)
    }
    const query = await readStorm(words, flags, this.signal)
    await using cell = await this.openCell(flags, url)
    await runStorm(cell, query, flags, out)
    return undefined
  }

  #output(): QueryOutput {
    return {
      signal: this.signal,
      stream: (items, render) => this.stream(items, render),
      show: (data, render) => this.show(data, render),
      write: (chunk) => this.write(chunk),
      say: (text) => this.say(text),
      progress: (text) => this.progress(text),
    }
  }
}
