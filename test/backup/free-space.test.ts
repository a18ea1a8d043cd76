import {statfs} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {assertRoom} from '../../src/backup/free-space.ts'

const place = join(tmpdir(), 'registry-is-not-there', 'at', 'all')

test('there is room for what fits', async () => {
  await expect(assertRoom({path: place, bytes: 1, minFreePercent: 0})).resolves.toBeUndefined()
})

test('there is none for what does not, and the error says how much is free and needed', async () => {
  const {blocks, bsize} = await statfs(tmpdir())
  const bytes = 2 * blocks * bsize
  await expect(assertRoom({path: place, bytes, minFreePercent: 0})).rejects.toMatchObject({
    code: 'REG_DISK_LOW',
    message: expect.stringMatching(/\d+ MiB are needed and \d+ MiB are free$/),
    info: {path: place, neededBytes: bytes},
  })
})

test('what has to stay free is counted too', async () => {
  const wish = assertRoom({path: place, bytes: 1, minFreePercent: 100})
  await expect(wish).rejects.toThrow(/1 KiB are needed.*have to stay free/)
})
