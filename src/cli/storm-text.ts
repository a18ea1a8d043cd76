/** Nodes of Storm, and the place of a mistake in a query, for people. */
import {styleText} from 'node:util'
import type {Value} from '../wire/msgpack/value.ts'
import {printable} from './printable.ts'
import {jsonOf} from './query-values.ts'
import {fieldsOf, type StormNode} from './storm-messages.ts'
import {textWidth} from './text-width.ts'

const INDENT = ' '.repeat(8)
/** Stands for an end that is not known yet, as Synapse keeps it. */
const OPEN_END = 2n ** 63n - 1n
/** Text that a list of Storm takes without quotes. */
const PLAIN_ITEM = /^[^\s"'`()[\]{},\\]+(?: [^\s"'`()[\]{},\\]+)*$/

/**
 * Lays a node out as Storm users know it: form and value, then its properties, those that all forms have, and its tags. Of tags that only lead to
 * others nothing is shown.
 */
export function nodeText({form, value, info}: StormNode): string {
  const head = `${printable(form)}=${valueText(info['repr'] ?? value)}`
  const lines = [...propLines(info), ...tagLines(info)]
  return [styleText('bold', head, {stream: process.stdout}), ...lines.map((line) => INDENT + line)].join('\n')
}

/** A stretch of one line of a query. All count from 1; the end is beyond the last character. */
export interface Mark {
  readonly line: number
  readonly column: number
  readonly endColumn: number
}

/** Longest part of a line that is shown. */
const SHOWN_BEFORE = 60
const SHOWN_BEHIND = 20

/** Shows a line of a query with a caret under the mark; undefined when the query has no such line. */
export function markedLine(query: string, {line, column, endColumn}: Mark): string | undefined {
  // Columns count characters, not UTF-16 units.
  const found = query.split('\n')[line - 1]
  const text = [...(found ?? '')]
  if (found === undefined || column < 1 || column > text.length + 1) return undefined
  const start = Math.max(0, column - 1 - SHOWN_BEFORE)
  const end = Math.min(
    text.length,
    Math.max(column - 1, Math.min(endColumn - 1, column - 1 + SHOWN_BEHIND)) + SHOWN_BEHIND,
  )
  const visible = (from: number, to: number) =>
    text
      .slice(from, to)
      .join('')
      .replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, ' ')
  const before = `${start > 0 ? '…' : ''}${visible(start, column - 1)}`
  const marked = visible(column - 1, Math.max(column - 1, Math.min(endColumn - 1, end)))
  const rest = visible(column - 1 + [...marked].length, end) + (end < text.length ? '…' : '')
  const caret = '^'.padEnd(textWidth(marked), '~')
  const number = String(line)
  return [
    `  ${number} | ${before}${marked}${rest}`.trimEnd(),
    `  ${' '.repeat(number.length)} | ${' '.repeat(textWidth(before))}${styleText('red', caret, {stream: process.stderr})}`,
  ].join('\n')
}

/** Lays a row out as CSV. */
export function rowText(row: readonly Value[]): string {
  return row
    .map((cell) => (cell === null || cell === undefined ? '' : printable(valueText(cell))))
    .map((text) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text))
    .join(',')
}

function propLines(info: StormNode['info']): string[] {
  const reprs = fieldsOf(info['reprs'])
  const lines = Object.entries(fieldsOf(info['props'])).map(([name, value]) => {
    const isUniversal = name.startsWith('.')
    return {name: isUniversal ? name : `:${name}`, isUniversal, text: valueText(reprs[name] ?? value)}
  })
  return lines
    .toSorted((a, b) => Number(a.isUniversal) - Number(b.isUniversal) || byText(a.name, b.name))
    .map(({name, text}) => `${printable(name)} = ${text}`)
}

function tagLines(info: StormNode['info']): string[] {
  const tags = Object.entries(fieldsOf(info['tags'])).toSorted(([a], [b]) => byText(a, b))
  const props = fieldsOf(info['tagprops'])
  const reprs = fieldsOf(info['tagpropreprs'])
  const names = tags.map(([tag]) => tag)
  return tags.flatMap(([tag, time]) => {
    const own = Object.entries(fieldsOf(props[tag])).toSorted(([a], [b]) => byText(a, b))
    const ownReprs = fieldsOf(reprs[tag])
    const name = `#${printable(tag)}`
    const times = timesText(time)
    const isShown = times !== undefined || (own.length === 0 && !names.some((other) => other.startsWith(`${tag}.`)))
    return [
      ...(isShown ? [times === undefined ? name : `${name} = ${times}`] : []),
      ...own.map(([prop, value]) => `${name}:${printable(prop)} = ${valueText(ownReprs[prop] ?? value)}`),
    ]
  })
}

/** The time of a tag, which has no text of its own in the message; undefined when it has none. */
function timesText(time: Value): string | undefined {
  const [from, to]: readonly Value[] = Array.isArray(time) ? time : []
  return from === null || from === undefined ? undefined : `(${timeText(from)}, ${timeText(to)})`
}

function timeText(value: Value): string {
  if (typeof value === 'bigint' && value === OPEN_END) return '?'
  const date = new Date(typeof value === 'number' ? value : Number.NaN)
  if (Number.isNaN(date.getTime())) return valueText(value)
  const [day = '', clock = ''] = date.toISOString().slice(0, -1).split('T')
  return `${day.replaceAll('-', '/')} ${clock}`
}

function valueText(value: Value): string {
  if (typeof value === 'string') return printable(value)
  if (Array.isArray(value)) return `(${value.map(itemText).join(', ')}${value.length === 1 ? ',' : ''})`
  return printable(JSON.stringify(jsonOf(value)))
}

function itemText(value: Value): string {
  return typeof value === 'string' && !PLAIN_ITEM.test(value) ? printable(JSON.stringify(value)) : valueText(value)
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
