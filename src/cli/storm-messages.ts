/**
 * What a Cortex says while a Storm query runs: pairs of a name and what it says.
 *
 *     ["init", {task, text, hash, …}]                   first
 *     ["node", [[form, value], {iden, props, …}]]       a result
 *     ["print", {mesg}] ["warn", {mesg}] ["csv:row", {row}] ["storm:fire", …] ["look:miss", {ndef}]
 *     ["node:edits", {edits}] ["node:edits:count", {count}]
 *     ["err", [name, {mesg, …}]]                        what ended the query early; `return` comes as one too
 *     ["fini", {count, took, …}]                        last
 *
 * Observed on Synapse 2.256.0. Names that are not known here are kept: a newer Cortex may have more.
 */
import type {Value} from '../wire/msgpack/value.ts'
import {jsonOf} from './query-values.ts'

type Fields = Readonly<Record<string, Value>>

/** A node as it was sent. */
export interface StormNode {
  readonly form: string
  readonly value: Value
  /** Everything else: `iden`, `repr`, `props`, `reprs`, `tags`, `tagprops`, `tagpropreprs`, … */
  readonly info: Fields
}

/** What went wrong in a query. */
export interface StormFailure {
  readonly name: string
  readonly facts: Fields
}

type Said =
  | {readonly kind: 'init'; readonly hash: string | undefined}
  | {readonly kind: 'node'; readonly node: StormNode}
  | {readonly kind: 'print' | 'warn' | 'return' | 'miss'; readonly text: string}
  | {readonly kind: 'row'; readonly row: readonly Value[]}
  | {readonly kind: 'edits'; readonly edits: number}
  | {readonly kind: 'error'; readonly failure: StormFailure}
  | {readonly kind: 'end'; readonly nodes: number; readonly tookMs: number}
  | {readonly kind: 'other'}

/** One message. Under `--json` it is an object with one member, named as the message is. */
export type StormMessage = Said & {readonly name: string; readonly body: Value}

/** `return` of a query is an error in the stream, whose text is the value as Python shows it. */
const RETURN = 'StormReturn'

/** Reads a message; undefined when it is none. */
export function readStormMessage(message: Value): StormMessage | undefined {
  const [name, body]: readonly Value[] = Array.isArray(message) ? message : []
  return typeof name === 'string' ? {...said(name, body), name, body} : undefined
}

/** Gives what a message is under `--json`; undefined for one that is only about the running of the query. */
export function jsonOfMessage(message: StormMessage): unknown {
  switch (message.kind) {
    case 'init':
    case 'edits':
    case 'error':
    case 'end':
      return undefined
    case 'return':
      return {return: message.text}
    case 'node': {
      const {form, value, info} = message.node
      return {node: {form, value: jsonOf(value), ...(jsonOf(info) as object)}}
    }
    default:
      return {[message.name]: jsonOf(message.body)}
  }
}

/** Gives the members of a map; none when it is something else. */
export function fieldsOf(value: Value): Fields {
  const isMap = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  return isMap ? (value as Fields) : {}
}

function said(name: string, body: Value): Said {
  const fields = fieldsOf(body)
  switch (name) {
    case 'init':
      return {kind: 'init', hash: typeof fields['hash'] === 'string' ? fields['hash'] : undefined}
    case 'node':
      return nodeOf(body)
    case 'print':
    case 'warn':
      return {kind: name, text: textOf(fields['mesg'])}
    case 'look:miss':
      return {kind: 'miss', text: listOf(fields['ndef']).map(textOf).join('=')}
    case 'csv:row':
      return {kind: 'row', row: listOf(fields['row'])}
    case 'node:edits':
      return {kind: 'edits', edits: countEdits(fields['edits'])}
    case 'node:edits:count':
      return {kind: 'edits', edits: Number(fields['count'] ?? 0)}
    case 'err':
      return failureOf(body)
    case 'fini':
      return {kind: 'end', nodes: Number(fields['count'] ?? 0), tookMs: Number(fields['took'] ?? 0)}
    default:
      return {kind: 'other'}
  }
}

function nodeOf(body: Value): Said {
  const [definition, info] = listOf(body)
  const [form, value] = listOf(definition)
  return typeof form === 'string' ? {kind: 'node', node: {form, value, info: fieldsOf(info)}} : {kind: 'other'}
}

function failureOf(body: Value): Said {
  const [name, info] = listOf(body)
  const facts = fieldsOf(info)
  if (name === RETURN) return {kind: 'return', text: textOf(facts['mesg'])}
  return {kind: 'error', failure: {name: textOf(name), facts}}
}

/** Edits of nodes come as `[iden, form, [edit, …]]`. */
function countEdits(nodes: Value): number {
  return listOf(nodes).reduce<number>((sum, node) => sum + listOf(listOf(node)[2]).length, 0)
}

function listOf(value: Value): readonly Value[] {
  return Array.isArray(value) ? value : []
}

function textOf(value: Value): string {
  return typeof value === 'string' ? value : JSON.stringify(jsonOf(value))
}
