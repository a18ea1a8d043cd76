/**
 * A secret that only the holder of a private key can read, whoever else gets hold of it:
 *
 *     length of the next, 2 bytes | AES-256 key, encrypted with RSA-OAEP (SHA-256) | nonce, 12 bytes | tag, 16 bytes | the secret, AES-GCM
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import {RegistryError} from '../base/errors.ts'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CIPHER = 'aes-256-gcm'
const PADDING = {padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256'}

/** Checks that something can be sealed for a key. @throws RegistryError `REG_CERT_INVALID` for one that is not RSA */
export function checkSealable(publicKey: KeyObject): void {
  if (publicKey.asymmetricKeyType === 'rsa') return
  throw new RegistryError('REG_CERT_INVALID', 'a secret can be sent to the holder of an RSA key only', {
    hints: ['make the certificate request with an RSA key'],
  })
}

/** Seals a text for the holder of a key, which `checkSealable` must have passed. */
export function sealFor(publicKey: KeyObject, secret: string): Uint8Array {
  const key = randomBytes(KEY_BYTES)
  const nonce = randomBytes(NONCE_BYTES)
  const wrapped = publicEncrypt({key: publicKey, ...PADDING}, key)
  const cipher = createCipheriv(CIPHER, key, nonce)
  const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  const length = Buffer.alloc(2)
  length.writeUInt16BE(wrapped.length)
  return Buffer.concat([length, wrapped, nonce, cipher.getAuthTag(), sealed])
}

/** Reads what was sealed for this key. @throws RegistryError `REG_BAD_ANSWER` when it was not, or was altered */
export function openSealed(privateKey: KeyObject, bytes: Uint8Array): string {
  try {
    const all = Buffer.from(bytes)
    const nonceAt = 2 + all.readUInt16BE(0)
    const tagAt = nonceAt + NONCE_BYTES
    const key = privateDecrypt({key: privateKey, ...PADDING}, all.subarray(2, nonceAt))
    const options = {authTagLength: TAG_BYTES}
    const decipher = createDecipheriv(CIPHER, key, all.subarray(nonceAt, tagAt), options)
    decipher.setAuthTag(all.subarray(tagAt, tagAt + TAG_BYTES))
    return Buffer.concat([decipher.update(all.subarray(tagAt + TAG_BYTES)), decipher.final()]).toString('utf8')
  } catch (error) {
    throw notSealed(error)
  }
}

function notSealed(cause: unknown): RegistryError {
  return new RegistryError('REG_BAD_ANSWER', 'a secret came that is not sealed for the key of this service', {cause})
}
