import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../../src/base/errors.ts'
import {decode} from '../../../src/wire/msgpack/decode.ts'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {fromErrInfo, retnOfError, valueOfRetn} from '../../../src/wire/telepath/errors.ts'

test.each([
  ['AuthDeny', 'REG_DENIED'],
  ['NoSuchUser', 'REG_NOT_FOUND'],
  ['NoSuchMeth', 'REG_NOT_FOUND'],
  ['NoSuchCert', 'REG_CERT_MISSING'],
  ['DupName', 'REG_CONFLICT'],
  ['DupUserName', 'REG_CONFLICT'],
  ['BadState', 'REG_CONFLICT'],
  ['LinkShutDown', 'REG_LINK_CLOSED'],
  ['IsFini', 'REG_LINK_CLOSED'],
  ['LinkErr', 'REG_UNREACHABLE'],
  ['LinkBadCert', 'REG_CERT_INVALID'],
  ['TimeOut', 'REG_TIMED_OUT'],
  ['BadArg', 'REG_BAD_REQUEST'],
  ['SchemaViolation', 'REG_BAD_REQUEST'],
  ['IsReadOnly', 'REG_READ_ONLY'],
  ['StormRuntimeError', 'REG_PEER_FAILED'],
  ['SynErr', 'REG_PEER_FAILED'],
  ['constructor', 'REG_PEER_FAILED'],
  ['__proto__', 'REG_PEER_FAILED'],
])('%s is %s', (name, code) => {
  const facts = {mesg: 'what the peer says', user: 'visi', eline: 7}
  expect(fromErrInfo(name, facts, 'asking')).toMatchObject({
    code,
    telepath: name,
    message: 'what the peer says',
    info: {errname: name, user: 'visi', eline: 7},
  })
})

test('an error without a text shows its name and facts, and not where it was raised', () => {
  const facts = {name: 'newp', efile: 'daemon.py', eline: 7, esrc: 'raise ...', ename: 'f', list: [1]}
  expect(fromErrInfo('NoSuchName', facts, 'opening x').message).toBe('opening x: NoSuchName (name: newp)')
  expect(fromErrInfo('NoSuchName', {mesg: null}, 'opening x').message).toBe('opening x: NoSuchName')
})

describe('retn', () => {
  test('holds a value', () => {
    expect(valueOfRetn([true, 7], 'asking')).toBe(7)
    expect(valueOfRetn([true, null], 'asking')).toBeNull()
  })

  test('or an error', () => {
    expect(() => valueOfRetn([false, ['AuthDeny', {mesg: 'no'}]], 'asking')).toThrow(
      expect.objectContaining({code: 'REG_DENIED', message: 'no'}),
    )
    expect(() => valueOfRetn([false, ['AuthDeny', null]], 'asking')).toThrow('asking: AuthDeny')
  })

  test.each([
    null,
    undefined,
    7,
    [],
    [true],
    [1, 2],
    [true, 1, 2],
    [false, null],
    [false, [7, {}]],
    [false, []],
    {0: true},
  ])('anything else is no answer: %j', (retn) => {
    expect(() => valueOfRetn(retn as Value, 'asking')).toThrow(
      expect.objectContaining({code: 'REG_BAD_ANSWER', message: expect.stringContaining('asking')}),
    )
  })
})

describe('what was thrown', () => {
  test('goes with its name, text and facts', () => {
    const error = new RegistryError('REG_NOT_FOUND', 'no such user: x', {
      telepath: 'NoSuchUser',
      info: {username: 'x', errname: 'old'},
    })
    expect(retnOfError(error)).toEqual([false, ['NoSuchUser', {username: 'x', mesg: 'no such user: x'}]])
  })

  test('comes back as the same error', () => {
    const error = new RegistryError('REG_DENIED', 'no', {info: {user: 'visi', perm: ['a', 'b']}})
    const sent = decode(encode(retnOfError(error)))
    expect(() => valueOfRetn(sent, 'asking')).toThrow(
      expect.objectContaining({
        code: 'REG_DENIED',
        message: 'no',
        info: {errname: 'AuthDeny', user: 'visi', perm: ['a', 'b']},
      }),
    )
  })

  test('goes without facts that cannot be sent', () => {
    const endless: unknown[] = []
    endless.push(endless)
    const info = {
      date: new Date(0),
      f: () => 1,
      u: undefined,
      deep: {when: new Date(0), n: 1n, bytes: Buffer.from('a')},
      endless,
    }
    const retn = retnOfError(new RegistryError('REG_CONFLICT', 'no', {info}))
    expect(retn).toMatchObject([false, ['BadState', {deep: {n: 1n, bytes: Buffer.from('a')}, mesg: 'no'}]])
    expect(Object.keys((retn[1] as readonly [string, object])[1])).toEqual(['deep', 'endless', 'mesg'])
    expect(() => encode(retn)).not.toThrow()
  })

  test('StormRaise keeps its field errname, which the Python client needs', () => {
    const error = new RegistryError('REG_PEER_FAILED', 'no', {telepath: 'StormRaise', info: {errname: 'Own'}})
    expect(retnOfError(error)).toEqual([false, ['StormRaise', {errname: 'Own', mesg: 'no'}]])
  })

  test('tells nothing of a mistake of ours', () => {
    expect(retnOfError(new TypeError('secret of x is undefined'))).toEqual([
      false,
      ['SynErr', {mesg: 'the service failed; its log says why'}],
    ])
  })
})
