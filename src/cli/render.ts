import {styleText} from 'node:util'
import {printable} from './printable.ts'
import {textWidth} from './text-width.ts'

/** One column of a table. */
export interface Column<T> {
  readonly header: string
  readonly value: (row: T) => string
  /** Numbers read better to the right. */
  readonly align?: 'left' | 'right'
  /** Whether it is never cut, as what is to be typed: the line then runs over the edge. */
  readonly isWhole?: boolean
}

/** Where the text goes: columns to fit into (undefined: as wide as it is), and whether colours are wanted. */
export interface Screen {
  readonly columns: number | undefined
  readonly styled: boolean
}

const GAP = '  '
const ELLIPSIS = '…'
const NARROWEST = 6 // a column is never cut below this; the line then runs over the edge

/** The screen behind stdout: a pipe or a file gets everything, uncut and without colours. */
function stdoutScreen(): Screen {
  return {
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
    styled: styleText('dim', 'x', {stream: process.stdout}) !== 'x',
  }
}

/** Lays rows out in aligned columns under dim upper-case headers; the widest columns are cut first when the screen is too narrow. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[], screen: Screen = stdoutScreen()): string {
  const headers = columns.map((column) => column.header.toUpperCase())
  const cells = rows.map((row) => columns.map((column) => printable(column.value(row))))
  const natural = columns.map((_, index) => widest([headers, ...cells], index))
  const widths = shrink(
    natural,
    columns.map(({isWhole}) => isWhole === true),
    screen.columns,
  )
  const line = (texts: readonly string[]) =>
    texts
      .map((text, index) => cell(text, widths[index] ?? 0, columns[index]?.align ?? 'left', index === texts.length - 1))
      .join(GAP)
  const head = line(headers).trimEnd()
  return [screen.styled ? dim(head) : head, ...cells.map((row) => line(row).trimEnd())].join('\n')
}

/** Lays pairs out as `key  value`; a value of several lines is indented, a pair without value is left out. */
export function keyValues(
  pairs: readonly (readonly [key: string, value: string | undefined])[],
  screen: Screen = stdoutScreen(),
): string {
  const given = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined)
  const width = Math.max(0, ...given.map(([key]) => textWidth(key)))
  return given
    .map(([key, value]) => {
      const name = cell(key, width, 'left', false)
      const text = printable(value, true).replaceAll('\n', `\n${' '.repeat(width)}${GAP}`)
      return `${screen.styled ? dim(name) : name}${GAP}${text}`.trimEnd()
    })
    .join('\n')
}

/** Writes an instant for people: local time with its zone. */
export function localTime(epochMs: number): string {
  const date = new Date(epochMs)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  const zone = new Intl.DateTimeFormat('en-US', {timeZoneName: 'short'}).formatToParts(date)
  return `${day} ${time} ${zone.find((part) => part.type === 'timeZoneName')?.value ?? 'UTC'}`
}

/** Gives the widths that fit: the widest column gives way, one place at a time, until the sum does. */
function shrink(
  natural: readonly number[],
  areWhole: readonly boolean[],
  columns: number | undefined,
): readonly number[] {
  const widths = [...natural]
  if (columns === undefined) return widths
  let excess = widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1)) - columns
  for (; excess > 0; excess--) {
    const cuttable = widths.map((width, index) => (areWhole[index] === true ? 0 : width))
    const largest = Math.max(...cuttable)
    if (largest <= NARROWEST) break
    widths[cuttable.indexOf(largest)] = largest - 1
  }
  return widths
}

function widest(lines: readonly (readonly string[])[], index: number): number {
  return lines.reduce((width, line) => Math.max(width, textWidth(line[index] ?? '')), 0)
}

function cell(text: string, width: number, align: 'left' | 'right', isLast: boolean): string {
  const cut = cutTo(text, width)
  const padding = ' '.repeat(Math.max(0, width - textWidth(cut)))
  if (align === 'right') return padding + cut
  return isLast ? cut : cut + padding
}

function cutTo(text: string, width: number): string {
  if (textWidth(text) <= width) return text
  let kept = ''
  let used = textWidth(ELLIPSIS)
  for (const {segment} of new Intl.Segmenter(undefined, {granularity: 'grapheme'}).segment(text)) {
    used += textWidth(segment)
    if (used > width) break
    kept += segment
  }
  return kept + ELLIPSIS
}

function dim(text: string): string {
  return styleText('dim', text, {validateStream: false})
}
