import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {ERRORS, type ErrorCode, RegistryError} from '../../../src/base/errors.ts'
import {
  decodeAnswer,
  decodeCall,
  encodeAnswer,
  encodeCall,
  type ForwardedCall,
  MAX_CALL_BYTES,
} from '../../../src/server/mirroring/forwarded-call.ts'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'

const text = fc.string({unit: 'grapheme', maxLength: 40})
const value: fc.Arbitrary<Value> = fc.jsonValue({maxDepth: 3}).map((json) => JSON.parse(JSON.stringify(json)) as Value)
const port = fc.option(fc.nat(65_535))
const peer = fc.record({family: fc.constantFrom('tcp', 'tls', 'unix'), address: text, port} as const)
const fields = fc.dictionary(
  text.filter((key) => key !== '__proto__'),
  value,
  {noNullPrototype: true},
)
const params = fc.dictionary(
  text.filter((key) => key !== '__proto__'),
  text,
  {noNullPrototype: true},
)
const action = fc.constantFrom('register', 'deregister', 'renew')
const call = fc.oneof(
  fc.record({
    via: fc.constant('telepath'),
    method: text,
    args: fc.array(value),
    kwargs: fields,
    user: text,
    session: fc.record({id: text, peer}),
  } as const),
  fc.record({via: fc.constant('https'), route: text, params, body: text, user: text, address: text} as const),
  fc.record({via: fc.constant('zeromq'), requests: fc.array(fc.record({action, text, actor: text}))} as const),
  fc.record({via: fc.constant('login'), user: text, passwd: text, actor: text} as const),
  fc.record({via: fc.constant('lock'), user: text, actor: text} as const),
  fc.record({via: fc.constant('offline'), services: fc.array(fc.record({full: text, online: text}))} as const),
) as fc.Arbitrary<ForwardedCall>

describe('a call', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(call, (one) => {
        expect(decodeCall(encodeCall(one))).toEqual(one)
      }),
    )
  })

  test('with a member that is missing, or is something else, is refused', () => {
    const spoilt = fc.constantFrom<Value>(undefined, 7, [], null, {a: 1}, Buffer.from('x'))
    fc.assert(
      fc.property(call, fc.nat(), spoilt, (one, at, wrong) => {
        const members = {v: 1, ...one} as Record<string, Value>
        const names = Object.keys(members).filter((name) => !['args', 'kwargs', 'params'].includes(name))
        const name = names[at % names.length] ?? ''
        fc.pre(!(Array.isArray(wrong) && Array.isArray(members[name])))
        const bytes = encode({...members, [name]: wrong})
        expect(() => decodeCall(bytes)).toThrow(expect.objectContaining({code: 'REG_BAD_REQUEST'}))
      }),
    )
  })

  test('of any other bytes, or of none, is refused', () => {
    const other = fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      value,
      value.map((one) => encode(one)),
    )
    fc.assert(
      fc.property(other, (one) => {
        expect(() => decodeCall(one)).toThrow(RegistryError)
      }),
    )
  })

  test('that is too large is refused by both sides', () => {
    const large = {via: 'lock', user: 'x', actor: 'x'.repeat(MAX_CALL_BYTES)} as const
    expect(() => encodeCall(large)).toThrow(/must not exceed/)
    expect(() => decodeCall(Buffer.alloc(MAX_CALL_BYTES + 1))).toThrow(RegistryError)
  })
})

describe('an answer', () => {
  const at = {nextOffset: 7, epoch: 2, lastHash: 'ab'}

  test('is read as it was written', () => {
    fc.assert(
      fc.property(value, (result) => {
        expect(decodeAnswer(encodeAnswer({kind: 'done', at, result}))).toEqual({kind: 'done', at, result})
      }),
    )
    expect(decodeAnswer(encodeAnswer({kind: 'not-leader'}))).toEqual({kind: 'not-leader'})
  })

  test('with an error has its code, its name in Telepath, its text, its facts and its hints', () => {
    const codes = fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[]))
    const name = fc.constantFrom('BadArg', 'DupUserName', 'NoSuchRole', 'StormRaise')
    fc.assert(
      fc.property(codes, name, text, fields, fc.array(text), (code, telepath, message, info, hints) => {
        fc.pre(!('mesg' in info) && !('errname' in info))
        const error = new RegistryError(code, message, {telepath, info, hints})
        const read = decodeAnswer(encodeAnswer({kind: 'failed', at, error}))
        const same = read.kind === 'failed' ? read.error : undefined
        expect([same?.code, same?.telepath, same?.message]).toEqual([code, telepath, message])
        expect([same?.info, same?.hints]).toEqual([info, hints])
      }),
    )
  })

  test('that is none is not understood', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          value,
          fc.uint8Array().map((bytes) => Buffer.from(bytes)),
        ),
        (one) => {
          expect(() => decodeAnswer(one)).toThrow(expect.objectContaining({code: 'REG_BAD_ANSWER'}))
        },
      ),
    )
  })
})
