import {expect, test} from 'vitest'
import {LogTail} from '../../src/cell/log-tail.ts'

function tailOf(count: number): LogTail {
  const tail = new LogTail()
  for (let line = 1; line <= count; line += 1) tail.add(`line ${line}`)
  return tail
}

test('the last thousand lines are kept', () => {
  const tail = tailOf(1500)
  expect(tail.last(2)).toEqual(['line 1499', 'line 1500'])
  expect(tail.last(5000)).toHaveLength(1000)
  expect(tail.last(0)).toEqual([])
})

test('long lines are kept only as far as there is room', () => {
  const tail = new LogTail()
  for (let count = 0; count < 10; count += 1) tail.add('x'.repeat(1024 * 1024))
  expect(tail.last(1000)).toHaveLength(4)
})

test('who follows gets what was and what comes, and ends with his signal', async () => {
  const tail = tailOf(3)
  const leave = new AbortController()
  const lines = tail.follow(2, leave.signal)
  expect(await lines.next()).toEqual({done: false, value: 'line 2'})
  expect(await lines.next()).toEqual({done: false, value: 'line 3'})
  const next = lines.next()
  tail.add('line 4')
  expect(await next).toEqual({done: false, value: 'line 4'})
  const last = lines.next()
  leave.abort(new Error('gone'))
  await expect(last).rejects.toThrow('gone')
})

test('who is followed by someone that does not read cuts him off', async () => {
  const tail = new LogTail()
  tail.add('first')
  const lines = tail.follow(1, new AbortController().signal)
  await lines.next()
  for (let count = 0; count <= 10_000; count += 1) tail.add('flood')
  await expect(lines.next()).rejects.toMatchObject({code: 'REG_BUSY'})
})

test('the tail of many followers is the same for each', async () => {
  const tail = tailOf(1)
  const {signal} = new AbortController()
  const both = [tail.follow(0, signal), tail.follow(1, signal)]
  const [early, late] = both.map((lines) => lines.next())
  await late
  tail.add('next')
  expect(await early).toEqual({done: false, value: 'next'})
  expect(await both[1]?.next()).toEqual({done: false, value: 'next'})
  for (const lines of both) await lines.return()
})
