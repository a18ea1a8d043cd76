/**
 * Compression of archives. For zstd one thread of libuv does it: zstd with workers of its own (`ZSTD_c_nbWorkers`) loses data in Node 24, whose stream
 * ends before the workers are done.
 */
import {pipeline, type Transform} from 'node:stream'
import {constants, createGunzip, createZstdCompress, createZstdDecompress} from 'node:zlib'
import {messageOf} from '../base/errors.ts'
import {damaged} from './archive-refusal.ts'
import type {ByteReader} from './byte-reader.ts'
import {GZIP_BLOCK, gzipped} from './gzip.ts'
import {type CollectOptions, collecting} from './spent-bytes.ts'

/** How an archive is compressed: ours by zstd, as Synapse has it by gzip. */
export type Compression = 'zstd' | 'gzip'

const CHUNK = 256 * 1024
/** A stream of zstd that is ended while pieces wait in it ends its frame twice, in Node 24: an empty one follows. So none may wait. */
const NONE_WAITING = 1
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b])
/** A frame may ask for so much memory to be unpacked: 16 MiB. Ours ask for 512 KiB, the tool `zstd -19` for 8 MiB. */
const WINDOW_LOG_MAX = 24

/** Compresses at the level of the highest speed: what is copied once is read seldom. */
export function compressed(
  chunks: AsyncIterable<Uint8Array>,
  kind: Compression,
  memory: CollectOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const plain = collecting(chunks, memory)
  if (kind === 'gzip') return gzipped(gathered(plain, GZIP_BLOCK))
  const params = {[constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1}
  const options = {chunkSize: CHUNK, params, writableHighWaterMark: NONE_WAITING}
  return through(ahead(gathered(plain, CHUNK)), createZstdCompress(options))
}

/** Bytes that went in, for those who look at how much comes out. */
export interface Meter {
  bytes: number
}

/** Tells how what begins with these bytes is compressed; undefined when it is not, or in another way. */
export function compressionOf(start: Uint8Array): Compression | undefined {
  if (startsWith(start, ZSTD_MAGIC)) return 'zstd'
  return startsWith(start, GZIP_MAGIC) ? 'gzip' : undefined
}

/**
 * Gives what was compressed, by zstd or gzip as its first bytes say, or as it is when they say nothing. `meter` counts what went in.
 *
 * @throws RegistryError `REG_BACKUP_DAMAGED` when it is cut or altered, or something follows it
 */
export async function* decompressed(reader: ByteReader, meter: Meter): AsyncGenerator<Uint8Array, void> {
  const magic = await reader.take(ZSTD_MAGIC.length)
  reader.putBack(magic)
  const kind = compressionOf(magic)
  if (kind === undefined) return yield* counted(reader.all(), meter)
  const transform =
    kind === 'zstd'
      ? createZstdDecompress({chunkSize: CHUNK, params: {[constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX}})
      : createGunzip({chunkSize: CHUNK})
  try {
    // Archives are read by commands, and by a server before it serves.
    yield* collecting(through(counted(reader.all(), meter), transform), {isAlone: true})
  } catch (error) {
    throw isCodecError(error) ? damaged(messageOf(error).toLowerCase(), undefined, error) : error
  }
  if (transform.bytesWritten !== meter.bytes) throw damaged('something follows the end of the compressed data')
}

function startsWith(bytes: Uint8Array, magic: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, magic.length), magic) === 0
}

function isCodecError(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && /^(Z_|ZSTD_)/.test(String(thrown.code))
}

async function* counted(chunks: AsyncIterable<Uint8Array>, meter: Meter): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of chunks) {
    meter.bytes += chunk.length
    yield chunk
  }
}

/** Sends chunks through a stream. An error of either end ends both. */
async function* through(chunks: AsyncIterable<Uint8Array>, transform: Transform): AsyncGenerator<Uint8Array, void> {
  pipeline(chunks, transform, () => {}) // its error is that of `transform`
  try {
    for await (const chunk of transform) yield chunk
  } finally {
    transform.destroy()
  }
}

/** Asks for the next chunk while the last one is worked on. */
async function* ahead(chunks: AsyncGenerator<Uint8Array, void>): AsyncGenerator<Uint8Array, void> {
  const ask = () => {
    const asked = chunks.next()
    asked.catch(() => {}) // said when its turn comes
    return asked
  }
  try {
    let next = ask()
    for (let step = await next; step.done !== true; step = await next) {
      next = ask()
      yield step.value
    }
  } finally {
    await chunks.return()
  }
}

/** Puts small chunks together to some of at least `least` bytes: each that is compressed takes a way to another thread and back. */
async function* gathered(chunks: AsyncIterable<Uint8Array>, least: number): AsyncGenerator<Uint8Array, void> {
  let gathered: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunks) {
    gathered.push(chunk)
    length += chunk.length
    if (length < least) continue
    yield gathered.length === 1 ? chunk : Buffer.concat(gathered, length)
    gathered = []
    length = 0
  }
  if (length > 0) yield Buffer.concat(gathered, length)
}
