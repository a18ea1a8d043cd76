/** Revocation lists: the certificates that an authority says are not valid any more (RFC 5280, section 5). */
import type {KeyObject} from 'node:crypto'
import {badBytes} from './cert-files.ts'
import {extension, type Signer} from './certificate.ts'
import {bodyOf, childrenOf, type Der, der, integer, readDer, readOid, readTime, sequence, TAG, time} from './der.ts'
import {isSigned, signatureAlgorithm, signedDer} from './keys.ts'
import {plainSerial} from './peer-certificate.ts'
import {decodePem, encodePem} from './pem.ts'

/** Reasons for a revocation, with their numbers in a list. */
const REASONS = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  privilegeWithdrawn: 9,
} as const
export type RevocationReason = keyof typeof REASONS
export const REVOCATION_REASONS = Object.keys(REASONS) as readonly RevocationReason[]

/** One revoked certificate. */
export interface RevokedEntry {
  /** Lower-case hex without leading zeros. */
  readonly serial: string
  readonly atMs: number
  readonly reason: string
  /** As it stands in the list. */
  readonly whole: Buffer
}

/** A list as it was read. Its signature is still to be checked. */
export interface RevocationList {
  readonly madeMs: number
  /** When the next one was to be there; a list is honoured after that as well. */
  readonly nextMs: number | undefined
  /** By serial number. */
  readonly revoked: ReadonlyMap<string, RevokedEntry>
  /** Tells whether the key of an authority made it. */
  isSignedBy(publicKey: KeyObject): boolean
}

/** As the peers have it: no sooner than the certificates of an authority end. */
const NEXT_UPDATE_MS = 3650 * 86_400_000
const MAX_ENTRIES = 200_000
const CRL_REASON = '2.5.29.21'
const ENUMERATED = 0x0a

/**
 * Reads a list in PEM form.
 *
 * @throws RegistryError `REG_CERT_INVALID` (`BadCertBytes`)
 */
export function parseCrl(pem: string): RevocationList {
  const [bytes] = decodePem(pem, 'X509 CRL')
  if (bytes === undefined) throw badBytes('there is no revocation list in PEM form')
  const parts = childrenOf(readDer(bytes), TAG.sequence)
  const {madeMs, nextMs, entries} = readBody(parts[0])
  return {
    madeMs,
    nextMs,
    revoked: new Map(entries.map((entry) => [entry.serial, entry])),
    isSignedBy: (publicKey) => isSigned(parts, publicKey),
  }
}

/** Makes a list in PEM form, valid as long as the peers' are. */
export async function makeCrl(signer: Signer, entries: readonly RevokedEntry[], nowMs: number): Promise<string> {
  const body = sequence(
    integer(1),
    signatureAlgorithm(signer.key),
    signer.subject,
    time(nowMs),
    time(nowMs + NEXT_UPDATE_MS),
    ...(entries.length === 0 ? [] : [sequence(...entries.map(({whole}) => whole))]),
  )
  return encodePem('X509 CRL', await signedDer(body, signer.key))
}

/** Makes the entry of a certificate; its serial number is hex in any form. */
export function revokedEntry(serial: string, atMs: number, reason: RevocationReason): RevokedEntry {
  const plain = plainSerial(serial)
  const bytes = Buffer.from(plain.length % 2 === 0 ? plain : `0${plain}`, 'hex')
  const code = extension(CRL_REASON, der(ENUMERATED, Buffer.of(REASONS[reason])))
  return {serial: plain, atMs, reason, whole: sequence(integer(bytes), time(atMs), sequence(code))}
}

/** Version (optional), algorithm, issuer, time, next time (optional), entries (optional), extensions (optional). */
function readBody(body: Der | undefined): {madeMs: number; nextMs: number | undefined; entries: RevokedEntry[]} {
  const fields = [...childrenOf(body, TAG.sequence)]
  if (fields[0]?.tag === TAG.integer) fields.shift()
  const [, , made, ...rest] = fields
  const next = isTime(rest[0]) ? rest.shift() : undefined
  const [list] = rest
  const entries = list?.tag === TAG.sequence ? childrenOf(list, TAG.sequence, MAX_ENTRIES) : []
  return {
    madeMs: readTime(made),
    nextMs: next === undefined ? undefined : readTime(next),
    entries: entries.map(readEntry),
  }
}

function readEntry(entry: Der): RevokedEntry {
  const [serial, at, extensions] = childrenOf(entry, TAG.sequence)
  return {
    serial: plainSerial(bodyOf(serial, TAG.integer).toString('hex')),
    atMs: readTime(at),
    reason: extensions === undefined ? 'unspecified' : reasonIn(extensions),
    whole: entry.whole,
  }
}

function reasonIn(extensions: Der): string {
  for (const one of childrenOf(extensions, TAG.sequence)) {
    const [id, ...rest] = childrenOf(one, TAG.sequence)
    if (readOid(id) !== CRL_REASON) continue
    const [code] = bodyOf(readDer(bodyOf(rest.at(-1), TAG.octetString)), ENUMERATED)
    return REVOCATION_REASONS.find((reason) => REASONS[reason] === code) ?? `reason ${code}`
  }
  return 'unspecified'
}

function isTime(value: Der | undefined): boolean {
  return value?.tag === TAG.utcTime || value?.tag === TAG.generalizedTime
}
