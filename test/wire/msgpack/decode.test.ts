import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {Decoder, decode, type Limits} from '../../../src/wire/msgpack/decode.ts'
import {Encoder, encode} from '../../../src/wire/msgpack/encode.ts'
import {Scanner} from '../../../src/wire/msgpack/scanner.ts'
import {Float, RawText, Timestamp, type Value} from '../../../src/wire/msgpack/value.ts'

const LIMITS = {maxBytes: 2 ** 20}
const refused = (text: string) =>
  expect.objectContaining({code: 'REG_BAD_REQUEST', telepath: 'BadMesgFormat', message: expect.stringContaining(text)})

const anyText = fc.string({unit: 'binary', maxLength: 60})
const anyValue = fc.letrec<{value: Value}>((tie) => ({
  value: fc.oneof(
    {maxDepth: 5, withCrossShrink: true},
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.bigInt({min: -(2n ** 130n), max: 2n ** 130n}).map((n) => (isSafe(n) ? Number(n) : n)),
    fc.double().map((n) => (Number.isInteger(n) && !Object.is(n, -0) ? new Float(n) : n)),
    anyText,
    fc.uint8Array({maxLength: 300}).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(fc.bigInt({min: -(2n ** 62n), max: 2n ** 62n}), fc.nat(999_999_999))
      .map(([s, ns]) => new Timestamp(s, ns)),
    fc.array(tie('value'), {maxLength: 20}),
    fc.dictionary(
      anyText.filter((key) => !/^\d/.test(key)),
      tie('value'),
      {maxKeys: 20, noNullPrototype: true},
    ),
    fc
      .array(fc.tuple(fc.oneof(fc.integer(), fc.constant(null), fc.boolean()), tie('value')), {minLength: 1})
      .map((entries) => new Map<Value, Value>(entries)),
  ),
})).value

describe('law', () => {
  test('what was written is read again, whatever way it is cut', () => {
    fc.assert(
      fc.property(fc.array(anyValue, {maxLength: 5}), fc.array(fc.integer({min: 1, max: 40})), (values, cuts) => {
        const stream = Buffer.concat(values.map((value) => encode(value)))
        expect(readCut(stream, cuts)).toEqual(values)
      }),
      {numRuns: 300},
    )
  })

  test('any bytes are read, refused or waited for, in pieces as in one', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 200}), fc.array(fc.integer({min: 1, max: 9})), (bytes, cuts) => {
        const whole = outcome(() => readCut(Buffer.from(bytes), []))
        const inPieces = outcome(() => readCut(Buffer.from(bytes), cuts))
        // What is wrong with a message that never ends is not always found when it comes in pieces.
        if (whole !== 'refused') expect(inPieces).toEqual(whole)
        else if (endsWell(bytes)) expect(inPieces).toBe('refused')
      }),
      {numRuns: 2000},
    )
  })

  test('what was read can be written, and reads the same again', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 60}), (bytes) => {
        const values = outcome(() => readCut(Buffer.from(bytes), []))
        if (!Array.isArray(values)) return
        for (const value of values) expect(decode(encode(value), {exact: true})).toEqual(value)
      }),
      {numRuns: 2000},
    )
  })
})

describe('streams', () => {
  const messages: Value[] = [
    ['t2:init', {todo: ['add', [1, 2], {}], name: null, sess: 'f'.repeat(32)}],
    'ü☃'.repeat(40),
  ]
  const stream = Buffer.concat(messages.map((message) => encode(message)))

  test('a stream may be split at every byte', () => {
    for (let at = 0; at <= stream.length; at++) expect(readCut(stream, [at])).toEqual(messages)
  })

  test('it may come byte by byte', () => {
    expect(readCut(stream, new Array<number>(stream.length).fill(1))).toEqual(messages)
  })

  test('several chunks may be pushed before anything is read', () => {
    const decoder = new Decoder(LIMITS)
    for (const byte of stream) decoder.push(Buffer.of(byte))
    expect([decoder.next()?.value, decoder.next()?.value, decoder.next()]).toEqual([...messages, undefined])
    expect(decoder.pendingBytes).toBe(0)
  })

  test('the chunk may be overwritten after what it holds was read', () => {
    const decoder = new Decoder(LIMITS)
    const chunk = Buffer.alloc(stream.length - 3)
    stream.copy(chunk)
    decoder.push(chunk)
    expect(decoder.next()?.value).toEqual(messages[0])
    expect(decoder.next()).toBeUndefined()
    chunk.fill(0xc1)
    decoder.push(stream.subarray(-3))
    expect(decoder.next()?.value).toEqual(messages[1])
  })

  test('bytes that were read are not those of the chunk', () => {
    const chunk = encode(Buffer.from('abc'))
    const value = decode(chunk)
    chunk.fill(0)
    expect(value).toEqual(Buffer.from('abc'))
  })

  test('a large message in small chunks is looked at in time proportional to its size', () => {
    const value = new Array<Value>(200_000).fill({a: 1, b: 'x'})
    const bytes = encode(value)
    const decoder = new Decoder({maxBytes: 2 ** 22})
    let seen: Value
    for (let at = 0; at < bytes.length; at += 100) {
      decoder.push(bytes.subarray(at, at + 100))
      seen = decoder.next()?.value
    }
    expect(seen).toHaveLength(200_000)
  })

  test('after an error it goes no further', () => {
    const decoder = new Decoder(LIMITS)
    decoder.push(Buffer.from('01c102', 'hex'))
    expect(decoder.next()).toEqual({value: 1})
    expect(() => decoder.next()).toThrow(refused('begins nothing'))
    expect(() => decoder.next()).toThrow(refused('begins nothing'))
  })
})

describe('limits', () => {
  test.each([
    ['a text', 'd9ff', ''],
    ['a long text', 'db00001000', ''],
    ['bytes', 'c600001000', ''],
    ['an array', 'dd00001000', ''],
    ['a map', 'de0800', ''],
    ['an array in an array', '93dc0040', ''],
    ['an extension', 'c8100000', ''],
  ])('%s that is to be larger is refused when it says so', (_name, hex) => {
    for (const step of [1, 99]) {
      const decoder = new Decoder({maxBytes: 64})
      const bytes = Buffer.from(hex, 'hex')
      expect(() => {
        for (let at = 0; at < bytes.length; at += step) {
          decoder.push(bytes.subarray(at, at + step))
          decoder.next()
        }
      }).toThrow(refused('more than 64 bytes'))
    }
  })

  test('a message of the largest size is taken, of one byte more not', () => {
    expect(readCut(encode('a'.repeat(62)), [], {maxBytes: 64})).toHaveLength(1)
    expect(() => readCut(encode('a'.repeat(63)), [], {maxBytes: 64})).toThrow(refused('more than 64 bytes'))
    expect(() => readCut(encode('a'.repeat(63)), [10], {maxBytes: 64})).toThrow(refused('more than 64 bytes'))
    const many = new Array<Value>(40).fill('a')
    expect(() => readCut(encode(many), [], {maxBytes: 64})).toThrow(refused('more than 64 bytes'))
    expect(() => readCut(encode(many), [20, 20], {maxBytes: 64})).toThrow(refused('more than 64 bytes'))
  })

  test('the limit is that of one message, not of the stream', () => {
    const one = encode('a'.repeat(62))
    expect(readCut(Buffer.concat([one, one, one]), [100, 5], {maxBytes: 64})).toHaveLength(3)
  })

  test('they can be changed while a message is on its way', () => {
    const bytes = encode('a'.repeat(100))
    const decoder = new Decoder({maxBytes: 128})
    decoder.push(bytes.subarray(0, 50))
    expect(decoder.next()).toBeUndefined()
    decoder.limits = {maxBytes: 64}
    decoder.push(bytes.subarray(50))
    expect(() => decoder.next()).toThrow(refused('more than 64 bytes'))
    decoder.limits = {maxBytes: 128}
    expect(decoder.next()).toEqual({value: 'a'.repeat(100)})
  })

  test('values are counted over all levels', () => {
    const value = [[1, 2], {a: 1}]
    expect(readCut(encode(value), [], {maxBytes: 64, maxItems: 6})).toEqual([value])
    expect(() => readCut(encode(value), [], {maxBytes: 64, maxItems: 5})).toThrow(refused('more than 5 values'))
  })

  test('levels are counted in arrays and maps', () => {
    expect(readCut(encode([{a: []}]), [], {maxBytes: 64, maxDepth: 3})).toEqual([[{a: []}]])
    expect(() => readCut(encode([{a: [[]]}]), [], {maxBytes: 64, maxDepth: 3})).toThrow(refused('levels'))
  })

  test('headers that announce more than there is take no memory', () => {
    const bytes = Buffer.concat(new Array<Buffer>(1000).fill(Buffer.from('dd00100000', 'hex')))
    expect(() => readCut(bytes, [], {maxBytes: 2 ** 26})).toThrow(refused('more than 67108864 bytes'))
    expect(() => readCut(bytes, [1], {maxBytes: 2 ** 26})).toThrow(refused('more than 67108864 bytes'))
  })

  test('an integer of 65 kB is refused', () => {
    const bytes = Buffer.concat([Buffer.from('c90001000100', 'hex'), Buffer.alloc(65_537, 1)])
    expect(() => decode(bytes)).toThrow(refused('extension of more than'))
  })
})

describe('maps', () => {
  const own = (entries: readonly (readonly [string, Value])[]) => decode(encode(new Map<Value, Value>(entries)))

  test('a key __proto__ is a key like any other', () => {
    const value = own([
      ['__proto__', {polluted: true}],
      ['constructor', 1],
      ['a', 2],
    ]) as Record<string, Value>
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor', 'a'])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(value['polluted']).toBeUndefined()
    expect(({} as Record<string, Value>)['polluted']).toBeUndefined()
    expect(encode(value).toString('hex')).toBe(
      '83a95f5f70726f746f5f5f81a8706f6c6c75746564c3ab636f6e7374727563746f7201a16102',
    )
  })

  test('the last of equal keys counts, __proto__ too', () => {
    expect(decode(Buffer.from('82a16101a16102', 'hex'))).toEqual({a: 2})
    const twice = Buffer.from('82a95f5f70726f746f5f5f01a95f5f70726f746f5f5f02', 'hex')
    expect(Object.entries(decode(twice) as object)).toEqual([['__proto__', 2]])
  })

  test('keys that are not texts make it a Map, those before them included', () => {
    expect(decode(Buffer.from('83a16101c0020703', 'hex'))).toEqual(
      new Map<Value, Value>([
        ['a', 1],
        [null, 2],
        [7, 3],
      ]),
    )
  })

  test('with exactness, keys that an object would put in front make it a Map', () => {
    const bytes = Buffer.from('82a162a178a13701', 'hex')
    expect(decode(bytes)).toEqual({b: 'x', 7: 1})
    expect(decode(bytes, {exact: true})).toEqual(
      new Map<Value, Value>([
        ['b', 'x'],
        ['7', 1],
      ]),
    )
    expect(encode(decode(bytes, {exact: true}))).toEqual(bytes)
  })

  test.each(['818002', '8281a1610102c0c0', '81a16181810001'])('a map as a key is refused (%s)', (hex) => {
    expect(() => decode(Buffer.from(hex, 'hex'))).toThrow(refused('map as the key'))
  })
})

describe('numbers and texts', () => {
  test('an integral float is a plain number unless it is to be exact', () => {
    const bytes = Buffer.from('92cb3ff0000000000000ca40000000', 'hex')
    expect(decode(bytes)).toEqual([1, 2])
    expect(decode(bytes, {exact: true})).toEqual([new Float(1), new Float(2)])
  })

  test('integers are bigint only when they must', () => {
    expect(decode(encode(2n ** 53n - 1n))).toBe(2 ** 53 - 1)
    expect(decode(encode(2n ** 53n))).toBe(2n ** 53n)
    expect(decode(encode(-(2n ** 53n)))).toBe(-(2n ** 53n))
    expect(decode(encode(-(2 ** 53) + 1))).toBe(-(2 ** 53) + 1)
    expect(encode(7n)).toEqual(encode(7))
  })

  test.each(['a2fffe', 'a2c080', 'a3e08080', 'a4f4908080', 'a1ed', 'a2eda0', 'a4f0eda080', 'a3ed7f80', 'a180'])(
    'a text that is not UTF-8 is refused (%s)',
    (hex) => expect(() => decode(Buffer.from(hex, 'hex'))).toThrow(refused('not UTF-8')),
  )

  test('two surrogates of their own are one character, and two with exactness', () => {
    const bytes = Buffer.from('a861eda0bdedb88062', 'hex')
    expect(decode(bytes)).toBe('a😀b')
    expect(decode(bytes, {exact: true})).toEqual(new RawText(bytes.subarray(1)))
  })

  test('bytes behind the value, or missing ones, are an error', () => {
    expect(() => decode(Buffer.from('0102', 'hex'))).toThrow(refused('not one message'))
    expect(() => decode(Buffer.from('92', 'hex'))).toThrow(refused('not one message'))
    expect(() => decode(Buffer.alloc(0))).toThrow(refused('not one message'))
  })
})

describe('Encoder', () => {
  test('what it gave stays as it is', () => {
    const encoder = new Encoder()
    const sizes = [1, 40, 5000, 40_000, 3, 200_000, 17, 32_760, 32_768, 9]
    const messages = sizes.map((size) => encoder.encode(['é'.repeat(size), 'a'.repeat(size), Buffer.alloc(size, 7)]))
    for (const [i, size] of sizes.entries())
      expect(decode(messages[i] as Buffer)).toEqual(['é'.repeat(size), 'a'.repeat(size), Buffer.alloc(size, 7)])
  })

  test('a message that cannot be written leaves nothing behind', () => {
    const encoder = new Encoder()
    const before = encoder.encode([1])
    expect(() => encoder.encode(['x'.repeat(50_000), new Date(0) as unknown as Value])).toThrow('Date')
    expect([before, encoder.encode([2])].map((bytes) => decode(bytes))).toEqual([[1], [2]])
  })

  test('members without a value are nil, objects without prototype are maps', () => {
    expect(decode(encode({a: undefined}))).toEqual({a: null})
    expect(decode(encode(Object.assign(Object.create(null), {a: 1})))).toEqual({a: 1})
  })
})

function isSafe(n: bigint): boolean {
  return n >= Number.MIN_SAFE_INTEGER && n <= Number.MAX_SAFE_INTEGER
}

/** Whether no message is left open, so that something must be said of each. */
function endsWell(bytes: Uint8Array): boolean {
  let at = 0
  try {
    while (at < bytes.length) {
      const scanner = new Scanner()
      let size = 1
      while (!scanner.isWhole(Buffer.from(bytes), at, at + size, LIMITS.maxBytes))
        if (at + ++size > bytes.length) return false
      at += size
    }
    return true
  } catch {
    return true
  }
}

function outcome(read: () => Value[]): unknown {
  try {
    return read()
  } catch (error) {
    expect(error).toMatchObject({code: 'REG_BAD_REQUEST'})
    return 'refused'
  }
}

/** Reads a stream whose first chunks have these sizes; the last has the rest. */
function readCut(stream: Buffer, cuts: readonly number[], limits: Limits = LIMITS): Value[] {
  const decoder = new Decoder(limits, {exact: true})
  const values: Value[] = []
  let at = 0
  for (const size of [...cuts, stream.length]) {
    decoder.push(stream.subarray(at, at + size))
    at += size
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) values.push(next.value)
  }
  return values
}
