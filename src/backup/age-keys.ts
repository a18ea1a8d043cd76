/** Keys for encrypted archives, as the tool `age` has them. */
import {readFile, stat} from 'node:fs/promises'
import {messageOf, RegistryError} from '../base/errors.ts'

const KEYS_MAX = 100
/** A file of keys is short; a longer one is another file. */
const FILE_MAX = 1 << 20
const IDENTITY = /^AGE-SECRET-KEY-(PQ-)?1[0-9A-Z]{1,4000}$/
const RECIPIENT = /^age1(pq1)?[0-9a-z]{1,4000}$/

/**
 * Reads the identities of a file as `age-keygen` writes it: one per line, with empty lines and comments.
 *
 * @throws RegistryError `REG_USAGE`, which never says what stands in the file
 */
export async function readIdentities(file: string): Promise<readonly string[]> {
  const lines = await linesOf(file, 'identity')
  if (lines.length === 0) throw unusable(`${file} holds no identity`)
  for (const [at, line] of lines.entries())
    if (!IDENTITY.test(line)) throw unusable(`${file}: ${notIdentity(line, at)}`)
  const {Decrypter} = await import('age-encryption')
  for (const [at, line] of lines.entries()) {
    if (!isTaken(() => new Decrypter().addIdentity(line)))
      throw unusable(`${file}: identity ${at + 1} has a typing error`)
  }
  return lines
}

/**
 * Gives the recipients of `--encrypt-to`: `age1…`, or `@FILE` with one per line.
 *
 * @throws RegistryError `REG_USAGE`
 */
export async function parseRecipients(texts: readonly string[]): Promise<readonly string[]> {
  const recipients: string[] = []
  for (const text of texts) {
    const named = text.startsWith('@') ? await linesOf(text.slice(1), 'recipients') : [text]
    if (named.length === 0) throw unusable(`${text.slice(1)} holds no recipient`)
    recipients.push(...named)
  }
  if (recipients.length > KEYS_MAX) throw unusable(`${recipients.length} recipients are more than ${KEYS_MAX}`)
  if (recipients.length === 0) return []
  const {Encrypter} = await import('age-encryption')
  for (const one of recipients) {
    if (!RECIPIENT.test(one)) throw unusable(notRecipient(one))
    if (!isTaken(() => new Encrypter().addRecipient(one))) throw unusable(`the recipient ${one} has a typing error`)
  }
  const hybrid = recipients.filter((one) => one.startsWith('age1pq1'))
  if (hybrid.length > 0 && hybrid.length < recipients.length) {
    throw unusable('post-quantum recipients (age1pq1…) go with others of their kind only: one that is not undoes it')
  }
  return [...new Set(recipients)]
}

async function linesOf(file: string, what: string): Promise<readonly string[]> {
  const text = await readText(file, what)
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  const keys = lines.filter((line) => line !== '' && !line.startsWith('#'))
  if (keys.length > KEYS_MAX) throw unusable(`${file} holds more than ${KEYS_MAX} keys`)
  return keys
}

async function readText(file: string, what: string): Promise<string> {
  try {
    if ((await stat(file)).size <= FILE_MAX) return await readFile(file, 'utf8')
  } catch (error) {
    throw unusable(`cannot read the ${what} file ${file}: ${messageOf(error)}`, error)
  }
  throw unusable(`${file} is no ${what} file: it has more than ${FILE_MAX} bytes`)
}

function notIdentity(line: string, at: number): string {
  if (line.startsWith('age-encryption.org/') || line.startsWith('-----BEGIN AGE')) {
    return 'it is encrypted itself: decrypt it with age first'
  }
  if (line.startsWith('age1')) return `line ${at + 1} is a recipient; the identity begins with AGE-SECRET-KEY-1`
  if (line.startsWith('-----BEGIN')) return 'keys of SSH are not taken'
  if (line.startsWith('AGE-PLUGIN-')) return 'identities of plugins are not taken'
  return `line ${at + 1} is no identity: it does not begin with AGE-SECRET-KEY-1`
}

/** An identity given by mistake must not be repeated on a screen. */
function notRecipient(text: string): string {
  if (/^AGE-SECRET-KEY-/i.test(text)) return 'an identity was given as a recipient; the recipient begins with age1'
  if (text.startsWith('ssh-')) return 'keys of SSH are not taken as recipients'
  return `${JSON.stringify(text.slice(0, 100))} is no recipient: it does not begin with age1`
}

function isTaken(take: () => void): boolean {
  try {
    take()
    return true
  } catch {
    return false
  }
}

function unusable(message: string, cause?: unknown): RegistryError {
  const hints = [
    'make a pair of keys: age-keygen -o key.txt',
    'give --encrypt-to age1…, and --identity key.txt to read',
  ]
  return new RegistryError('REG_USAGE', message, {hints, cause})
}
