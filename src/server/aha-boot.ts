/** What an AHA needs before it can listen: the authority of its network, and certificates of its own. */
import type {KeyObject, X509Certificate} from 'node:crypto'
import type {Log} from '../base/log.ts'
import {type Authority, loadAuthority} from '../pki/authority.ts'
import type {CertDir} from '../pki/cert-dir.ts'
import {newPrivateKey, privateKeyPem} from '../pki/keys.ts'
import {encodePem} from '../pki/pem.ts'
import type {OwnCertificate} from './aha-report.ts'

export interface AhaBootPorts {
  readonly certs: CertDir
  readonly log: Pick<Log, 'info'>
  readonly nowMs: number
}

export interface AhaNames {
  /** `aha:network` */
  readonly network: string
  /** `dns:name` */
  readonly dnsName: string
  /** `aha:admin` */
  readonly admin: string | undefined
}

interface Wanted {
  readonly purpose: 'host' | 'user'
  readonly name: string
}

/**
 * Makes what is not there yet: the authority of the network, the certificate of this host, and those of `root@NETWORK` and of the administrator.
 * What is there stays, whoever made it. The keys are made at the same time, since they take longest; each key is written before its certificate,
 * so that a start that was cut off is taken up by the next one.
 *
 * @throws RegistryError `REG_CERT_MISSING` for an authority without its key; `REG_CERT_INVALID`; `REG_DIR_UNUSABLE`
 */
export async function bootAha(ports: AhaBootPorts, names: AhaNames): Promise<Authority> {
  const {certs} = ports
  const {network} = names
  const wanted = wantedBy(names)
  const missing: Wanted[] = []
  for (const one of wanted) {
    if ((await certs.find(one.purpose, one.name, 'crt')) === undefined) missing.push(one)
  }
  const hasAuthority = (await certs.find('ca', network, 'crt')) !== undefined
  const [authorityKey, ...keys] = await Promise.all([
    hasAuthority ? undefined : newPrivateKey('rsa4096'),
    ...missing.map(() => newPrivateKey('rsa2048')),
  ])
  if (authorityKey !== undefined) {
    const certificate = await selfSigned(network, authorityKey, ports.nowMs)
    await saveMade(ports, 'ca', network, authorityKey, certificate)
  }
  const authority = await loadAuthority(certs, network)
  for (const [index, one] of missing.entries()) await make(ports, one, keys[index] as KeyObject, authority)
  return authority
}

function wantedBy({network, dnsName, admin}: AhaNames): readonly Wanted[] {
  const users = new Set([`root@${network}`, ...(admin === undefined ? [] : [admin])])
  return [{purpose: 'host', name: dnsName}, ...Array.from(users, (name) => ({purpose: 'user', name}) as const)]
}

/** Names the certificates that the AHA has for itself, its authority first. */
export function ownCertificates(names: AhaNames): readonly OwnCertificate[] {
  return [{purpose: 'ca', name: names.network}, ...wantedBy(names)]
}

/** Makes the certificate of an authority, signed by itself. Writes nothing. */
export async function selfSigned(network: string, key: KeyObject, nowMs: number): Promise<X509Certificate> {
  const {commonName} = await import('../pki/certificate.ts')
  const {DEFAULT_TTL_MS, signFor} = await import('../pki/issuer.ts')
  const wish = {purpose: 'ca', name: network, nowMs, ttlMs: DEFAULT_TTL_MS} as const
  return await signFor(wish, key, {subject: commonName(network), key})
}

async function make(ports: AhaBootPorts, wanted: Wanted, key: KeyObject, authority: Authority): Promise<void> {
  const {purpose, name} = wanted
  const {DEFAULT_TTL_MS, signerOf, signFor} = await import('../pki/issuer.ts')
  const wish = {purpose, name, nowMs: ports.nowMs, ttlMs: DEFAULT_TTL_MS}
  const certificate = await signFor(wish, key, signerOf(authority))
  await saveMade(ports, purpose, name, key, certificate)
}

/** Writes a key and its certificate, in that order. Throws as `CertDir.create`. */
export async function saveMade(
  {certs, log}: Pick<AhaBootPorts, 'certs' | 'log'>,
  kind: 'ca' | 'host' | 'user',
  name: string,
  key: KeyObject,
  certificate: X509Certificate,
): Promise<void> {
  await certs.replace(kind, name, 'key', privateKeyPem(key)) // a key without a certificate is left of a start that was cut off
  await certs.create(kind, name, 'crt', encodePem('CERTIFICATE', certificate.raw))
  log.info('certificate.made', {kind, name, serial: certificate.serialNumber.toLowerCase()})
}
