import type {X509Certificate} from 'node:crypto'
import type {CertDir} from './cert-dir.ts'
import {parseCertificate, readCertFile} from './cert-files.ts'
import {parseCrl, type RevocationList} from './crl.ts'
import {decodePem} from './pem.ts'

/** An authority of a directory. */
export interface KnownAuthority {
  /** Of its files. */
  readonly name: string
  readonly certificate: X509Certificate
}

/** Reads all authorities. Throws as `CertDir.certificate`. */
export async function readAuthorities(certDir: CertDir): Promise<readonly KnownAuthority[]> {
  const files = await certDir.list('ca', 'crt')
  const read = files.map(async ({name, path}) =>
    decodePem(await readCertFile(path), 'CERTIFICATE').map((bytes) => ({
      name,
      certificate: parseCertificate(bytes, path),
    })),
  )
  return (await Promise.all(read)).flat()
}

/** Reads all revocation lists; whose they are is still to be checked. Throws as `parseCrl`. */
export async function readCrls(certDir: CertDir): Promise<readonly RevocationList[]> {
  const files = await certDir.list('crl', 'crl')
  return await Promise.all(files.map(async ({path}) => parseCrl(await readCertFile(path))))
}

/**
 * Finds the authority that has signed a certificate, under a name that has its key, if it is there under several. Undefined when it is not in
 * the directory, or the certificate signed itself.
 */
export async function authorityOf(certDir: CertDir, certificate: X509Certificate): Promise<KnownAuthority | undefined> {
  const keys = new Set((await certDir.list('ca', 'key')).map(({name}) => name))
  const signers = (await readAuthorities(certDir)).filter(
    (ca) =>
      ca.certificate.subject === certificate.issuer &&
      !ca.certificate.raw.equals(certificate.raw) &&
      certificate.verify(ca.certificate.publicKey),
  )
  return signers.find(({name}) => keys.has(name)) ?? signers[0]
}

const MAX_LINKS = 8

/** Gives the authorities above a certificate, the nearest first, as far as they are in the directory. */
export async function authoritiesAbove(certDir: CertDir, leaf: X509Certificate): Promise<readonly X509Certificate[]> {
  const above: X509Certificate[] = []
  for (let next = await authorityOf(certDir, leaf); next !== undefined && above.length < MAX_LINKS; ) {
    above.push(next.certificate)
    next = await authorityOf(certDir, next.certificate)
  }
  return above
}
