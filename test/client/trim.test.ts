import {describe, expect, test} from 'vitest'
import type {RegistryError} from '../../src/base/errors.ts'
import {lateAt, readLogFacts, trimAll, trimTo} from '../../src/client/trim.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Callable, CallOptions, TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {fromErrInfo} from '../../src/wire/telepath/errors.ts'

const {signal} = new AbortController()
const LIMITS = {signal, timeoutMs: 2000}
const NAME = '00.axon.demo.net'

/** A service that answers so, and what it was asked; what is no method of it is not offered. */
function service(answers: Readonly<Record<string, Value | Error | readonly Value[]>>) {
  const asked: (readonly [string, readonly Value[]])[] = []
  const answer = (method: string, {args = []}: CallOptions = {}) => {
    asked.push([method, args])
    const value = answers[method]
    if (value instanceof Error) throw value
    return value
  }
  const cell = {
    info: {classes: [], methods: new Map(Object.keys(answers).map((name) => [name, {isGenerator: false}]))},
    call: async (method: string, options: CallOptions) => answer(method, options),
    async *stream(method: string, options: CallOptions) {
      yield* answer(method, options) as readonly Value[]
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
  return {cell: cell as unknown as Callable & TelepathProxy, asked}
}

const refused = (name: string, mesg: string, more: Record<string, Value> = {}) =>
  fromErrInfo(name, {mesg, ...more}, 'x')

test('what a log has, and what it takes, is asked for', async () => {
  const {cell} = service({
    getNexsIndx: 9,
    getNexusChanges: [
      [4, []],
      [5, []],
    ],
    getSystemInfo: {cellrealdisk: 4096},
  })
  expect(await readLogFacts(cell, 'aha://axon...', signal)).toEqual({index: 9, oldest: 4, bytes: 4096, bytesOf: 'cell'})
  const bare = service({getNexsIndx: 9, getNexusChanges: []})
  expect(await readLogFacts(bare.cell, 'ssl://h', signal)).toEqual({index: 9, oldest: null, bytes: null, bytesOf: null})
  const odd = service({getNexsIndx: 'x'})
  await expect(readLogFacts(odd.cell, 'ssl://h', signal)).rejects.toMatchObject({code: 'REG_BAD_ANSWER'})
})

describe('those who follow', () => {
  const followers = [{name: '01', url: 'aha://01'}]
  const opening = (answer: TelepathProxy | Error) => ({
    open: async () => {
      if (answer instanceof Error) throw answer
      return answer
    },
  })

  test('are late when they have not got the entry in time, or are not there', async () => {
    const late = async (answer: TelepathProxy | Error, isLenient = true) =>
      await lateAt(7, followers, opening(answer), {...LIMITS, isLenient})
    const there = service({waitNexsOffs: true})
    expect(await late(there.cell)).toEqual([])
    expect(there.asked).toEqual([['waitNexsOffs', [7, 2]]])
    expect(await late(service({waitNexsOffs: false, getNexsIndx: 3}).cell)).toEqual([
      {name: '01', why: '01 is behind: it is at index 3, and the leader at 8', code: 'REG_TIMED_OUT'},
    ])
    expect(await late(refused('LinkErr', 'no link'))).toEqual([
      {name: '01', why: '01 does not answer: no link', code: 'REG_UNREACHABLE'},
    ])
    expect(await late(refused('NoSuchUser', 'who?'))).toEqual([])
    await expect(late(refused('NoSuchUser', 'who?'), false)).rejects.toMatchObject({telepath: 'NoSuchUser'})
  })
})

describe('a service', () => {
  test('is asked to trim for those who follow, or to drop up to an entry', async () => {
    const {cell, asked} = service({trimNexsLog: 7, rotateNexsLog: 9, cullNexsLog: true})
    expect(await trimAll(cell, NAME, ['aha://01.axon...'], LIMITS)).toBe(7)
    expect(await trimAll(cell, NAME, [], LIMITS)).toBe(7)
    expect(await trimTo(cell, NAME, 3, signal)).toBe(3)
    expect(asked).toEqual([
      ['trimNexsLog', [['aha://01.axon...'], 2]],
      ['trimNexsLog', [null, 2]],
      ['rotateNexsLog', []],
      ['cullNexsLog', [3]],
    ])
    const {cell: stubborn} = service({rotateNexsLog: 9, cullNexsLog: false})
    await expect(trimTo(stubborn, NAME, 3, signal)).rejects.toMatchObject({
      code: 'REG_CONFLICT',
      message: `${NAME} did not drop the entries up to 3: its log says why`,
    })
  })

  // The texts are those of Synapse 2.256.0.
  test.each<[RegistryError, string, string]>([
    [
      refused('BadConfValu', 'trimNexsLog requires nexslog:en=True'),
      'REG_CONFLICT',
      `${NAME} keeps no change log: trimNexsLog requires nexslog:en=True`,
    ],
    [
      refused('NoSuchName', 'aha lookup failed: 09.search...'),
      'REG_UNREACHABLE',
      `${NAME} does not reach one of those who follow its log: aha lookup failed: 09.search...; nothing was changed`,
    ],
    [
      refused('SynErr', '[Errno 111] Connect call failed', {errx: 'ConnectionRefusedError'}),
      'REG_UNREACHABLE',
      `${NAME} does not reach one of those who follow its log: [Errno 111] Connect call failed; nothing was changed`,
    ],
    [
      refused('SynErr', 'trimNexsLog timed out waiting', {url: 'ssl://root:needle@h/', offs: 12, timeout: 2}),
      'REG_TIMED_OUT',
      `ssl://root:****@h/ has not got entry 12 in time: the log of ${NAME} was rotated, and nothing was dropped`,
    ],
    [
      refused('SlabInUse', 'Cannot rotate Nexus log while a backup is running'),
      'REG_CONFLICT',
      `${NAME} cannot trim its log now: Cannot rotate Nexus log while a backup is running`,
    ],
    [refused('LinkShutDown', 'gone'), 'REG_LINK_CLOSED', 'gone; whether the log was trimmed is not known'],
    [refused('AuthDeny', 'User is not an admin [visi]'), 'REG_DENIED', 'User is not an admin [visi]'],
  ])('that answers %s is told of as %s', async (answer, code, message) => {
    const {cell} = service({trimNexsLog: answer, rotateNexsLog: answer})
    await expect(trimAll(cell, NAME, [], LIMITS)).rejects.toMatchObject({code, message})
    await expect(trimTo(cell, NAME, 3, signal)).rejects.toMatchObject({code, message})
  })
})
