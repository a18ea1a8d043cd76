import {createHash} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {Decoder} from '../../../src/wire/msgpack/decode.ts'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {type Described, describedValue} from './described.ts'

interface Row {
  readonly kind: string
  readonly name: string
  readonly value: Described
  readonly hex: string
  readonly len: number
  readonly truncated?: boolean
  readonly decoded: Described & {readonly fails?: string}
  readonly results: readonly Described[]
  readonly err: string
  readonly guid: string
}

/** What the real Synapse 2.256.0 writes and reads. */
const ROWS = readFileSync(new URL('../../vectors/msgpack.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Row)
const NO_LIMITS = {maxBytes: Number.POSITIVE_INFINITY, maxItems: Number.POSITIVE_INFINITY}
/** What no value here stands for; the peer cannot write it, or not read it back. */
const UNKNOWN_TO_US = ['set', 'object', 'decimal', 'datetime', 'ExtType 5']

test('all rows are there', () => expect(ROWS).toHaveLength(156))

describe.each(ROWS.filter(({kind, name}) => kind === 'encode' && name !== 'ExtType 5'))('$name', (row) => {
  const bytes = encode(describedValue(row.value))

  test('is written as the peer writes it', () => {
    expect(bytes.length).toBe(row.len)
    expect((row.truncated ? bytes.subarray(0, 32) : bytes).toString('hex')).toBe(row.hex)
  })

  test('is read as the peer reads it, and written again as it was', () => {
    const [value, ...more] = readAll(bytes)
    expect(more).toEqual([])
    expect(isSame(value, describedValue(row.decoded))).toBe(true)
    expect(encode(value).equals(bytes)).toBe(true)
  })
})

describe('what the peer cannot write is refused', () => {
  test('levels', () => {
    const [row] = ROWS.filter(({name}) => name === 'nesting 1025')
    expect(() => encode(describedValue((row as Row).value))).toThrow(
      expect.objectContaining({code: 'REG_BAD_REQUEST', telepath: 'NotMsgpackSafe'}),
    )
  })

  test.each([new Set([1]), new Date(0), Symbol('s'), () => 1, new (class Own {})(), new Float32Array(1)])(
    '%o',
    (value) => {
      expect(() => encode([value as Value])).toThrow(
        expect.objectContaining({code: 'REG_BAD_REQUEST', telepath: 'NotMsgpackSafe'}),
      )
    },
  )

  test('these rows are covered by the two above', () => {
    const rows = ROWS.filter(({kind}) => kind === 'encode-fails').map(({name}) => name)
    expect(rows.toSorted()).toEqual(['nesting 1025', ...UNKNOWN_TO_US.slice(0, 4)].toSorted())
  })
})

test.each(ROWS.filter(({kind}) => kind === 'decode'))('$name is read as the peer reads it', ({hex, results, name}) => {
  const values = readAll(bytesOf(name, hex))
  expect(values.length).toBe(results.length)
  for (const [i, result] of results.entries()) expect(isSame(values[i], describedValue(result))).toBe(true)
})

test.each(ROWS.filter(({kind}) => kind === 'decode-fails'))(
  '$name is refused as the peer refuses it',
  ({hex, name}) => {
    expect(() => readAll(bytesOf(name, hex))).toThrow(
      expect.objectContaining({code: 'REG_BAD_REQUEST', telepath: 'BadMesgFormat'}),
    )
  },
)

test('an extension that the peer cannot read is refused here too', () => {
  const [row] = ROWS.filter(({name}) => name === 'ExtType 5')
  expect(() => readAll(Buffer.from((row as Row).hex, 'hex'))).toThrow('extension of type 5')
})

test.each(ROWS.filter(({kind}) => kind === 'guid'))('$name is the MD5 of the bytes', ({value, hex, guid}) => {
  const bytes = encode(describedValue(value))
  expect(bytes.toString('hex')).toBe(hex)
  expect(createHash('md5').update(bytes).digest('hex')).toBe(guid)
})

/** The rows on nesting give the first bytes only. */
function bytesOf(name: string, hex: string): Buffer {
  const [, levels, kind] = /^nested (\d+) (arrays|maps)$/.exec(name) ?? []
  if (levels === undefined) return Buffer.from(hex, 'hex')
  return Buffer.from(`${(kind === 'maps' ? '81a161' : '91').repeat(Number(levels))}c0`, 'hex')
}

function readAll(bytes: Buffer): Value[] {
  const decoder = new Decoder(NO_LIMITS, {exact: true})
  decoder.push(bytes)
  const values: Value[] = []
  for (let next = decoder.next(); next !== undefined; next = decoder.next()) values.push(next.value)
  return values
}

/** Compares what `toEqual` cannot: 1024 levels. */
function isSame(left: Value, right: Value): boolean {
  let [a, b] = [left, right]
  while (Array.isArray(a) && Array.isArray(b) && a.length === 1 && b.length === 1) [a, b] = [a[0], b[0]]
  expect(a).toEqual(b)
  return true
}
