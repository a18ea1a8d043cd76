/**
 * PKCS#12 files (RFC 7292): a key, its certificate and the authorities above it under one passphrase, for browsers and other programs.
 *
 * Everything in it is encrypted (PBES2: PBKDF2 with SHA-256, AES-256-CBC) and the whole is sealed with HMAC-SHA-256, which is what OpenSSL 3
 * makes by default and what systems since about 2018 read.
 */
import {createCipheriv, createHmac, hash, type KeyObject, pbkdf2, randomBytes, type X509Certificate} from 'node:crypto'
import {promisify} from 'node:util'
import type {Secret} from '../base/secret.ts'
import {der, integer, NULL, octetString, oid, sequence, TAG, tagged} from './der.ts'

/** What goes into a file. */
export interface P12Content {
  /** Shown by programs that list certificates. */
  readonly name: string
  readonly key: KeyObject
  readonly certificate: X509Certificate
  /** The authorities above the certificate. */
  readonly cas: readonly X509Certificate[]
  readonly passphrase: Secret
}

const ITERATIONS = 100_000 // some tenths of a second for who knows the passphrase; that much for each guess of who does not
const DATA = '1.2.840.113549.1.7.1'
const ENCRYPTED_DATA = '1.2.840.113549.1.7.6'
const SHROUDED_KEY_BAG = '1.2.840.113549.1.12.10.1.2'
const CERT_BAG = '1.2.840.113549.1.12.10.1.3'
const X509_CERTIFICATE = '1.2.840.113549.1.9.22.1'
const FRIENDLY_NAME = '1.2.840.113549.1.9.20'
const LOCAL_KEY_ID = '1.2.840.113549.1.9.21'
const BMP_STRING = 0x1e

/** Makes a file. The key derivation runs beside the event loop, but for the seal, which takes a tenth of a second in it. */
export async function makeP12({name, key, certificate, cas, passphrase}: P12Content): Promise<Buffer> {
  const own = der(
    TAG.set,
    friendlyName(name),
    attribute(LOCAL_KEY_ID, octetString(hash('sha1', certificate.raw, 'buffer'))),
  )
  const certificates = sequence(certBag(certificate, own), ...cas.map((ca) => certBag(ca)))
  const keyInfo = await encrypted(key.export({type: 'pkcs8', format: 'der'}), passphrase)
  const keys = sequence(bag(SHROUDED_KEY_BAG, sequence(keyInfo.algorithm, octetString(keyInfo.bytes)), own))
  const content = sequence(await encryptedInfo(certificates, passphrase), dataInfo(keys))
  return sequence(integer(3), dataInfo(content), seal(content, passphrase))
}

function certBag(certificate: X509Certificate, attributes?: Buffer): Buffer {
  return bag(CERT_BAG, sequence(oid(X509_CERTIFICATE), tagged(0, octetString(certificate.raw))), attributes)
}

function bag(type: string, value: Buffer, attributes?: Buffer): Buffer {
  return sequence(oid(type), tagged(0, value), ...(attributes === undefined ? [] : [attributes]))
}

function attribute(type: string, value: Buffer): Buffer {
  return sequence(oid(type), der(TAG.set, value))
}

function friendlyName(name: string): Buffer {
  return attribute(FRIENDLY_NAME, der(BMP_STRING, utf16(name)))
}

function dataInfo(content: Buffer): Buffer {
  return sequence(oid(DATA), tagged(0, octetString(content)))
}

async function encryptedInfo(content: Buffer, passphrase: Secret): Promise<Buffer> {
  const {algorithm, bytes} = await encrypted(content, passphrase)
  const info = sequence(oid(DATA), algorithm, der(0x80, bytes))
  return sequence(oid(ENCRYPTED_DATA), tagged(0, sequence(integer(0), info)))
}

/** PBES2 (RFC 8018, A.4). */
async function encrypted(content: Buffer, passphrase: Secret): Promise<{algorithm: Buffer; bytes: Buffer}> {
  const [salt, iv] = [randomBytes(16), randomBytes(16)]
  const key = await promisify(pbkdf2)(passphrase.reveal(), salt, ITERATIONS, 32, 'sha256')
  const cipher = createCipheriv('aes-256-cbc', key, iv)
  const hmac = sequence(oid('1.2.840.113549.2.9'), NULL)
  const derivation = sequence(oid('1.2.840.113549.1.5.12'), sequence(octetString(salt), integer(ITERATIONS), hmac))
  const encryption = sequence(oid('2.16.840.1.101.3.4.1.42'), octetString(iv))
  return {
    algorithm: sequence(oid('1.2.840.113549.1.5.13'), sequence(derivation, encryption)),
    bytes: Buffer.concat([cipher.update(content), cipher.final()]),
  }
}

function seal(content: Buffer, passphrase: Secret): Buffer {
  const salt = randomBytes(16)
  const mac = createHmac('sha256', macKey(passphrase, salt)).update(content).digest()
  const algorithm = sequence(oid('2.16.840.1.101.3.4.2.1'), NULL)
  return sequence(sequence(algorithm, octetString(mac)), octetString(salt), integer(ITERATIONS))
}

const MAC_KEY = 3
const BLOCK = 64

/** The derivation of RFC 7292, B.2, where one block of SHA-256 is as much as is needed. */
function macKey(passphrase: Secret, salt: Buffer): Buffer {
  const password = Buffer.concat([utf16(passphrase.reveal()), Buffer.of(0, 0)])
  let key = Buffer.concat([Buffer.alloc(BLOCK, MAC_KEY), filled(salt), filled(password)])
  for (let round = 0; round < ITERATIONS; round++) key = hash('sha256', key, 'buffer')
  return key
}

/** Repeats bytes until they fill whole blocks. */
function filled(bytes: Buffer): Buffer {
  return Buffer.alloc(Math.ceil(bytes.length / BLOCK) * BLOCK, bytes)
}

function utf16(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16()
}
