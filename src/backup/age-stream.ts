/**
 * The age format (https://age-encryption.org/v1). The library makes and opens headers, where the keys are; the content is sealed here, by the
 * same algorithm from node:crypto: it is nine times as fast there.
 */
import {createCipheriv, createDecipheriv, hkdfSync, randomBytes} from 'node:crypto'
import {messageOf, RegistryError} from '../base/errors.ts'
import {damaged} from './archive-refusal.ts'
import {ByteReader} from './byte-reader.ts'

const CIPHER = 'chacha20-poly1305'
const PIECE = 64 * 1024
const TAG = 16
const NONCE = 16
/** A header holds a line or more for each recipient; a post-quantum one takes 1.6 KB. */
const HEADER_MAX = 256 * 1024
const MAGIC = Buffer.from('age-encryption.org/')
const ARMOR = Buffer.from('-----BEGIN AGE ')
const HEADER_END = Buffer.from('\n--- ')

/** Tells what a file that begins with these bytes is. */
export function ageFormOf(start: Uint8Array): 'age' | 'armor' | undefined {
  if (Buffer.compare(start.subarray(0, MAGIC.length), MAGIC) === 0) return 'age'
  return Buffer.compare(start.subarray(0, ARMOR.length), ARMOR) === 0 ? 'armor' : undefined
}

/** How many bytes tell what a file is. */
export const AGE_MAGIC_LENGTH = MAGIC.length

/** Encrypts for all of the recipients: each of them alone can open it. */
export async function* encryptAge(
  chunks: AsyncIterable<Uint8Array>,
  recipients: readonly string[],
): AsyncGenerator<Uint8Array, void> {
  const {Encrypter} = await import('age-encryption')
  const encrypter = new Encrypter()
  let fileKey: Uint8Array | undefined
  for (const recipient of recipients) encrypter.addRecipient(recipient)
  // One more, which learns the key and leaves no trace in the header.
  encrypter.addRecipient({
    wrapFileKey(key) {
      fileKey = key
      return []
    },
  })
  const empty = await encrypter.encrypt(new Uint8Array(0))
  if (fileKey === undefined) throw new TypeError('the library gave no key')
  const nonce = randomBytes(NONCE)
  yield empty.subarray(0, empty.length - NONCE - TAG)
  yield nonce
  yield* sealed(new ByteReader(chunks), contentKey(fileKey, nonce))
}

/**
 * Decrypts with whichever identity fits.
 *
 * @throws RegistryError `REG_BACKUP_SEALED` when none does, `REG_BACKUP_DAMAGED` when the file is cut or altered
 */
export async function* decryptAge(reader: ByteReader, identities: readonly string[]): AsyncGenerator<Uint8Array, void> {
  const header = await takeHeader(reader)
  const fileKey = await openHeader(header, identities)
  const nonce = await reader.take(NONCE)
  if (nonce.length < NONCE) throw damaged('it ends too early')
  yield* opened(reader, contentKey(fileKey, nonce))
}

function contentKey(fileKey: Uint8Array, nonce: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', fileKey, nonce, 'payload', 32))
}

async function* sealed(reader: ByteReader, key: Uint8Array): AsyncGenerator<Uint8Array, void> {
  let piece = await reader.take(PIECE)
  for (let count = 0; ; count++) {
    const next = piece.length < PIECE ? EMPTY : await reader.take(PIECE)
    const cipher = createCipheriv(CIPHER, key, pieceNonce(count, next.length === 0), {authTagLength: TAG})
    yield Buffer.concat([cipher.update(piece), cipher.final(), cipher.getAuthTag()])
    if (next.length === 0) return
    piece = next
  }
}

async function* opened(reader: ByteReader, key: Uint8Array): AsyncGenerator<Uint8Array, void> {
  let piece = await reader.take(PIECE + TAG)
  for (let count = 0; ; count++) {
    const next = piece.length < PIECE + TAG ? EMPTY : await reader.take(PIECE + TAG)
    const isLast = next.length === 0
    const isEmptyEnd = piece.length === TAG && count > 0
    if (piece.length < TAG || isEmptyEnd) throw damaged('it ends too early')
    const decipher = createDecipheriv(CIPHER, key, pieceNonce(count, isLast), {authTagLength: TAG})
    decipher.setAuthTag(piece.subarray(piece.length - TAG))
    const plain = decipher.update(piece.subarray(0, piece.length - TAG))
    try {
      decipher.final()
    } catch (error) {
      throw damaged('it is cut, or its content was altered', undefined, error)
    }
    yield plain
    if (isLast) return
    piece = next
  }
}

const EMPTY = new Uint8Array(0)

/** Eleven bytes count the pieces, the last one marks the end. */
function pieceNonce(count: number, isLast: boolean): Uint8Array {
  const nonce = Buffer.alloc(12)
  nonce.writeUIntBE(count, 5, 6)
  if (isLast) nonce[11] = 1
  return nonce
}

/** Takes the header off: all up to the line of its MAC. It is bounded, whatever the file says. */
async function takeHeader(reader: ByteReader): Promise<Uint8Array> {
  const start = Buffer.from(await reader.take(HEADER_MAX))
  const macLine = start.indexOf(HEADER_END)
  const end = macLine < 0 ? -1 : start.indexOf('\n', macLine + 1)
  if (end < 0) throw damaged('its header is not complete')
  reader.putBack(start.subarray(end + 1))
  return start.subarray(0, end + 1)
}

async function openHeader(header: Uint8Array, identities: readonly string[]): Promise<Uint8Array> {
  if (Buffer.from(header).includes('\n-> scrypt ')) {
    throw sealedError('it is encrypted with a passphrase, and only identities are taken', [
      'age --decrypt --output BACKUP.tar.zst BACKUP.tar.zst.age',
    ])
  }
  if (identities.length === 0) throw sealedError('it is encrypted, and no identity was given')
  const {Decrypter} = await import('age-encryption')
  const decrypter = new Decrypter()
  for (const identity of identities) decrypter.addIdentity(identity)
  try {
    return await decrypter.decryptHeader(header)
  } catch (error) {
    if (/no identity matched/.test(messageOf(error))) throw sealedError('none of the given identities opens it')
    throw damaged('its header was altered', undefined, error)
  }
}

/** For an archive that nothing that was given opens. */
export function sealedError(reason: string, hints?: readonly string[]): RegistryError {
  const text = `the archive cannot be opened: ${reason}`
  return new RegistryError('REG_BACKUP_SEALED', text, {info: {reason}, ...(hints === undefined ? {} : {hints})})
}
