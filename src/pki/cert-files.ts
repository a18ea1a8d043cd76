import assert from 'node:assert/strict'
import {createPrivateKey, type KeyObject, X509Certificate} from 'node:crypto'
import {readdir, readFile, stat} from 'node:fs/promises'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'

/** A certificate has 2 kB, a chain 10; a list of revoked ones takes 40 bytes for each. */
const MAX_FILE_BYTES = 4 * 1024 * 1024

/** Reads a file of text. Throws `REG_CERT_MISSING` (`NoSuchFile`) when it is not there, `REG_CERT_INVALID` when it cannot be read or is too large. */
export async function readCertFile(path: string): Promise<string> {
  let size: number
  try {
    size = (await stat(path)).size
    if (size <= MAX_FILE_BYTES) return await readFile(path, 'utf8')
  } catch (error) {
    throw notRead(path, error)
  }
  throw notRead(path, new Error(`it has ${size} bytes, more than the ${MAX_FILE_BYTES} that are read`))
}

/** Reads a certificate in PEM form. @throws RegistryError `REG_CERT_INVALID` (`BadCertBytes`); `what` says whose it is */
export function parseCertificate(pem: string | Uint8Array, what: string): X509Certificate {
  try {
    const certificate = new X509Certificate(pem)
    // Node 24 crashes in `toLegacyObject` of a certificate whose public key cannot be read; asking for the key only throws.
    assert(certificate.publicKey.type === 'public')
    return certificate
  } catch (error) {
    throw badBytes(`${what} is no certificate`, error)
  }
}

/** Reads a private key in PEM form. @throws RegistryError `REG_CERT_INVALID` (`BadCertBytes`); `what` says whose it is */
export function parsePrivateKey(pem: string, what: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (error) {
    throw badBytes(`${what} ${/ENCRYPTED/.test(pem) ? 'needs a passphrase' : 'is no private key in PEM form'}`, error)
  }
}

/** Tells whether there is a file of that path. Throws as `readCertFile`. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (error) {
    if (isAbsence(error)) return false
    throw notRead(path, error)
  }
}

/** Gives the names in a folder; none when it is not there. Throws as `readCertFile`. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isAbsence(error)) return []
    throw notRead(folder, error)
  }
}

/** Says in a text which files these are: another text when one was written or replaced since. Throws as `readCertFile`. */
export async function stampsOf(paths: readonly string[]): Promise<string> {
  const stamps = await Promise.all(
    paths.map(async (path) => {
      try {
        const {ino, size, mtimeNs} = await stat(path, {bigint: true})
        return `${path} ${ino} ${size} ${mtimeNs}`
      } catch (error) {
        throw notRead(path, error)
      }
    }),
  )
  return stamps.join('\n')
}

/** Makes the error for bytes that are not what they should be. */
export function badBytes(message: string, cause?: unknown): RegistryError {
  return new RegistryError('REG_CERT_INVALID', message, {telepath: 'BadCertBytes', cause})
}

function notRead(path: string, cause: unknown): RegistryError {
  if (isAbsence(cause)) {
    return new RegistryError('REG_CERT_MISSING', `there is no file ${path}`, {
      info: {path},
      telepath: 'NoSuchFile',
      cause,
    })
  }
  return badBytes(`cannot read ${path}: ${systemCode(cause) ?? messageOf(cause)}`, cause)
}

function isAbsence(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(systemCode(error) ?? '')
}
