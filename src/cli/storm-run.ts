import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {fromErrInfo} from '../wire/telepath/errors.ts'
import {jsonOf} from './query-values.ts'
import {fieldsOf, readStormMessage, type StormFailure, type StormMessage} from './storm-messages.ts'
import {type Mark, markedLine} from './storm-text.ts'

/** What came of a query. */
export interface StormEnd {
  readonly nodes: number
  /** Changes of nodes that were made. */
  readonly edits: number
  /** As the Cortex measured it. */
  readonly tookMs: number
}

/** Fields of errors that are about the source of Synapse, or said already. */
const LEFT_OUT: ReadonlySet<string> = new Set(['efile', 'eline', 'esrc', 'ename', 'text', 'highlight', 'at'])

/** One run of a query: hands its messages on, and keeps what they say about the run itself. */
export class StormRun {
  readonly #query: string
  readonly #source: AsyncGenerator<Value, void>
  #hash: string | undefined
  #edits = 0
  #nodes = 0
  #end: StormEnd | undefined
  #failure: StormFailure | undefined

  constructor(query: string, source: AsyncGenerator<Value, void>) {
    this.#query = query
    this.#source = source
  }

  /** What came of it; undefined while it runs, and when it was cut off. */
  get end(): StormEnd | undefined {
    return this.#end
  }

  /** The line of the query that the error is about; undefined when there is none. */
  get marked(): string | undefined {
    const place = this.#failure && this.#placeOf(this.#failure)
    return place && markedLine(place.text, place.mark)
  }

  /**
   * Gives the messages as they come, and at the end what came of the query.
   *
   * @throws RegistryError `REG_QUERY_FAILED` when it ended with an error; `REG_LINK_CLOSED` when it stopped without saying so; else as a call
   */
  async *messages(): AsyncGenerator<StormMessage, StormEnd> {
    for await (const value of this.#source) {
      const message = readStormMessage(value)
      if (message === undefined) continue
      this.#note(message)
      yield message
    }
    if (this.#failure !== undefined) throw this.#errorOf(this.#failure)
    if (this.#end !== undefined) return this.#end
    throw new RegistryError('REG_LINK_CLOSED', 'the query stopped before its end', {info: {nodes: this.#nodes}})
  }

  #note(message: StormMessage): void {
    switch (message.kind) {
      case 'init':
        this.#hash = message.hash
        break
      case 'node':
        this.#nodes += 1
        break
      case 'edits':
        this.#edits += message.edits
        break
      case 'error':
        this.#failure ??= message.failure
        break
      case 'end':
        this.#end = {nodes: message.nodes, edits: this.#edits, tookMs: message.tookMs}
        break
      default:
    }
  }

  #errorOf(failure: StormFailure): RegistryError {
    const {message, info} = fromErrInfo(failure.name, failure.facts, 'the query failed')
    const mark = this.#placeOf(failure)?.mark
    const kept = Object.entries(info).filter(([key]) => !LEFT_OUT.has(key))
    const facts = Object.fromEntries(kept.map(([key, value]) => [key, jsonOf(value as Value)]))
    const place = mark === undefined ? {} : {line: mark.line, column: mark.column}
    const where = mark === undefined || / at line \d/.test(message) ? '' : ` (line ${mark.line}, column ${mark.column})`
    return new RegistryError('REG_QUERY_FAILED', `${message}${where}`, {
      telepath: failure.name,
      info: {...facts, ...place, nodes: this.#nodes},
    })
  }

  /** Where the mistake stands. What a query calls has a text of its own, which is known only when the error has it. */
  #placeOf({facts}: StormFailure): {readonly text: string; readonly mark: Mark} | undefined {
    const {hash, lines, columns} = fieldsOf(facts['highlight'])
    const text = typeof facts['text'] === 'string' ? facts['text'] : this.#query
    if (text === this.#query && hash !== this.#hash) return undefined
    const [line, lastLine]: readonly Value[] = Array.isArray(lines) ? lines : []
    const [column, endColumn]: readonly Value[] = Array.isArray(columns) ? columns : []
    if (typeof line !== 'number' || typeof column !== 'number') return undefined
    const end = lastLine === line && typeof endColumn === 'number' ? endColumn : Number.MAX_SAFE_INTEGER
    return {text, mark: {line, column, endColumn: end}}
  }
}
