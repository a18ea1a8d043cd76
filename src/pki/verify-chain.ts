/**
 * Whether a certificate is to be trusted, and if not, why. Signatures are verified by node:crypto; the rules are those of RFC 5280 that the
 * peers apply as well: an unbroken chain to an authority that signed itself and is among the known ones, every link valid at the time, every
 * signer one that may sign, none revoked.
 */
import type {X509Certificate} from 'node:crypto'
import {type CertificateFacts, factsOf, type Purpose, USE_IDS} from './certificate-facts.ts'
import type {RevocationList} from './crl.ts'

/** Why a certificate is refused. */
type Refusal =
  | 'expired'
  | 'not yet valid'
  | 'unknown authority'
  | 'wrong purpose'
  | 'revoked'
  | 'bad signature'
  | 'not an authority'
  | 'too many links'

/** The judgement, with the names of the chain from the certificate to its root, as far as it was followed. */
export type Verdict = {readonly chain: readonly string[]} & (
  | {readonly ok: true}
  | {readonly ok: false; readonly reason: Refusal; readonly detail: string}
)

/** What a certificate is judged by. */
export interface Trust {
  /** All known authorities, the intermediate ones as well. */
  readonly cas: readonly X509Certificate[]
  /** An authority without a list has revoked nothing. Lists that no known authority signed do not count. */
  readonly crls: readonly RevocationList[]
  /** What the certificate is to be used for; undefined does not ask. */
  readonly purpose: Purpose | undefined
  readonly atMs: number
}

const MAX_LINKS = 8 // as the peers have it

/**
 * Judges a certificate. Throws only for one that cannot be read.
 *
 * @throws RegistryError `REG_CERT_INVALID` (`BadCertBytes`)
 */
export function verifyChain(leaf: X509Certificate, trust: Trust): Verdict {
  const chain: string[] = []
  let link: Link = {certificate: leaf, facts: factsOf(leaf)}
  const unfit = purposeRefusal(link.facts, trust.purpose)
  for (let depth = 0; ; depth++) {
    chain.push(link.facts.name)
    const refusal = unfit ?? timeRefusal(link.facts, trust.atMs) ?? (depth > MAX_LINKS ? tooLong() : undefined)
    if (refusal !== undefined) return {ok: false, chain, ...refusal}
    if (isRoot(link.certificate, trust)) return {ok: true, chain}
    const step = signerOf(link, depth, trust)
    if ('reason' in step) return {ok: false, chain, ...step}
    link = step
  }
}

interface Link {
  readonly certificate: X509Certificate
  readonly facts: CertificateFacts
}

interface Refused {
  readonly reason: Refusal
  readonly detail: string
}

/** Finds who signed a certificate that stands `depth` links above the one that is judged. */
function signerOf({certificate, facts}: Link, depth: number, trust: Trust): Link | Refused {
  const {name, issuer, serial} = facts
  const named = trust.cas.filter((ca) => certificate.issuer === ca.subject && !certificate.raw.equals(ca.raw))
  if (named.length === 0) return refused('unknown authority', `${name} is of ${issuer}, which is not known here`)
  const signers = named.filter((ca) => certificate.verify(ca.publicKey))
  if (signers.length === 0) {
    return refused('bad signature', `${name} says it is of ${issuer}, but the known ${issuer} has not signed it`)
  }
  const links = signers.map((ca) => ({certificate: ca, facts: factsOf(ca)}))
  // An authority that was renewed is there twice: the one that is valid counts.
  const signer = links.find((one) => timeRefusal(one.facts, trust.atMs) === undefined) ?? links[0]
  if (signer === undefined || !maySign(signer.facts)) {
    return refused('not an authority', `${name} is signed by ${issuer}, which may not sign certificates`)
  }
  const {pathLength} = signer.facts
  if (pathLength !== undefined && depth > pathLength) return tooLong()
  const entry = trust.crls
    .filter((crl) => crl.revoked.has(serial) && crl.isSignedBy(signer.certificate.publicKey))
    .map((crl) => crl.revoked.get(serial))[0]
  if (entry === undefined) return signer
  return refused('revoked', `${name} was revoked by ${issuer} at ${iso(entry.atMs)} (${entry.reason})`)
}

function isRoot(certificate: X509Certificate, {cas}: Trust): boolean {
  const isKnown = cas.some((ca) => ca.raw.equals(certificate.raw))
  return isKnown && certificate.issuer === certificate.subject && certificate.verify(certificate.publicKey)
}

function maySign({isCa, mayDo}: CertificateFacts): boolean {
  return isCa && mayDo?.signCertificates !== false
}

function timeRefusal({name, notBeforeMs, notAfterMs}: CertificateFacts, atMs: number): Refused | undefined {
  if (atMs < notBeforeMs) return refused('not yet valid', `${name} is valid from ${iso(notBeforeMs)} on`)
  if (atMs > notAfterMs) return refused('expired', `${name} expired at ${iso(notAfterMs)}`)
  return undefined
}

function purposeRefusal(
  {name, isCa, uses, mayDo}: CertificateFacts,
  purpose: Purpose | undefined,
): Refused | undefined {
  if (purpose === undefined) return undefined
  if (purpose === 'ca') return isCa ? undefined : refused('wrong purpose', `${name} is no authority`)
  if (isCa) return refused('wrong purpose', `${name} is an authority, not a ${purpose}`)
  // Code has to be signed with a certificate that is for nothing else; the peers ask the same.
  const id = USE_IDS[purpose]
  const fits = purpose === 'code' ? uses?.length === 1 && uses[0] === id : (uses?.includes(id) ?? true)
  if (fits && mayDo?.signature !== false) return undefined
  return refused('wrong purpose', `${name} is not for use as ${purpose} certificate`)
}

function tooLong(): Refused {
  return refused('too many links', 'the chain to the authority is longer than is allowed')
}

function refused(reason: Refusal, detail: string): Refused {
  return {reason, detail}
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString()
}
