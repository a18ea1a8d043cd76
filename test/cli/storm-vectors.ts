// What a real Cortex said to queries, and what the stock command line printed of it.
import {readFileSync} from 'node:fs'
import type {Value} from '../../src/wire/msgpack/value.ts'

export interface StormVector {
  readonly query: string
  readonly opts: Value
  readonly messages: readonly Value[]
  readonly stock: {readonly stdout: string; readonly status: number}
}

const [, ...LINES] = readFileSync(new URL('../vectors/storm.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')

export const STORM_VECTORS: readonly StormVector[] = LINES.map((line) => {
  const row: StormVector = JSON.parse(line)
  return {...row, messages: row.messages.map(fromJson)}
})

/** The recorded row of a query. */
export function vectorOf(query: string): StormVector {
  const found = STORM_VECTORS.find((vector) => vector.query.startsWith(query))
  if (found === undefined) throw new Error(`no vector of ${query}`)
  return found
}

function fromJson(json: Value): Value {
  if (Array.isArray(json)) return json.map(fromJson)
  if (typeof json !== 'object' || json === null) return json
  const entries = Object.entries(json)
  const [key, value] = entries[0] ?? []
  if (entries.length === 1 && key === '$int') return BigInt(String(value))
  return Object.fromEntries(entries.map(([name, one]) => [name, fromJson(one)]))
}
