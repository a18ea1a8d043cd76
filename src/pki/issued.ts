/** Whether what an authority answered to a request is what was asked for: nothing of it is used before. */
import type {KeyObject, X509Certificate} from 'node:crypto'
import {RegistryError} from '../base/errors.ts'
import {parseCertificate} from './cert-files.ts'
import {certificatePem} from './certificate.ts'
import {factsOf, type Purpose} from './certificate-facts.ts'
import {checkPublicKey} from './keys.ts'
import {verifyChain} from './verify-chain.ts'

/** What was asked of an authority. */
export interface Wanted {
  readonly purpose: Exclude<Purpose, 'ca'>
  /** Common name. */
  readonly name: string
  /** Private key whose public part was in the request. */
  readonly key: KeyObject
}

/**
 * Checks the certificate of an authority that is to be trusted from now on, and gives it as a file has it: it signed itself, is an authority, is
 * named as it should be and has not expired.
 *
 * @throws RegistryError `REG_CERT_INVALID` naming what is wrong
 */
export function checkAuthority(pem: string, network: string, nowMs: number): string {
  const certificate = parseCertificate(pem, `the certificate of the authority ${network}`)
  checkPublicKey(certificate.publicKey)
  const {name} = factsOf(certificate)
  if (name !== network) throw wrong(`the authority is named ${shown(name)}, and not ${network} as its network`)
  checkChain(certificate, certificate, 'ca', nowMs)
  return certificatePem(certificate)
}

/**
 * Checks a certificate that was asked for, and gives it as a file has it: for this name, key and use, signed by this authority, not expired.
 *
 * @throws RegistryError `REG_CERT_INVALID` naming what is wrong
 */
export function checkIssued(pem: string, {purpose, name, key}: Wanted, authorityPem: string, nowMs: number): string {
  const certificate = parseCertificate(pem, `the answer to the request for ${name}`)
  const got = factsOf(certificate).name
  if (got !== name) throw wrong(`the certificate is for ${shown(got)}, and ${name} was asked for`)
  if (!certificate.checkPrivateKey(key)) throw wrong(`the certificate for ${name} is for another key`)
  checkChain(certificate, parseCertificate(authorityPem, 'the authority'), purpose, nowMs)
  return certificatePem(certificate)
}

/** Clocks differ, and the peers do not date back: what begins to be valid only now does so by the clock of who signed it. */
function checkChain(leaf: X509Certificate, authority: X509Certificate, purpose: Purpose, nowMs: number): void {
  const atMs = Math.max(nowMs, leaf.validFromDate.getTime(), authority.validFromDate.getTime())
  const verdict = verifyChain(leaf, {cas: [authority], crls: [], purpose, atMs})
  if (!verdict.ok) throw wrong(verdict.detail)
}

function wrong(what: string): RegistryError {
  return new RegistryError('REG_CERT_INVALID', `what came back is not what was asked for: ${what}`, {
    hints: ['ask the administrator of the AHA for a new one-time URL', 'look at the log of the AHA'],
  })
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 80))
}
