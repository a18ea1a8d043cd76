import fc from 'fast-check'
import stringWidth from 'string-width'
import {describe, expect, test} from 'vitest'
import {printable} from '../../src/cli/printable.ts'
import {type Column, keyValues, localTime, table} from '../../src/cli/render.ts'

interface Row {
  readonly name: string
  readonly port: number
  readonly note: string
}
const columns: readonly Column<Row>[] = [
  {header: 'name', value: (row) => row.name},
  {header: 'port', value: (row) => String(row.port), align: 'right'},
  {header: 'note', value: (row) => row.note},
]
const plain = {columns: undefined, styled: false}
const lines = (rows: readonly Row[], width?: number) =>
  table(rows, columns, {columns: width, styled: false}).split('\n')

describe('a table', () => {
  test('aligns its columns under upper-case headers and leaves no blanks at the end', () => {
    expect(
      lines([
        {name: 'cam1', port: 5000, note: 'a'},
        {name: 'detector', port: 7, note: ''},
      ]),
    ).toEqual(['NAME      PORT  NOTE', 'cam1      5000  a', 'detector     7'])
  })

  test('aligns wide characters and emoji by the places they take', () => {
    expect(
      lines([
        {name: 'カメラ', port: 1, note: 'x'},
        {name: '👩‍👩‍👧', port: 1, note: 'y'},
        {name: 'é', port: 1, note: 'z'},
      ]),
    ).toEqual(['NAME    PORT  NOTE', 'カメラ     1  x', '👩‍👩‍👧         1  y', 'é          1  z'])
  })

  test('without rows is its header', () => {
    expect(lines([])).toEqual(['NAME  PORT  NOTE'])
  })

  test('cuts the widest column when the screen is too narrow, and nothing when there is none', () => {
    const rows = [{name: 'a-very-long-name-indeed', port: 5000, note: 'short'}]
    expect(lines(rows, 24)).toEqual(['NAME         PORT  NOTE', 'a-very-lon…  5000  short'])
    expect(lines(rows)[1]).toBe('a-very-long-name-indeed  5000  short')
  })

  test('does not cut a character in two', () => {
    expect(lines([{name: 'カメラカメラ', port: 5000, note: 'short'}], 24)[1]).toBe('カメラカメ…  5000  short')
    expect(lines([{name: 'カメラカメラ', port: 5000, note: 'short'}], 23)[1]).toBe('カメラカ…   5000  short')
  })

  test('fits into any screen that is wide enough for its narrowest columns', () => {
    const row = fc.record({
      name: fc.string({unit: 'grapheme'}),
      port: fc.nat(99_999),
      note: fc.string({unit: 'grapheme'}),
    })
    fc.assert(
      fc.property(fc.array(row, {maxLength: 5}), fc.integer({min: 22, max: 60}), (rows, width) => {
        for (const line of lines(rows, width)) expect(stringWidth(line)).toBeLessThanOrEqual(width)
      }),
    )
  })

  test('dims its header on a terminal', () => {
    const [head, row] = table([{name: 'a', port: 1, note: 'b'}], columns, {columns: 80, styled: true}).split('\n')
    expect(head).toBe('\u001b[2mNAME  PORT  NOTE\u001b[22m')
    expect(row).toBe('a        1  b')
  })
})

describe('a column that is to be typed', () => {
  const columns = [
    {header: 'name', value: ({name}: {name: string}) => name, isWhole: true},
    {header: 'of', value: () => '00.aha.example.net'},
    {header: 'made', value: () => '2026-11-21 12:00:00 UTC'},
  ]

  test('is whole when the others are cut, and when they are cut to nothing', () => {
    const cutTo = (width: number) =>
      table([{name: '20261121120000'}], columns, {columns: width, styled: false}).split('\n')[1]
    expect(cutTo(40)).toBe('20261121120000  00.aha.exa…  2026-11-21…')
    expect(cutTo(10)).toBe('20261121120000  00.ah…  2026-…')
  })
})

describe('pairs', () => {
  test('stand in two columns; what has no value is left out; further lines are indented', () => {
    const text = keyValues(
      [
        ['id', 'x'],
        ['metadata', 'a\nb'],
        ['type', undefined],
        ['name', ''],
      ],
      plain,
    )
    expect(text.split('\n')).toEqual(['id        x', 'metadata  a', '          b', 'name'])
  })
})

describe('what came over the network', () => {
  test.each([
    ['\u001b[31mred', '\\x1b[31mred'],
    ['a\nb\tc\r', 'a\\nb\\tc\\x0d'],
    ['\u009b2J', '\\x9b2J'],
    ['evil\u202etxt.exe', 'evil\\u202etxt.exe'],
    ['plain ünïcödé 👍', 'plain ünïcödé 👍'],
  ])('cannot steer the terminal: %j', (text, shown) => {
    expect(printable(text)).toBe(shown)
  })

  test('keeps its lines where they are wanted, and nothing else', () => {
    expect(printable('a\nb\u001b', true)).toBe('a\nb\\x1b')
  })
})

describe('an instant', () => {
  test('is shown in local time with its zone', () => {
    expect(localTime(Date.UTC(2026, 0, 2, 3, 4, 5))).toMatch(
      /^2026-01-0[123] \d\d:04:05 \S+$|^2026-01-0[123] \d\d:\d\d:05 \S+$/,
    )
  })
})
