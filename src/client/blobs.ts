/**
 * Files in an Axon, which knows them by their SHA-256. A Cortex hands its Axon on.
 *
 *     Axon      upload() -> share with write(bytes) and save() -> [size, sha256];  get(sha256) -> bytes, bytes, …
 *     Cortex    getAxonUpload() -> the same;  getAxonBytes(hex) -> bytes, bytes, …
 *
 * @see spec/telepath.md, section 7
 */
import {createHash} from 'node:crypto'
import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable, CallOptions} from '../wire/telepath/caller.ts'

/** A file that an Axon keeps. */
export interface Blob {
  /** 64 hex digits. */
  readonly sha256: string
  readonly sizeBytes: number
}

export interface BlobOptions {
  readonly signal: AbortSignal
  /** Longest wait for each answer; that of the session when absent. */
  readonly timeoutMs?: number | undefined
  /** Hears how many bytes have gone through. */
  readonly onProgress?: (bytes: number) => void
}

/** Each write waits for its answer, so a chunk is large; the peer keeps it in memory while it writes. */
const CHUNK_BYTES = 4 * 1024 * 1024

/**
 * Uploads what `source` gives. The Axon keeps it only when all of it has come, and what it says it keeps is compared with what was sent.
 *
 * @throws RegistryError `REG_NOT_FOUND` when the service keeps no files; `REG_BAD_ANSWER` when it kept something else; as a call
 */
export async function uploadBlob(
  service: Callable,
  source: AsyncIterable<Uint8Array>,
  options: BlobOptions,
): Promise<Blob> {
  const method = methodOf(service, ['upload', 'getAxonUpload'])
  const limits = limitsOf(options)
  const hash = createHash('sha256')
  let sizeBytes = 0
  await using upload = await service.share(method, limits)
  for await (const chunk of inChunks(source)) {
    await upload.call('write', {...limits, args: [chunk]})
    hash.update(chunk)
    sizeBytes += chunk.length
    options.onProgress?.(sizeBytes)
  }
  const [size, digest]: readonly Value[] = listOf(await upload.call('save', limits))
  const sha256 = hash.digest('hex')
  if (Number(size) === sizeBytes && digest instanceof Uint8Array && hexOf(digest) === sha256) return {sha256, sizeBytes}
  throw new RegistryError('REG_BAD_ANSWER', `the Axon kept something else than the ${sizeBytes} bytes that were sent`, {
    info: {sha256, sizeBytes},
    hints: ['upload it again'],
  })
}

/**
 * Gives a file piece by piece. What came was wrong when this throws at the end: the pieces are to be kept aside until then.
 *
 * @throws RegistryError `REG_NOT_FOUND` when the Axon does not have it, or the service keeps no files; `REG_BAD_ANSWER` when what came has another hash;
 * as a call
 */
export async function* downloadBlob(
  service: Callable,
  sha256: string,
  options: BlobOptions,
): AsyncGenerator<Uint8Array, Blob> {
  const method = methodOf(service, ['get', 'getAxonBytes'])
  const wanted = sha256.toLowerCase()
  const argument = method === 'get' ? Buffer.from(wanted, 'hex') : wanted
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of service.stream(method, {...limitsOf(options), args: [argument]})) {
    if (!(chunk instanceof Uint8Array))
      throw new RegistryError('REG_BAD_ANSWER', `${method} gave something else than bytes`)
    hash.update(chunk)
    sizeBytes += chunk.length
    options.onProgress?.(sizeBytes)
    yield chunk
  }
  const came = hash.digest('hex')
  if (came === wanted) return {sha256: wanted, sizeBytes}
  throw new RegistryError('REG_BAD_ANSWER', `what came is not ${wanted}: its SHA-256 is ${came}`, {
    info: {sha256: wanted, came, sizeBytes},
    hints: ['download it again', 'look at the log of the Axon: what it keeps may be damaged'],
  })
}

function methodOf(service: Callable, methods: readonly [axon: string, cortex: string]): string {
  const [axon, cortex] = methods
  // An object with a method `get` may be anything; only an Axon takes uploads beside it.
  if (service.info.methods.has('upload')) return axon
  if (service.info.methods.has(cortex)) return cortex
  throw new RegistryError('REG_NOT_FOUND', 'this service keeps no files: it is neither an Axon nor a Cortex', {
    telepath: 'NoSuchMeth',
    hints: ['registry status URL'],
  })
}

function limitsOf({signal, timeoutMs}: BlobOptions): CallOptions {
  return timeoutMs === undefined ? {signal} : {signal, timeoutMs}
}

/** Puts small pieces together, and cuts large ones. */
async function* inChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let parts: Uint8Array[] = []
  let length = 0
  for await (const piece of source) {
    for (let start = 0; start < piece.length; ) {
      const part = piece.subarray(start, start + CHUNK_BYTES - length)
      start += part.length
      length += part.length
      parts.push(part)
      if (length < CHUNK_BYTES) continue
      yield Buffer.concat(parts)
      parts = []
      length = 0
    }
  }
  if (length > 0) yield Buffer.concat(parts)
}

function listOf(value: Value): readonly Value[] {
  return Array.isArray(value) ? value : []
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
