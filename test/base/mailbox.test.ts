import fc from 'fast-check'
import {expect, test} from 'vitest'
import {Mailbox} from '../../src/base/mailbox.ts'

const never = new AbortController().signal

test('what was put in comes out in order, whenever it was put in, and then the end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(fc.integer(), {maxLength: 5})), async (chunks) => {
      const box = new Mailbox<number>(5)
      const reading = Array.fromAsync(box.read(never))
      for (const chunk of chunks) {
        for (const item of chunk) box.push(item)
        await new Promise((resolve) => setImmediate(resolve))
      }
      box.end()
      box.push(7)
      expect(await reading).toEqual(chunks.flat())
    }),
  )
})

test('a reader who is too late is cut off, and nothing is kept for him', async () => {
  const box = new Mailbox<number>(2)
  for (const item of [1, 2, 3, 4]) box.push(item)
  box.end()
  const error = await box
    .read(never)
    .next()
    .catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({code: 'REG_BUSY', message: expect.stringContaining('more than 2 items late')})
})

test('a reader who waits is ended by his signal', async () => {
  const box = new Mailbox<number>(2)
  const stop = new AbortController()
  const waiting = box.read(stop.signal).next()
  stop.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  await expect(box.read(stop.signal).next()).rejects.toThrow('enough')
})

test('after a reader has left, what comes is dropped', async () => {
  const box = new Mailbox<number>(1)
  box.push(1)
  for await (const item of box.read(never)) {
    expect(item).toBe(1)
    break
  }
  for (const item of [2, 3, 4]) box.push(item)
  expect(await Array.fromAsync(box.read(never))).toEqual([])
})
