import {createReadStream} from 'node:fs'
import {stat} from 'node:fs/promises'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {fillFileAtomic} from '../base/files.ts'
import {type Blob, type BlobOptions, downloadBlob, uploadBlob} from '../client/blobs.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import type {QueryOutput} from './query-output.ts'
import {withPeerHints} from './query-words.ts'

/** What is to be done with a file. */
export type FileWish =
  | {readonly kind: 'put'; readonly path: string}
  | {readonly kind: 'get'; readonly sha256: string; readonly output: string; readonly isForced: boolean}

export interface FileFlags {
  readonly output?: string | undefined
  readonly force: boolean
}

/** What `--file` gives under `--json`. */
export interface FileReport extends Blob {
  /** Where it was written to; null for an upload. */
  readonly output: string | null
}

const SHA256 = /^[0-9a-f]{64}$/i
/** Owner and others read it as the umask of the user says. */
const DOWNLOAD_MODE = 0o666
const PROGRESS_STEP_BYTES = 1024 * 1024

/**
 * Tells what `--file` is to do. `-` is the standard input or output; without `--output` a download goes to the standard output, unless people look at
 * it or `--json` speaks there.
 *
 * @throws RegistryError `REG_USAGE`
 */
export function readFileWish(
  action: string,
  words: readonly string[],
  flags: FileFlags,
  isStdoutTaken: boolean,
): FileWish {
  const [word, ...more] = words
  const isPut = action === 'put'
  if (word === undefined || more.length > 0) {
    throw usage(isPut ? '--file put takes one path' : '--file get takes one SHA-256', EXAMPLES[isPut ? 'put' : 'get'])
  }
  if (isPut) {
    if (flags.output !== undefined || flags.force) throw usage('--output and --force are for --file get', EXAMPLES.get)
    return {kind: 'put', path: word}
  }
  if (!SHA256.test(word)) throw usage(`"${word}" is no SHA-256: it has 64 hex digits`, EXAMPLES.get)
  const {output = '-', force: isForced} = flags
  if (output === '-' && isStdoutTaken) throw usage('say with --output where the file is to go', EXAMPLES.get)
  return {kind: 'get', sha256: word, output, isForced}
}

const EXAMPLES = {
  put: 'registry query URL --file put report.pdf',
  get: 'registry query URL --file get SHA256 --output report.pdf',
} as const

/** Uploads or downloads a file, in pieces; throws as `uploadBlob` and `downloadBlob`. */
export async function runFile(
  cell: Callable,
  wish: FileWish,
  flags: {readonly timeout?: number | undefined},
  out: QueryOutput,
): Promise<FileReport> {
  const doing = wish.kind === 'put' ? 'uploading' : 'downloading'
  using progress = await out.progress(doing)
  let shownBytes = 0
  const onProgress = (bytes: number) => {
    if (bytes - shownBytes < PROGRESS_STEP_BYTES) return
    shownBytes = bytes
    progress.say(`${doing}: ${sizeText(bytes)}`)
  }
  const options = {signal: out.signal, timeoutMs: flags.timeout, onProgress}
  try {
    const blob = await (wish.kind === 'put' ? put(cell, wish, options) : get(cell, wish, options, out))
    progress[Symbol.dispose]()
    return report(blob, wish, out)
  } catch (error) {
    throw withPeerHints(error)
  }
}

async function put(cell: Callable, {path}: {readonly path: string}, options: BlobOptions): Promise<Blob> {
  return await uploadBlob(cell, readingFrom(path, options.signal), options)
}

async function get(
  cell: Callable,
  {sha256, output, isForced}: FileWish & {readonly kind: 'get'},
  options: BlobOptions,
  out: QueryOutput,
): Promise<Blob> {
  const pieces = downloadBlob(cell, sha256, options)
  if (output === '-') return await drain(pieces, (chunk) => out.write(chunk))
  await checkOutput(output, isForced)
  return await toFile(pieces, output, isForced)
}

function report(blob: Blob, wish: FileWish, out: QueryOutput): FileReport {
  const size = sizeText(blob.sizeBytes)
  if (wish.kind === 'put') {
    out.say(`uploaded ${size}`)
    return out.show({...blob, output: null}, ({sha256}) => sha256)
  }
  out.say(`downloaded ${size}${wish.output === '-' ? '' : ` to ${wish.output}`}`)
  return {...blob, output: wish.output}
}

/** Nothing is downloaded when it could not be kept. */
async function checkOutput(path: string, isForced: boolean): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined
    throw notWritten(path, error)
  })
  if (found === undefined) return
  if (!found.isFile()) throw usage(`${path} is there and is no plain file`, EXAMPLES.get)
  if (!isForced) throw exists(path)
}

async function* readingFrom(path: string, signal: AbortSignal): AsyncGenerator<Buffer, void> {
  const stream = path === '-' ? process.stdin : createReadStream(path, {highWaterMark: 1024 * 1024})
  const onAbort = () => stream.destroy(signal.reason)
  signal.addEventListener('abort', onAbort, {once: true})
  try {
    yield* stream as AsyncIterable<Buffer>
  } catch (error) {
    signal.throwIfAborted()
    throw notRead(path, error)
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

async function toFile(pieces: AsyncGenerator<Uint8Array, Blob>, output: string, isReplacing: boolean): Promise<Blob> {
  const whole = Promise.withResolvers<Blob>()
  try {
    await fillFileAtomic(output, {mode: DOWNLOAD_MODE, isReplacing}, async (write) => {
      whole.resolve(await drain(pieces, write))
    })
  } catch (error) {
    if (error instanceof RegistryError) throw error
    throw systemCode(error) === 'EEXIST' ? exists(output) : notWritten(output, error)
  }
  return await whole.promise
}

async function drain(
  pieces: AsyncGenerator<Uint8Array, Blob>,
  write: (chunk: Uint8Array) => Promise<void>,
): Promise<Blob> {
  let step = await pieces.next()
  try {
    for (; !step.done; step = await pieces.next()) await write(step.value)
  } finally {
    if (!step.done) await pieces.return(undefined as never)
  }
  return step.value
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const

function sizeText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${UNITS[power]}`
}

function exists(path: string): RegistryError {
  return new RegistryError('REG_FILE_EXISTS', `${path} is there already; nothing was downloaded`, {
    info: {path},
    hints: ['give another --output', 'replace it with --force'],
  })
}

function notRead(path: string, cause: unknown): RegistryError {
  const source = path === '-' ? 'the standard input' : path
  return new RegistryError('REG_USAGE', `cannot read ${source}: ${systemCode(cause) ?? messageOf(cause)}`, {cause})
}

function notWritten(path: string, cause: unknown): RegistryError {
  const reason = systemCode(cause) ?? messageOf(cause)
  return new RegistryError('REG_USAGE', `cannot write ${path}: ${reason}`, {
    info: {path},
    hints: ['give another --output'],
    cause,
  })
}

function usage(text: string, ...hints: readonly string[]): RegistryError {
  return new RegistryError('REG_USAGE', text, {hints: [...hints, 'registry help query']})
}
