/**
 * PKCS#12 files (RFC 7292): a key, its certificate and the authorities above it under one passphrase, for browsers and other programs.
 *
 * Everything in it is encrypted (PBES2: PBKDF2 with SHA-256, AES-256-CBC) and the whole is sealed with HMAC-SHA-256, which is what OpenSSL 3
 * makes by default and what systems since about 2018 read.
 */
import {hash, type KeyObject, type X509Certificate} from 'node:crypto'
import {BmpString, OctetString} from 'asn1js'
import {
  Attribute,
  AuthenticatedSafe,
  CertBag,
  PFX,
  PKCS8ShroudedKeyBag,
  PrivateKeyInfo,
  SafeBag,
  SafeContents,
} from 'pkijs'
import type {Secret} from '../base/secret.ts'
import {readAsn1, writeAsn1} from './asn1.ts'

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
const SHROUDED_KEY_BAG = '1.2.840.113549.1.12.10.1.2'
const CERT_BAG = '1.2.840.113549.1.12.10.1.3'
const X509_CERTIFICATE = '1.2.840.113549.1.9.22.1'
const FRIENDLY_NAME = '1.2.840.113549.1.9.20'
const LOCAL_KEY_ID = '1.2.840.113549.1.9.21'
/** What a part of the file is protected with, as pkijs counts it. */
const PRIVACY = {none: 0, passphrase: 1} as const
const BY_PASSPHRASE = 0

/** Makes a file. The keys are derived beside the event loop, but for that of the seal, which takes some tenths of a second in it. */
export async function makeP12({name, key, certificate, cas, passphrase}: P12Content): Promise<Buffer> {
  const password = Uint8Array.from(Buffer.from(passphrase.reveal())).buffer
  const protection = {
    password,
    contentEncryptionAlgorithm: {name: 'AES-CBC', length: 256},
    hmacHashAlgorithm: 'SHA-256',
    iterationCount: ITERATIONS,
  }
  const attributes = [
    new Attribute({type: FRIENDLY_NAME, values: [new BmpString({value: name})]}),
    new Attribute({type: LOCAL_KEY_ID, values: [new OctetString({valueHex: hash('sha1', certificate.raw, 'buffer')})]}),
  ]
  const keyBag = new PKCS8ShroudedKeyBag({parsedValue: privateKeyInfo(key)})
  await keyBag.makeInternalValues(protection)
  const certificates = [certBag(certificate, attributes), ...cas.map((ca) => certBag(ca))]
  const keys = [new SafeBag({bagId: SHROUDED_KEY_BAG, bagValue: keyBag, bagAttributes: attributes})]
  const authenticatedSafe = new AuthenticatedSafe({
    parsedValue: {
      safeContents: [
        {privacyMode: PRIVACY.passphrase, value: new SafeContents({safeBags: certificates})},
        {privacyMode: PRIVACY.none, value: new SafeContents({safeBags: keys})},
      ],
    },
  })
  await authenticatedSafe.makeInternalValues({safeContents: [protection, {}]})
  const file = new PFX({parsedValue: {integrityMode: BY_PASSPHRASE, authenticatedSafe}})
  const seal = {password, iterations: ITERATIONS, pbkdf2HashAlgorithm: 'SHA-256', hmacHashAlgorithm: 'SHA-256'}
  await file.makeInternalValues(seal)
  return writeAsn1(file.toSchema())
}

function certBag({raw}: X509Certificate, bagAttributes?: Attribute[]): SafeBag {
  const bagValue = new CertBag({certId: X509_CERTIFICATE, certValue: new OctetString({valueHex: raw})})
  return new SafeBag({bagId: CERT_BAG, bagValue, ...(bagAttributes === undefined ? {} : {bagAttributes})})
}

function privateKeyInfo(key: KeyObject): PrivateKeyInfo {
  return readAsn1(key.export({type: 'pkcs8', format: 'der'}), PrivateKeyInfo, 'the private key')
}
