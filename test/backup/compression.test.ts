import {randomBytes} from 'node:crypto'
import {describe, expect, test} from 'vitest'
import {ByteReader} from '../../src/backup/byte-reader.ts'
import {compressed, decompressed} from '../../src/backup/compression.ts'
import {chunksOf, gather, sha256} from './archive-kit.ts'

const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

describe.each(['zstd', 'gzip'] as const)('what %s packs', (kind) => {
  test.each([
    [0, 1],
    [30, 10],
    [900_000, 300_000],
    [900_001, 300_000],
    [5 << 20, 256 << 10],
    [3_000_000, 65_536],
  ])('%i bytes that come in pieces of %i come out, and nothing follows', async (size, length) => {
    const content = randomBytes(size)
    const packed = await gather(compressed(chunksOf(content, length), kind))
    const unpacked = await gather(decompressed(new ByteReader(chunksOf(packed)), {bytes: 0}))
    expect(sha256(unpacked)).toBe(sha256(content))
    if (kind === 'zstd') expect(packed.lastIndexOf(ZSTD_MAGIC), 'frames').toBe(0)
  })

  test('ends with the error of what is packed', async () => {
    async function* broken() {
      yield randomBytes(600_000)
      throw new Error('no more')
    }
    await expect(gather(compressed(broken(), kind))).rejects.toThrow('no more')
  })

  test('is asked for no more when nobody reads it', async () => {
    let isClosed = false
    async function* endless() {
      try {
        for (;;) yield randomBytes(300_000)
      } finally {
        isClosed = true
      }
    }
    let pieces = 0
    for await (const _piece of compressed(endless(), kind)) if (++pieces === 2) break
    await expect.poll(() => isClosed).toBe(true)
  })
})
