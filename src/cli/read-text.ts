import {open} from 'node:fs/promises'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'

export interface ReadTextOptions {
  /** What the text is, for errors: `the query`. */
  readonly what: string
  readonly maxBytes: number
  readonly signal: AbortSignal
}

/**
 * Reads a text from a file, or from the standard input when `path` is `-`.
 *
 * @throws RegistryError `REG_USAGE` when it cannot be read, is too long or no UTF-8; the signal's reason
 */
export async function readText(path: string, {what, maxBytes, signal}: ReadTextOptions): Promise<string> {
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(await readBytes(path, maxBytes, signal))
  } catch (error) {
    signal.throwIfAborted()
    throw unreadable(path, what, error)
  }
}

async function readBytes(path: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  const file = path === '-' ? undefined : await open(path)
  const stream = file?.createReadStream({signal}) ?? process.stdin
  const onAbort = () => stream.destroy()
  signal.addEventListener('abort', onAbort, {once: true})
  const parts: Buffer[] = []
  let length = 0
  try {
    for await (const part of stream as AsyncIterable<Buffer>) {
      parts.push(part)
      length += part.length
      if (length > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes`)
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
  signal.throwIfAborted()
  return Buffer.concat(parts)
}

function unreadable(path: string, what: string, cause: unknown): RegistryError {
  const source = path === '-' ? 'the standard input' : path
  const code = systemCode(cause)
  const reason = code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is no UTF-8' : (code ?? messageOf(cause))
  return new RegistryError('REG_USAGE', `cannot read ${what} from ${source}: ${reason}`, {cause})
}
