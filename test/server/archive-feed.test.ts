import {beforeEach, describe, expect, test} from 'vitest'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {TestCell, type TestSession} from '../support/cell.ts'

let cell: TestCell
let root: TestSession
beforeEach(async () => {
  cell = await TestCell.open()
  root = await cell.session(undefined)
})

type Fields = Readonly<Record<string, Value>>

function append(): Promise<void> {
  const effect = {kind: 'records', records: []} as const
  const entry = {timeMs: 1000, actor: 'zmq:anon/6b', change: '{"kind":"x"}', effect}
  return new Promise((resolve, failed) => {
    cell.changeLog.propose({entry, committed: () => resolve(), failed})
  })
}

async function open(from?: number): Promise<AsyncIterator<Fields>> {
  const answer = await root.answer('archiveLog', from === undefined ? [] : [from])
  if (answer.kind !== 'stream') throw new Error('not a stream')
  return answer.items[Symbol.asyncIterator]() as AsyncIterator<Fields>
}

async function next(items: AsyncIterator<Fields>): Promise<Fields> {
  const {value, done} = await items.next()
  if (done === true) throw new Error('it is over')
  return value
}

/** Entries of the next message that has some. */
async function some(items: AsyncIterator<Fields>): Promise<readonly Value[]> {
  for (;;) {
    const {entries} = await next(items)
    if (Array.isArray(entries) && entries.length > 0) return entries as readonly Value[]
  }
}

describe('archiveLog', () => {
  test('says where the log is, and no more without a place', async () => {
    await append()
    const [start, ...rest] = (await root.call('archiveLog')) as Fields[]
    const {nextOffset, lastHash, epoch} = cell.changeLog.head
    expect(rest).toEqual([])
    expect(start).toMatchObject({cell: cell.parts.cellIden, next: nextOffset, last: lastHash, epoch, before: null})
  })

  test('gives entries as they are, those there and those to come', async () => {
    await append()
    await append()
    const from = cell.changeLog.nextOffset - 1
    const items = await open(from)
    const [before, last] = await cell.store.read(from - 1, 2)
    expect(await next(items)).toMatchObject({before: before?.hash, last: last?.hash})
    const packed = (entry: typeof last) =>
      entry && [entry.offset, entry.epoch, entry.hash, entry.timeMs, entry.actor, entry.change]
    expect(await some(items)).toEqual([packed(last)])
    const coming = some(items)
    await append()
    const [newest] = await cell.store.read(from + 1, 1)
    expect(await coming).toEqual([packed(newest)])
    await items.return?.()
    expect((cell.parts.entries as {open?: number}).open).toBe(0)
  })

  test('says only where it is to who has more', async () => {
    const items = await open(cell.changeLog.nextOffset + 5)
    expect(await next(items)).toMatchObject({next: cell.changeLog.nextOffset, before: null})
    expect((await items.next()).done).toBe(true)
  })

  test('speaks when there is nothing to say', async () => {
    const items = await open(cell.changeLog.nextOffset)
    await next(items)
    await next(items)
    expect(await next(items)).toMatchObject({entries: [], next: cell.changeLog.nextOffset})
    await items.return?.()
  })

  test('tells who is behind what was trimmed, with its code', async () => {
    await append()
    await append()
    await root.call('rotateNexsLog')
    await append()
    await root.call('cullNexsLog', [cell.changeLog.nextOffset - 2])
    const items = await open(0)
    const {first} = await next(items)
    expect(first).toBeGreaterThan(0)
    await expect(next(items)).rejects.toMatchObject({info: {code: 'REG_OFFSET_CULLED', first}})
  })

  test('ends with the session', async () => {
    const items = await open(cell.changeLog.nextOffset)
    await next(items)
    await next(items)
    const coming = items.next()
    root.leave.abort(new Error('left'))
    await expect(coming).rejects.toThrow('archiveLog was killed')
  })

  test('is for administrators', async () => {
    await root.call('addUser', ['visitor'])
    const visitor = await cell.session('visitor')
    await expect(visitor.call('archiveLog')).rejects.toMatchObject({telepath: 'AuthDeny'})
  })
})
