import {afterEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {DiskGuard} from '../../src/cell/disk-guard.ts'

interface Logged {
  readonly event: string
  readonly fields: unknown
}

/** A guard of a disk that is as full as the test says, and what it did. */
function guardOf(minPercent: number) {
  const disk = {free: 50, error: undefined as Error | undefined}
  const holds = new Map<string, string>()
  const logged: Logged[] = []
  const log = (event: string, fields?: object) => logged.push({event, fields})
  const guard = new DiskGuard(
    {
      dir: '/cell',
      hold: (name, reason) => holds.set(name, reason),
      release: (name) => holds.delete(name),
      log: {error: log, info: log, warning: log},
      statfs: async () => {
        if (disk.error !== undefined) throw disk.error
        return {blocks: 100, bavail: disk.free}
      },
    },
    minPercent,
  )
  guards.push(guard)
  return {guard, disk, holds, logged}
}

const guards: DiskGuard[] = []
afterEach(() => {
  for (const guard of guards.splice(0)) guard.stop()
})

describe('at the start', () => {
  test('a disk with too little room is refused', async () => {
    const {guard, disk, holds} = guardOf(5)
    disk.free = 5
    const error = await guard.start().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(RegistryError)
    expect(error).toMatchObject({code: 'REG_DISK_LOW', telepath: 'LowSpace', info: {dirn: '/cell', freePercent: 5}})
    expect(holds).toEqual(new Map())
  })

  test('a disk with room is taken', async () => {
    const {guard, disk} = guardOf(5)
    disk.free = 6
    await guard.start()
    expect(guard.state).toEqual({freePercent: 6, minPercent: 5})
  })

  test('zero percent switches the guard off', async () => {
    const {guard, disk} = guardOf(0)
    disk.free = 0
    await guard.start()
    expect(guard.state).toBeUndefined()
  })
})

describe('while the server runs', () => {
  test('changes are refused below the limit and taken again above it, and each is said once', async () => {
    const {guard, disk, holds, logged} = guardOf(5)
    await guard.start()
    disk.free = 4
    await guard.check()
    await guard.check()
    expect(holds).toEqual(new Map([['disk', 'Insufficient free space on disk.']]))
    disk.free = 6
    await guard.check()
    await guard.check()
    expect(holds).toEqual(new Map())
    expect(logged).toEqual([
      {event: 'disk.low', fields: {dir: '/cell', freePercent: 4, minPercent: 5}},
      {event: 'disk.enough', fields: {dir: '/cell', freePercent: 6, minPercent: 5}},
    ])
  })

  test('another limit holds at once, and none lets go', async () => {
    const {guard, disk, holds} = guardOf(5)
    disk.free = 10
    await guard.start()
    await guard.reload(20)
    expect(holds.size).toBe(1)
    await guard.reload(0)
    expect(holds.size).toBe(0)
  })

  test('a disk that cannot be asked changes nothing', async () => {
    const {guard, disk, holds, logged} = guardOf(5)
    await guard.start()
    disk.free = 4
    await guard.check()
    disk.error = new Error('EIO')
    await guard.check()
    expect(holds.size).toBe(1)
    expect(logged.at(-1)).toEqual({event: 'disk.unknown', fields: {dir: '/cell', reason: 'EIO'}})
  })
})

test('the disk of this machine can be asked', async () => {
  const silent = () => undefined
  const log = {error: silent, info: silent, warning: silent}
  const guard = new DiskGuard({dir: import.meta.dirname, hold: silent, release: silent, log}, 1)
  await guard.check()
  expect(guard.state?.freePercent).toBeGreaterThan(0)
  expect(guard.state?.freePercent).toBeLessThanOrEqual(100)
})
