// The real client of Synapse reads the change log of `registry serve` as it reads that of a real cell, beside it.
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {startServer} from '../support/server.ts'
import {type RealProxy, SynapseAgent} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {SynapseService} from './synapse-world.ts'

let stack: AsyncDisposableStack
const cells = new Map<string, RealProxy>()

showLogsWhenFailed()

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const agent = stack.use(await SynapseAgent.start())
  const real = stack.use(await SynapseService.start('cell', {conf: {'nexslog:en': true}}))
  const ours = stack.use(await startServer())
  cells.set('a real cell', await agent.open(real.cellUrl))
  cells.set('our registry', await agent.open(`cell://${ours.dir}`))
})
afterAll(() => stack?.disposeAsync())

function offsetsOf(items: readonly Value[]): readonly Value[] {
  return items.map((item) => (item === null ? null : (item as readonly [number])[0]))
}

describe.each(['a real cell', 'our registry'])('%s', (name) => {
  async function ask(method: string, args: readonly Value[] = []): Promise<Value> {
    return await (cells.get(name) as RealProxy).call(method, {args})
  }

  async function changes(offset: number, tellsReady: boolean): Promise<readonly Value[]> {
    const given = {args: [offset, tellsReady, false]}
    return await (cells.get(name) as RealProxy).items('getNexusChanges', given)
  }

  test('gives what is in its log from an offset on, and says when that is all', async () => {
    for (const role of ['one', 'two']) await ask('addRole', [role])
    const next = Number(await ask('getNexsIndx'))
    expect(next).toBeGreaterThan(1)
    const all = Array.from({length: next}, (_, offset) => offset)
    expect(offsetsOf(await changes(0, true))).toEqual([...all, null])
    expect(offsetsOf(await changes(-2, false))).toEqual(all)
    expect(offsetsOf(await changes(next - 1, false))).toEqual([next - 1])
    expect(offsetsOf(await changes(next, true))).toEqual([null])
    expect(offsetsOf(await changes(next + 5, true))).toEqual([null])
    expect(await changes(next, false)).toEqual([])
  })

  test('goes on with what comes, from an offset that is yet to come', async () => {
    const next = Number(await ask('getNexsIndx'))
    const items = await (cells.get(name) as RealProxy).iterate('getNexusChanges', {args: [next + 1, true]})
    expect(await items.next()).toEqual([null])
    for (const role of ['three', 'four', 'five']) await ask('addRole', [role])
    expect(offsetsOf(await items.next(2))).toEqual([next + 1, next + 2])
    await items.leave()
  })

  test('has the same form of items', async () => {
    const [item] = await changes(Number(await ask('getNexsIndx')) - 1, false)
    const text = expect.any(String)
    expect(item).toEqual([expect.any(Number), [text, text, expect.any(Array), expect.any(Object), expect.any(Object)]])
  })
})
