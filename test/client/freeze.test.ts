import {beforeEach, describe, expect, test} from 'vitest'
import {freeze, resume} from '../../src/client/freeze.ts'
import type {Callable, CallOptions} from '../../src/wire/telepath/caller.ts'
import {fromErrInfo} from '../../src/wire/telepath/errors.ts'
import {TestCell} from '../support/cell.ts'
import {DirectCall} from '../support/cell-proxy.ts'

const {signal} = new AbortController()
const OPTIONS = {place: 'cell://d', signal}

describe('of a registry of this software', () => {
  let cell: DirectCall
  beforeEach(async () => {
    cell = new DirectCall(await (await TestCell.open()).session('root'))
  })

  test('a freeze has an end, the one that is given or the usual one', async () => {
    expect(await freeze(cell, {...OPTIONS, maxMs: 5000})).toBe(5000)
    await expect(freeze(cell, OPTIONS)).rejects.toMatchObject({
      ...{code: 'REG_CONFLICT', message: 'The service is already frozen.'},
      hints: ['registry resume cell://d', 'registry status cell://d'],
    })
    await resume(cell, OPTIONS)
    await expect(resume(cell, OPTIONS)).rejects.toMatchObject({
      ...{code: 'REG_CONFLICT', message: 'The service is not frozen.'},
      hints: [expect.stringContaining('take the snapshot again'), 'registry status cell://d'],
    })
    expect(await freeze(cell, OPTIONS)).toBe(120_000)
    await resume(cell, OPTIONS)
  })
})

describe('of a real service', () => {
  const asked: (readonly [string, CallOptions])[] = []
  const answering = (answer: Error | null) =>
    ({
      info: {methods: new Map()},
      call: async (method: string, options: CallOptions) => {
        asked.push([method, options])
        if (answer !== null) throw answer
        return answer
      },
    }) as unknown as Callable
  beforeEach(() => void asked.splice(0))

  test('a freeze has no end, and none can be asked for', async () => {
    expect(await freeze(answering(null), {...OPTIONS, timeoutMs: 7000})).toBeNull()
    expect(asked).toEqual([['freeze', {kwargs: {timeout: 7}, signal, timeoutMs: 12_000}]])
    await expect(freeze(answering(null), {...OPTIONS, maxMs: 5000})).rejects.toMatchObject({code: 'REG_CONFLICT'})
    expect(asked).toHaveLength(1)
  })

  test('what it refuses is told as it says', async () => {
    const denied = fromErrInfo('AuthDeny', {mesg: 'newp'}, 'x')
    await expect(freeze(answering(denied), OPTIONS)).rejects.toBe(denied)
    await expect(resume(answering(denied), OPTIONS)).rejects.toBe(denied)
  })
})
