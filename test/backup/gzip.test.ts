import {execFileSync} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {inflateRawSync} from 'node:zlib'
import {describe, expect, test} from 'vitest'
import {GZIP_BLOCK, gzipped} from '../../src/backup/gzip.ts'
import {chunksOf, gather, sha256} from './archive-kit.ts'

const CONTENTS: readonly (readonly [string, Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.from('x')],
  ['zeros', Buffer.alloc(3 * GZIP_BLOCK)],
  ['what repeats', Buffer.from('{"name":"cam","type":"camera"}'.repeat(100_000))],
  ['digits', Buffer.from(randomBytes(2 * GZIP_BLOCK + 77).toString('hex'))],
  ['what cannot be packed', randomBytes(4 * GZIP_BLOCK + 1)],
]

/** Gives the content of the only stream in it, as readers of one member take it. */
function onlyMember(packed: Buffer): Buffer {
  const stream = packed.subarray(10, -8)
  const {buffer, engine} = inflateRawSync(stream, {info: true}) as unknown as {
    buffer: Buffer
    engine: {bytesWritten: number}
  }
  expect(engine.bytesWritten, 'all of it is read').toBe(stream.length)
  return buffer
}

describe('gzip of blocks', () => {
  test.each(CONTENTS)('of %s is one member, which the system reads', async (_, content) => {
    const packed = await gather(gzipped(chunksOf(content, GZIP_BLOCK)))
    expect(sha256(execFileSync('gzip', ['-dc'], {input: packed, maxBuffer: 2 ** 30}))).toBe(sha256(content))
    expect(sha256(onlyMember(packed))).toBe(sha256(content))
  })

  test('looks for what was there before where that pays, and only there', async () => {
    const sizeOf = async (content: Buffer) => (await gather(gzipped(chunksOf(content, GZIP_BLOCK)))).length
    const repeated = Buffer.from('{"name":"cam","type":"camera"}'.repeat(30_000))
    expect(await sizeOf(repeated)).toBeLessThan(repeated.length / 50)
    const digits = Buffer.from(randomBytes(GZIP_BLOCK).toString('hex'))
    expect(await sizeOf(digits)).toBeLessThan(digits.length * 0.52) // 0.54 when it searches
  })

  test('ends with the error of what is packed', async () => {
    async function* broken() {
      yield randomBytes(GZIP_BLOCK)
      throw new Error('no more')
    }
    await expect(gather(gzipped(broken()))).rejects.toThrow('no more')
  })
})
