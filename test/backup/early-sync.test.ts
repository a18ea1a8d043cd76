import {describe, expect, test} from 'vitest'
import {EarlySync} from '../../src/backup/early-sync.ts'

const MIB = 1024 * 1024

/** A file whose syncs are ended by hand. */
function slowFile() {
  const under: PromiseWithResolvers<void>[] = []
  const datasync = () => {
    const sync = Promise.withResolvers<void>()
    under.push(sync)
    return sync.promise
  }
  return {under, datasync}
}

async function isDone(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol('open')
  for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  return (await Promise.race([promise.catch(() => undefined), Promise.resolve(open)])) !== open
}

describe('what is written', () => {
  test('goes to the disk in portions, while more is written', async () => {
    const file = slowFile()
    const sync = new EarlySync(file)
    for (let piece = 0; piece < 15; piece++) await sync.wrote(MIB)
    expect(file.under).toHaveLength(0)
    await sync.wrote(MIB)
    expect(file.under).toHaveLength(1)
    for (let piece = 0; piece < 15; piece++) await sync.wrote(MIB)
    expect(file.under).toHaveLength(1)
  })

  test('waits when the disk is a portion behind', async () => {
    const file = slowFile()
    const sync = new EarlySync(file)
    await sync.wrote(16 * MIB)
    const second = sync.wrote(16 * MIB)
    expect(await isDone(second)).toBe(false)
    file.under[0]?.resolve()
    await second
    expect(file.under).toHaveLength(2)
  })

  test('is all on the disk at the end', async () => {
    const file = slowFile()
    const sync = new EarlySync(file)
    await sync.wrote(16 * MIB)
    const end = sync.end()
    file.under[0]?.resolve()
    expect(await isDone(end)).toBe(false)
    expect(file.under).toHaveLength(2)
    file.under[1]?.resolve()
    await end
  })

  test('and could not be, is said, though the disk says so only once', async () => {
    const file = slowFile()
    const sync = new EarlySync(file)
    await sync.wrote(16 * MIB)
    file.under[0]?.reject(new Error('EIO'))
    await expect(sync.end()).rejects.toThrow('EIO')
  })
})
