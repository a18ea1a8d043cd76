import {open} from 'node:fs/promises'
import {Flags} from '@oclif/core'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {Secret} from '../base/secret.ts'
import {orCancelled} from './confirm.ts'

/** Longer than any password that a service takes. */
const MAX_BYTES = 4096

/** Flags of a command that sets a password. It is never an argument: those are seen by all users of the machine. */
export const passwordFlags = {
  'passwd-file': Flags.string({
    summary: 'Take the password from this file; a newline at its end does not count.',
    helpValue: '<file>',
    exclusive: ['passwd-stdin'],
  }),
  'passwd-stdin': Flags.boolean({summary: 'Take the password from the standard input.', exclusive: ['passwd-file']}),
}

interface PasswordWish {
  readonly 'passwd-file'?: string | undefined
  readonly 'passwd-stdin'?: boolean | undefined
}

export interface AskOptions {
  readonly isAskable: boolean
  readonly signal: AbortSignal
}

/** What a secret is called, and how its flags begin. */
interface SecretWords {
  readonly noun: 'password' | 'passphrase'
  readonly flag: 'passwd' | 'passphrase'
}

/**
 * Reads a new password from where the flags say; without them it is asked for, twice.
 *
 * @throws RegistryError `REG_USAGE` when there is none, `REG_CANCELLED`
 */
export async function readPassword(flags: PasswordWish, options: AskOptions): Promise<Secret> {
  const source = {file: flags['passwd-file'], isStdin: flags['passwd-stdin'] === true}
  return await readSecret(source, {noun: 'password', flag: 'passwd'}, options)
}

/** Reads a new secret of any name as `readPassword` does. */
export async function readSecret(
  {file, isStdin}: {readonly file: string | undefined; readonly isStdin: boolean},
  words: SecretWords,
  {isAskable, signal}: AskOptions,
): Promise<Secret> {
  const {noun, flag} = words
  if (file !== undefined) return secretOf(await readStart(file, noun), noun, file)
  if (isStdin) return await readStdinSecret(noun)
  if (isAskable) return await askTwice(noun, signal)
  throw new RegistryError('REG_USAGE', `nobody can be asked for the ${noun}: nothing was done`, {
    hints: [`give --${flag}-file FILE`, `give --${flag}-stdin`],
  })
}

/** Reads a secret that a command line names `-`. @throws RegistryError `REG_USAGE` when it is none */
export async function readStdinSecret(noun: string): Promise<Secret> {
  return secretOf(await readStdin(), noun, 'the standard input')
}

function secretOf(bytes: Buffer, noun: string, source: string): Secret {
  const text = bytes.toString('utf8').replace(/\r?\n$/, '')
  if (bytes.length > MAX_BYTES) throw badSecret(noun, source, `it is longer than ${MAX_BYTES} bytes`)
  if (text === '') throw badSecret(noun, source, 'it is empty')
  if (!Buffer.from(text).equals(bytes.subarray(0, Buffer.byteLength(text)))) {
    throw badSecret(noun, source, 'it is no UTF-8')
  }
  if (/[\r\n\0]/.test(text)) throw badSecret(noun, source, 'it has more than one line')
  return new Secret(text)
}

function badSecret(noun: string, source: string, why: string): RegistryError {
  return new RegistryError('REG_USAGE', `${source} holds no ${noun}: ${why}`)
}

async function readStart(path: string, noun: string): Promise<Buffer> {
  try {
    await using file = await open(path)
    const buffer = Buffer.alloc(MAX_BYTES + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = (await file.read(buffer, length, buffer.length - length, null)).bytesRead
    }
    return buffer.subarray(0, length)
  } catch (error) {
    throw unreadable(path, noun, error)
  }
}

function unreadable(path: string, noun: string, cause: unknown): RegistryError {
  const reason = systemCode(cause) ?? messageOf(cause)
  return new RegistryError('REG_USAGE', `cannot read the ${noun} from ${path}: ${reason}`, {cause})
}

async function readStdin(): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    parts.push(part)
    length += part.length
    if (length > MAX_BYTES) break
  }
  return Buffer.concat(parts)
}

async function askTwice(noun: string, signal: AbortSignal): Promise<Secret> {
  const {default: password} = await import('@inquirer/password')
  const ask = (message: string) => orCancelled(() => password({message}, {output: process.stderr, signal}))
  const first = await ask(`New ${noun}:`)
  if (first === '') throw new RegistryError('REG_USAGE', `an empty ${noun} is none: nothing was done`)
  if (first !== (await ask('The same again:'))) {
    throw new RegistryError('REG_USAGE', 'the two are not the same: nothing was done')
  }
  return secretOf(Buffer.from(first), noun, 'what was typed')
}
