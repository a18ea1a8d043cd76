import type {KeyObject, X509Certificate} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import {basename, extname} from 'node:path'
import {PFX} from 'pkijs'
import {RegistryError} from '../base/errors.ts'
import {readAsn1} from './asn1.ts'
import type {CertDir, CertFileEnding, CertKind} from './cert-dir.ts'
import {badBytes, parseCertificate, parsePrivateKey, readCertFile} from './cert-files.ts'
import {factsOf, type Purpose, purposeOf} from './certificate-facts.ts'
import {parseCrl} from './crl.ts'
import {readCsr} from './csr.ts'
import {privateKeyPem} from './keys.ts'
import {decodePem, encodePem} from './pem.ts'
import {readAuthorities} from './trust.ts'

/** A file from elsewhere that is to be put in a directory. */
export interface ImportOrder {
  readonly file: string
  /** What it belongs to; a certificate says so itself. */
  readonly purpose: Purpose | undefined
  /** Name in the directory: without it, that of the certificate, else that of the file. */
  readonly name: string | undefined
  /** Replace what is there, keeping it as `.bak`. */
  readonly replace: boolean
}

/** What was done. */
export interface Imported {
  readonly kind: CertKind
  readonly name: string
  /** Paths that were written. */
  readonly files: readonly string[]
  /** Path of a request that this certificate answers, and that was removed. */
  readonly answered: string | undefined
}

/**
 * Takes a certificate (with the chain behind it), a private key, both in one file, a revocation list or a PKCS#12 file into a directory. A
 * key has to fit its certificate, a list has to be signed by a known authority. A PKCS#12 file is not opened, only copied.
 *
 * @throws RegistryError `REG_CERT_MISSING`, `REG_CERT_INVALID`, `REG_FILE_EXISTS`, `REG_USAGE` when it cannot be told what the file belongs to
 */
export async function importFile(certDir: CertDir, order: ImportOrder): Promise<Imported> {
  if (['.p12', '.pfx'].includes(extname(order.file))) return await importP12(certDir, order)
  const text = await readCertFile(order.file)
  const certificates = decodePem(text, 'CERTIFICATE')
  if (decodePem(text, 'X509 CRL').length > 0) return await importCrl(certDir, order, text)
  const hasKey = /-----BEGIN (RSA |EC |ENCRYPTED |)PRIVATE KEY-----/.test(text)
  if (certificates.length === 0 && !hasKey) throw badBytes(`${order.file} holds no certificate, key or revocation list`)
  return await importPair(certDir, order, {chain: certificates, keyText: hasKey ? text : undefined})
}

interface Found {
  readonly chain: readonly Buffer[]
  readonly keyText: string | undefined
}

async function importPair(certDir: CertDir, order: ImportOrder, {chain, keyText}: Found): Promise<Imported> {
  const [first] = chain
  const certificate = first === undefined ? undefined : parseCertificate(first, order.file)
  const key = keyText === undefined ? undefined : parsePrivateKey(keyText, order.file)
  const kind = kindFor(order, certificate)
  const name = nameFor(order, certificate)
  const itsCertificate = certificate ?? (await certificateIn(certDir, kind, name))
  const itsKey = key ?? (await keyIn(certDir, kind, name))
  if (itsCertificate !== undefined && itsKey !== undefined && !itsCertificate.checkPrivateKey(itsKey)) {
    throw new RegistryError('REG_CERT_INVALID', `${name}: key and certificate do not belong to each other`, {
      info: {file: order.file, name},
    })
  }
  const pem = chain.map((bytes) => encodePem('CERTIFICATE', bytes)).join('')
  const files = [
    ...(key === undefined ? [] : [await put(certDir, order, [kind, name, 'key'], privateKeyPem(key))]),
    ...(certificate === undefined ? [] : [await put(certDir, order, [kind, name, 'crt'], pem)]),
  ]
  return {kind, name, files, answered: await endRequest(certDir, kind, name, certificate)}
}

async function importCrl(certDir: CertDir, order: ImportOrder, text: string): Promise<Imported> {
  const list = parseCrl(text)
  const signer = (await readAuthorities(certDir)).find((ca) => list.isSignedBy(ca.certificate.publicKey))
  if (signer === undefined) {
    throw new RegistryError('REG_CERT_INVALID', `no authority in this directory has signed ${order.file}`, {
      hints: ['import the certificate of its authority first: `registry cert import FILE --kind ca`'],
    })
  }
  const [pem = ''] = decodePem(text, 'X509 CRL').map((bytes) => encodePem('X509 CRL', bytes))
  const name = order.name ?? signer.name
  return {kind: 'crl', name, files: [await put(certDir, order, ['crl', name, 'crl'], pem)], answered: undefined}
}

async function importP12(certDir: CertDir, order: ImportOrder): Promise<Imported> {
  await readCertFile(order.file) // for its errors: absent, too large
  const bytes = await readFile(order.file)
  readAsn1(bytes, PFX, order.file)
  const kind = order.purpose ?? 'user'
  const name = nameFor(order, undefined)
  return {kind, name, files: [await put(certDir, order, [kind, name, 'p12'], bytes)], answered: undefined}
}

function kindFor({purpose, file}: ImportOrder, certificate: X509Certificate | undefined): Purpose {
  const own = certificate === undefined ? undefined : purposeOf(factsOf(certificate))
  const kind = purpose ?? own
  if (kind === undefined) {
    throw new RegistryError('REG_USAGE', `${file} does not say what it belongs to`, {
      hints: ['give --kind ca, host, user or code'],
    })
  }
  if (own === undefined || own === kind || (kind !== 'ca' && own !== 'ca')) return kind
  const what = own === 'ca' ? 'is that of an authority' : 'is not that of an authority'
  throw new RegistryError('REG_CERT_INVALID', `${file} ${what}`, {info: {file, kind: own}})
}

function nameFor({name, file}: ImportOrder, certificate: X509Certificate | undefined): string {
  return name ?? (certificate === undefined ? basename(file, extname(file)) : factsOf(certificate).name)
}

async function certificateIn(certDir: CertDir, kind: Purpose, name: string): Promise<X509Certificate | undefined> {
  return (await certDir.find(kind, name, 'crt')) === undefined ? undefined : await certDir.certificate(kind, name)
}

async function keyIn(certDir: CertDir, kind: Purpose, name: string): Promise<KeyObject | undefined> {
  return (await certDir.find(kind, name, 'key')) === undefined ? undefined : await certDir.key(kind, name)
}

async function put(
  certDir: CertDir,
  {replace}: ImportOrder,
  place: readonly [kind: CertKind, name: string, ending: CertFileEnding],
  content: string | Uint8Array,
): Promise<string> {
  return await (replace ? certDir.replace(...place, content) : certDir.create(...place, content))
}

/** Removes the request that a certificate answers. */
async function endRequest(
  certDir: CertDir,
  kind: Purpose,
  name: string,
  certificate: X509Certificate | undefined,
): Promise<string | undefined> {
  const path = await certDir.find(kind, name, 'csr')
  if (path === undefined || certificate === undefined) return undefined
  if (!readCsr(await readCertFile(path)).publicKey.equals(certificate.publicKey)) return undefined
  await certDir.remove(kind, name, 'csr')
  return path
}
