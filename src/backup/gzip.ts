/**
 * Writes gzip on several cores: blocks are compressed on their own, by threads of libuv, and put together as one stream of one member, which every
 * reader takes. Each block ends at a whole byte (`Z_SYNC_FLUSH`), and none looks back into the one before it.
 */
import {promisify} from 'node:util'
import {constants, crc32, deflateRaw} from 'node:zlib'

/** Length of a block. A shorter one finds less to look back at. */
export const GZIP_BLOCK = 512 * 1024
/** Others wait for the threads too. */
const BLOCKS_AT_ONCE = 2
/** From the middle of a block, to see what pays for it. */
const SAMPLE = 16 * 1024
/** Magic, deflate, no fields, no time, fastest, Unix. */
const HEAD = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3])
/** An empty block that is the last one. */
const LAST_BLOCK = Buffer.from([3, 0])

const deflate = promisify(deflateRaw)
const FASTEST = {level: 1, finishFlush: constants.Z_SYNC_FLUSH}
/** Looks for nothing that was there before: three to six times as fast. */
const WITHOUT_SEARCH = {...FASTEST, strategy: constants.Z_HUFFMAN_ONLY}
/** How much longer the result may be for that. */
const WORTH = 1.1

/** Compresses blocks of at most `GZIP_BLOCK` bytes, at the level of the highest speed. */
export async function* gzipped(blocks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let [crc, length] = [0, 0]
  const under: Promise<Uint8Array>[] = []
  yield HEAD
  for await (const block of blocks) {
    crc = crc32(block, crc)
    length += block.length
    const one = deflated(block)
    one.catch(() => {}) // said when its turn comes
    under.push(one)
    if (under.length > BLOCKS_AT_ONCE) yield* next(under)
  }
  while (under.length > 0) yield* next(under)
  const end = Buffer.alloc(8)
  end.writeUInt32LE(crc, 0)
  end.writeUInt32LE(length % 2 ** 32, 4)
  yield Buffer.concat([LAST_BLOCK, end])
}

async function* next(under: Promise<Uint8Array>[]): AsyncGenerator<Uint8Array, void> {
  const first = await under.shift()
  if (first !== undefined) yield first
}

async function deflated(block: Uint8Array): Promise<Uint8Array> {
  const from = Math.max(0, (block.length - SAMPLE) >> 1)
  const sample = block.subarray(from, from + SAMPLE)
  const [searched, without] = await Promise.all([deflate(sample, FASTEST), deflate(sample, WITHOUT_SEARCH)])
  const options = without.length > searched.length * WORTH ? FASTEST : WITHOUT_SEARCH
  return await deflate(block, {...options, chunkSize: GZIP_BLOCK})
}
