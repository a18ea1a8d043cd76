import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {assertAdmin, demote, promote} from '../../src/client/leadership.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Callable, CallOptions} from '../../src/wire/telepath/caller.ts'
import {fromErrInfo} from '../../src/wire/telepath/errors.ts'

const {signal} = new AbortController()
const NAME = '01.axon.demo.net'

/** A service that answers all calls so, and what it was asked. */
function service(answer: Value | Error) {
  const asked: (readonly [string, CallOptions])[] = []
  const call = async (method: string, options: CallOptions) => {
    asked.push([method, options])
    if (answer instanceof Error) throw answer
    return answer
  }
  return {cell: {call} as unknown as Callable, asked}
}

const refused = (name: string, mesg: string, more: Record<string, Value> = {}) =>
  fromErrInfo(name, {mesg, ...more}, 'x')

describe('who wants to move the lead', () => {
  test('is refused before anything is looked at when he is no administrator there, with the words of the service', async () => {
    const {cell, asked} = service({name: 'visi', admin: false})
    await expect(assertAdmin(cell, {signal})).rejects.toMatchObject({
      ...{code: 'REG_DENIED', telepath: 'AuthDeny', message: 'User is not an admin [visi]'},
      hints: ['be an administrator of the service, or ask as root: cell://DIR on its machine'],
    })
    expect(asked).toEqual([['getCellUser', {signal}]])
  })

  test.each<[string, Value | Error]>([
    ['is an administrator', {name: 'root', admin: true}],
    ['is not told who he is', refused('NoSuchMeth', 'no such method')],
    ['is told something else', 7],
    ['is told nothing of rights', {name: 'visi'}],
  ])('is let go on, for the service to decide, when he %s', async (_, answer) => {
    await expect(assertAdmin(service(answer).cell, {signal})).resolves.toBeUndefined()
  })
})

describe('a promotion', () => {
  test('is asked for with or without a hand-over', async () => {
    const {cell, asked} = service(null)
    await promote(cell, NAME, {isForced: false, signal})
    await promote(cell, NAME, {isForced: true, signal, timeoutMs: 5})
    expect(asked).toEqual([
      ['promote', {kwargs: {graceful: true}, signal, timeoutMs: 60_000}],
      ['promote', {kwargs: {graceful: false}, signal, timeoutMs: 5}],
    ])
  })

  // The texts are those of Synapse 2.256.0.
  test.each<[RegistryError, string, string]>([
    [
      refused('BadConfValu', 'promote() called on non-mirror'),
      'REG_CONFLICT',
      `${NAME} is no mirror: promote() called on non-mirror`,
    ],
    [
      refused('NeedConfValu', 'The aha:name configuration option is required.'),
      'REG_CONFLICT',
      `${NAME} cannot hand over: The aha:name configuration option is required.`,
    ],
    [
      refused('NoSuchName', 'aha lookup failed: cortex...'),
      'REG_UNREACHABLE',
      `${NAME} does not find its leader: aha lookup failed: cortex...`,
    ],
    [
      refused('SynErr', "[Errno 111] Connect call failed ('127.0.0.1', 1)", {errx: 'ConnectionRefusedError'}),
      'REG_UNREACHABLE',
      `${NAME} cannot reach its leader: [Errno 111] Connect call failed ('127.0.0.1', 1)`,
    ],
    [
      refused('NotReady', 'Remote mirror did not catch up in time: 5/800.'),
      'REG_TIMED_OUT',
      `${NAME} is not ready: Remote mirror did not catch up in time: 5/800.`,
    ],
    [refused('BadState', 'HANDOFF: is not the current leader'), 'REG_CONFLICT', 'HANDOFF: is not the current leader'],
    [refused('AuthDeny', 'User is not an admin [visi]'), 'REG_DENIED', 'User is not an admin [visi]'],
    [
      new RegistryError('REG_LINK_CLOSED', 'the link was closed'),
      'REG_LINK_CLOSED',
      'the link was closed; whether the lead has moved is not known',
    ],
    [
      new RegistryError('REG_TIMED_OUT', 'no answer within 60 s'),
      'REG_TIMED_OUT',
      'no answer within 60 s; whether the lead has moved is not known',
    ],
  ])('that fails says what that means: %s', async (error, code, message) => {
    await expect(promote(service(error).cell, NAME, {isForced: false, signal})).rejects.toMatchObject({code, message})
  })

  test('is not explained where the program itself fails', async () => {
    const error = new TypeError('ours')
    await expect(promote(service(error).cell, NAME, {isForced: false, signal})).rejects.toBe(error)
  })
})

describe('a demotion', () => {
  test('has a limit at the service, and a little more here', async () => {
    const {cell, asked} = service(true)
    await demote(cell, NAME, {signal, timeoutMs: 10_000})
    expect(asked).toEqual([['demote', {kwargs: {timeout: 10}, signal, timeoutMs: 15_000}]])
  })

  test('that nobody took is a conflict', async () => {
    await expect(demote(service(false).cell, NAME, {signal})).rejects.toMatchObject({
      code: 'REG_CONFLICT',
      message: `none of the mirrors of ${NAME} took the lead: its log says why`,
    })
  })

  test('that fails says what that means', async () => {
    const error = refused('NeedConfValu', 'AHA is not configured on this service.')
    await expect(demote(service(error).cell, NAME, {signal})).rejects.toMatchObject({code: 'REG_CONFLICT'})
  })
})
