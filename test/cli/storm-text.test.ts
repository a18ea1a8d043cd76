import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {readStormMessage} from '../../src/cli/storm-messages.ts'
import {markedLine, nodeText, rowText} from '../../src/cli/storm-text.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {STORM_VECTORS} from './storm-vectors.ts'

/** What we print of the messages of a row, nodes and prints only. */
function printed(messages: readonly Value[]): string[] {
  return messages.flatMap((value) => {
    const message = readStormMessage(value)
    if (message?.kind === 'node') return nodeText(message.node).split('\n')
    return message?.kind === 'print' ? message.text.split('\n') : []
  })
}

/** What the stock command line prints of the same: without its dots, warnings and summary. */
function stockOf(stdout: string): string[] {
  const lines = stdout.trimEnd().split('\n')
  return lines.filter((line) => !/^(\.+$|WARNING: |ERROR: |complete\. )/.test(line))
}

// Where ours is other than the stock print-out: lists as Storm takes them instead of Python's, and no control characters.
const OTHERWISE = /\('|\n.*\n.*\\u001b|one\ntwo/

describe('a node', () => {
  const rows = STORM_VECTORS.filter(({stock}) => stock.status === 0)

  test.each(rows.filter(({stock}) => !OTHERWISE.test(stock.stdout)).map((row) => [row.query, row] as const))(
    'is printed as the stock command line does: %s',
    (_, {messages, stock}) => expect(printed(messages)).toEqual(stockOf(stock.stdout)),
  )

  test('that holds lists is printed as Storm takes them', () => {
    const node = (props: Value) => nodeText({form: 'a:b', value: 1, info: {repr: ['x', 'y z'], props}} as never)
    expect(node({})).toBe('a:b=(x, y z)')
    expect(
      node({l: ['a, b', 'c', 'd"e', ''], one: ['a'], none: [], mixed: [1, ['b', null]]})
        .split('\n')
        .slice(1),
    ).toEqual([
      '        :l = ("a, b", c, "d\\"e", "")',
      '        :mixed = (1, (b, null))',
      '        :none = ()',
      '        :one = (a,)',
    ])
  })

  test('moves no cursor, whatever it holds', () => {
    const text = fc.string({unit: fc.constantFrom('a', '\n', '\x1b', '\x07', '\u202e', '\x9b', '.')})
    fc.assert(
      fc.property(text, text, text, (value, prop, tag) => {
        const info = {props: {[prop]: value}, tags: {[tag]: [null, null]}, tagprops: {[tag]: {[prop]: [value]}}}
        const printed = nodeText({form: `f${value}`, value, info})
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
        expect(printed).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]/)
        for (const line of printed.split('\n').slice(1)) expect(line).toMatch(/^ {8}\S/)
      }),
    )
  })
})

describe('the place of a mistake', () => {
  test.each([
    ['|| bad', {line: 1, column: 2, endColumn: 3}, ['  1 | || bad', '    |  ^']],
    [
      'inet:fqdn\n  | limit 1 |||\nfoo',
      {line: 2, column: 14, endColumn: 15},
      ['  2 |   | limit 1 |||', '    |              ^'],
    ],
    ['{$x=1', {line: 1, column: 5, endColumn: 6}, ['  1 | {$x=1', '    |     ^']],
    ['{$x=1', {line: 1, column: 6, endColumn: 7}, ['  1 | {$x=1', '    |      ^']],
    [
      '/* 漢漢 */ $lib.raise(A)',
      {line: 1, column: 11, endColumn: 14},
      ['  1 | /* 漢漢 */ $lib.raise(A)', '    |             ^~~'],
    ],
    ['😀 x', {line: 1, column: 3, endColumn: 4}, ['  1 | 😀 x', '    |    ^']],
    ['a\tb\x1b[31m', {line: 1, column: 3, endColumn: 4}, ['  1 | a b [31m', '    |   ^']],
  ])('%j is shown below its line', (query, mark, lines) => {
    expect(markedLine(query, mark)?.split('\n')).toEqual(lines)
  })

  test('in a long line is shown with what is around it', () => {
    const query = `${'a'.repeat(5000)}|${'b'.repeat(5000)}`
    const [line = '', caret = ''] = markedLine(query, {line: 1, column: 5001, endColumn: 5002})?.split('\n') ?? []
    expect(line.length).toBeLessThan(100)
    expect(line[caret.indexOf('^')]).toBe('|')
    expect(line).toMatch(/^ {2}1 \| …a+\|b+…$/)
  })

  test('that the query does not have is not shown', () => {
    for (const mark of [
      {line: 3, column: 1, endColumn: 2},
      {line: 0, column: 1, endColumn: 2},
      {line: 1, column: 0, endColumn: 2},
      {line: 1, column: 9, endColumn: 10},
    ]) {
      expect(markedLine('abc', mark)).toBeUndefined()
    }
  })

  test('has its caret in the column that was said, in any line', () => {
    const line = fc.string({unit: fc.constantFrom('a', 'b', '漢', '😀', '\t', ' ')})
    fc.assert(
      fc.property(line, line, fc.nat(10), (before, behind, width) => {
        const query = `${before}X${behind}`
        const column = [...before].length + 1
        const [shown = '', caret = ''] =
          markedLine(query, {line: 1, column, endColumn: column + width})?.split('\n') ?? []
        // Wide characters stand in two columns; put two letters in their places, and indexes are columns.
        const columns = shown.replaceAll(/[漢😀]/gu, 'ww')
        expect(columns[caret.indexOf('^')]).toBe('X')
      }),
    )
  })
})

test('a row is CSV', () => {
  expect(rowText(['a', 'b,c', 'd"e', null, 5, 'x\ny'])).toBe('a,"b,c","d""e",,5,x\\ny')
})
