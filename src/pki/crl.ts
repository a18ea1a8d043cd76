/** Revocation lists: the certificates that an authority says are not valid any more (RFC 5280, section 5). */
import type {KeyObject} from 'node:crypto'
import {Enumerated, Integer} from 'asn1js'
import {CertificateRevocationList, Extensions, RevokedCertificate} from 'pkijs'
import {RegistryError} from '../base/errors.ts'
import {asn1Time, readAsn1, readPlain, timeOf} from './asn1.ts'
import {badBytes} from './cert-files.ts'
import {extension, readName, type Signer} from './certificate.ts'
import {plainSerial} from './peer-certificate.ts'
import {decodePem, encodePem} from './pem.ts'
import {isSigned, signatureAlgorithm, signedDer} from './signature.ts'

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
  readonly content: RevokedCertificate
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
/** As much as is read in 2 seconds and half a gigabyte. */
const MAX_ENTRIES = 20_000
/** An entry of ours consists of seven; those of others may say more. */
const MAX_VALUES = MAX_ENTRIES * 12
const WHAT = 'the revocation list'
const CRL_REASON = '2.5.29.21'

/**
 * Reads a list in PEM form.
 *
 * @throws RegistryError `REG_CERT_INVALID` (`BadCertBytes`)
 */
export function parseCrl(pem: string): RevocationList {
  const [bytes] = decodePem(pem, 'X509 CRL')
  if (bytes === undefined) throw badBytes('there is no revocation list in PEM form')
  const list = readAsn1(bytes, CertificateRevocationList, WHAT, MAX_VALUES)
  const entries = (list.revokedCertificates ?? []).map(readEntry)
  return {
    madeMs: timeOf(list.thisUpdate, WHAT),
    nextMs: list.nextUpdate === undefined ? undefined : timeOf(list.nextUpdate, WHAT),
    revoked: new Map(entries.map((entry) => [entry.serial, entry])),
    isSignedBy: (publicKey) => isSigned(list, publicKey),
  }
}

/**
 * Makes a list in PEM form, valid as long as the peers' are.
 *
 * @throws RegistryError `REG_BAD_REQUEST` for more entries than `parseCrl` would read again
 */
export async function makeCrl(signer: Signer, entries: readonly RevokedEntry[], nowMs: number): Promise<string> {
  if (entries.length > MAX_ENTRIES) {
    throw new RegistryError('REG_BAD_REQUEST', `a revocation list has at most ${MAX_ENTRIES} entries`, {
      hints: ['make a new authority, and let the old one expire'],
    })
  }
  const content = new CertificateRevocationList({
    version: 1, // counted from 0
    signature: signatureAlgorithm(signer.key),
    issuer: readName(signer.subject),
    thisUpdate: asn1Time(nowMs),
    nextUpdate: asn1Time(nowMs + NEXT_UPDATE_MS),
    ...(entries.length === 0 ? {} : {revokedCertificates: entries.map((entry) => entry.content)}),
  })
  return encodePem('X509 CRL', await signedDer(content, signer.key))
}

/** Makes the entry of a certificate; its serial number is hex in any form. */
export function revokedEntry(serial: string, atMs: number, reason: RevocationReason): RevokedEntry {
  const plain = plainSerial(serial)
  const code = extension(CRL_REASON, new Enumerated({value: REASONS[reason]}))
  const content = new RevokedCertificate({
    userCertificate: Integer.fromBigInt(BigInt(`0x${plain}`)),
    revocationDate: asn1Time(atMs),
    crlEntryExtensions: new Extensions({extensions: [code]}),
  })
  return {serial: plain, atMs, reason, content}
}

function readEntry(content: RevokedCertificate): RevokedEntry {
  return {
    serial: plainSerial(Buffer.from(content.userCertificate.valueBlock.valueHexView).toString('hex')),
    atMs: timeOf(content.revocationDate, WHAT),
    reason: reasonIn(content),
    content,
  }
}

function reasonIn({crlEntryExtensions}: RevokedCertificate): string {
  const found = crlEntryExtensions?.extensions.find(({extnID}) => extnID === CRL_REASON)
  if (found === undefined) return 'unspecified'
  const code = readPlain(new Uint8Array(found.extnValue.getValue()), Enumerated, 'the reason of a revocation')
  const number = code.valueBlock.valueDec
  return REVOCATION_REASONS.find((reason) => REASONS[reason] === number) ?? `reason ${number}`
}
