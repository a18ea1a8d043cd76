import type {X509Certificate} from 'node:crypto'
import {formatDuration} from '../base/duration.ts'
import {type CertificateFacts, factsOf, type Purpose} from '../pki/certificate-facts.ts'
import type {Inspected, KeyState} from '../pki/inspect.ts'
import {keyText} from '../pki/keys.ts'
import {keyValues, localTime, table} from './render.ts'

/** A certificate under `--json`. */
export interface CertificateJson {
  readonly kind: Purpose | null
  readonly name: string
  readonly issuer: string
  /** Lower-case hex without leading zeros. */
  readonly serial: string
  /** ISO 8601, UTC. */
  readonly notBefore: string
  readonly notAfter: string
  /** SHA-256 of the DER form, lower-case hex: the `certhash` of URLs. */
  readonly certhash: string
  readonly key: string
  readonly alternativeNames: readonly string[]
  readonly path: string
}

/** A certificate of a directory under `--json`. */
export interface InspectedJson extends CertificateJson {
  readonly privateKey: KeyState
  /** From the certificate to its root, as far as it was followed. */
  readonly chain: readonly string[]
  readonly ok: boolean
  /** Why it is not; empty when it is. */
  readonly problems: readonly string[]
}

/** Gives the JSON form of a certificate. */
export function certificateJson(
  certificate: X509Certificate,
  {kind, path}: {readonly kind: Purpose; readonly path: string},
): CertificateJson {
  const facts = factsOf(certificate)
  const certhash = certificate.fingerprint256.replaceAll(':', '').toLowerCase()
  return {...factsJson(facts), kind, certhash, key: keyText(certificate.publicKey), path}
}

/** Gives the JSON form of what was inspected; problems are those of `problemsOf`. */
export function inspectedJson(one: Inspected, problems: readonly string[]): InspectedJson {
  return {
    ...factsJson(one.facts),
    kind: one.kind ?? null,
    name: one.name,
    certhash: one.fingerprint,
    key: one.keyText,
    path: one.path,
    privateKey: one.key,
    chain: one.verdict.chain,
    ok: problems.length === 0,
    problems,
  }
}

/** What is wrong with a certificate. One that ends within `withinMs` of now counts as wrong. */
export function problemsOf({facts, key, verdict}: Inspected, nowMs: number, withinMs: number): readonly string[] {
  const leftMs = facts.notAfterMs - nowMs
  const isEnding = verdict.ok && leftMs < withinMs
  return [
    ...(verdict.ok ? [] : [`${verdict.reason}: ${verdict.detail}`]),
    ...(isEnding ? [`expires in ${formatDuration(leftMs)}`] : []),
    ...(key === 'exposed' ? ['others may read its private key: chmod 600'] : []),
    ...(key === 'other' ? ['the private key beside it is that of another certificate'] : []),
    ...(key === 'unusable' ? ['the private key beside it cannot be used'] : []),
  ]
}

/** Says what was made and where it is. */
export function issuedText({certificate, files}: {certificate: CertificateJson; files: readonly string[]}): string {
  const {name, issuer, notAfter, certhash} = certificate
  return keyValues([
    ...files.map((path) => [path.endsWith('.key') ? 'key saved' : 'certificate saved', path] as const),
    ['name', name],
    ['issuer', issuer],
    ['valid until', localTime(Date.parse(notAfter))],
    ['certhash', certhash],
  ])
}

/** Shows one certificate in full. */
export function inspectedText(one: InspectedJson): string {
  return keyValues([
    ['name', one.name],
    ['kind', one.kind ?? 'unknown'],
    ['issuer', one.issuer],
    ['serial', one.serial],
    ['valid from', localTime(Date.parse(one.notBefore))],
    ['valid until', localTime(Date.parse(one.notAfter))],
    ['names', one.alternativeNames.length === 0 ? undefined : one.alternativeNames.join('\n')],
    ['public key', one.key],
    ['private key', KEY_TEXTS[one.privateKey]],
    ['certhash', one.certhash],
    ['chain', one.chain.join(' < ')],
    ['file', one.path],
    ['valid', one.ok ? 'yes' : one.problems.join('\n')],
  ])
}

const KEY_TEXTS: Readonly<Record<KeyState, string>> = {
  private: 'here',
  exposed: 'here, and others may read it',
  other: 'that of another certificate',
  unusable: 'here, but it cannot be used',
  missing: 'not here',
}

/** Lists certificates, one line each. */
export function inspectedTable(rows: readonly InspectedJson[], nowMs: number): string {
  return table(rows, [
    {header: 'kind', value: ({kind}) => kind ?? ''},
    {header: 'name', value: ({name}) => name},
    {header: 'issuer', value: ({issuer}) => issuer},
    {header: 'ends in', value: ({notAfter}) => formatDuration(Date.parse(notAfter) - nowMs), align: 'right'},
    {header: 'key', value: ({privateKey}) => (privateKey === 'missing' ? 'no' : 'yes')},
    {header: 'valid', value: ({ok, problems}) => (ok ? 'yes' : problems.join('; '))},
  ])
}

function factsJson(facts: CertificateFacts): Omit<CertificateJson, 'kind' | 'certhash' | 'key' | 'path'> {
  return {
    name: facts.name,
    issuer: facts.issuer,
    serial: facts.serial,
    notBefore: new Date(facts.notBeforeMs).toISOString(),
    notAfter: new Date(facts.notAfterMs).toISOString(),
    alternativeNames: facts.alternativeNames.map(({kind, value}) => `${kind}:${value}`),
  }
}
