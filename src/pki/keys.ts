import {generateKeyPair, type KeyObject} from 'node:crypto'
import {promisify} from 'node:util'
import {RegistryError} from '../base/errors.ts'

/** Kinds of keys that are made. Stock Synapse loads RSA keys only; it accepts certificates on the other ones. */
export const KEY_TYPES = ['rsa2048', 'rsa3072', 'rsa4096', 'p256'] as const
export type KeyType = (typeof KEY_TYPES)[number]

const generate = promisify(generateKeyPair)

/** Makes a private key in a thread of its own: 4096 bits take up to some seconds. */
export async function newPrivateKey(type: KeyType): Promise<KeyObject> {
  const options = {publicExponent: 65_537}
  const {privateKey} =
    type === 'p256'
      ? await generate('ec', {namedCurve: 'prime256v1'})
      : await generate('rsa', {...options, modulusLength: Number(type.slice(3))})
  return privateKey
}

/** Gives the kind that comes closest to a key. */
export function keyTypeOf(key: KeyObject): KeyType {
  const {modulusLength = 0} = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType !== 'rsa') return 'p256'
  if (modulusLength >= 4096) return 'rsa4096'
  return modulusLength >= 3072 ? 'rsa3072' : 'rsa2048'
}

/** Says what a key is, for people: `RSA 2048`, `EC prime256v1`. */
export function keyText(key: KeyObject): string {
  const {modulusLength, namedCurve} = key.asymmetricKeyDetails ?? {}
  return `${(key.asymmetricKeyType ?? 'unknown').toUpperCase()} ${modulusLength ?? namedCurve ?? ''}`.trim()
}

/** Writes a private key as the peers do: PKCS#1 for RSA, PKCS#8 for all others. */
export function privateKeyPem(key: KeyObject): string {
  const isRsa = key.asymmetricKeyType === 'rsa'
  return key.export({type: isRsa ? 'pkcs1' : 'pkcs8', format: 'pem'}).toString()
}

const SMALLEST_RSA_BITS = 2048
const LARGEST_RSA_BITS = 8192 // to verify with a larger one takes long
const CURVES = ['prime256v1', 'secp384r1', 'secp521r1']

/**
 * Checks that a key that came from elsewhere is one to build on, and not one made to keep us busy.
 *
 * @throws RegistryError `REG_CERT_INVALID` naming what it is
 */
export function checkPublicKey(key: KeyObject): void {
  const {modulusLength = 0, namedCurve = ''} = key.asymmetricKeyDetails ?? {}
  const isRsa = key.asymmetricKeyType === 'rsa'
  if (isRsa && modulusLength >= SMALLEST_RSA_BITS && modulusLength <= LARGEST_RSA_BITS) return
  if (key.asymmetricKeyType === 'ec' && CURVES.includes(namedCurve)) return
  const what = isRsa ? `RSA with ${modulusLength} bits` : `${key.asymmetricKeyType} ${namedCurve}`.trim()
  throw new RegistryError('REG_CERT_INVALID', `no certificate is made for a key of this kind: ${what}`, {
    hints: ['take RSA with 2048 to 8192 bits, or EC on P-256, P-384 or P-521'],
  })
}
