import {messageOf, RegistryError} from '../base/errors.ts'
import type {CertDir} from '../pki/cert-dir.ts'
import type {CertificateFacts, Purpose} from '../pki/certificate-facts.ts'
import type {Inspected} from '../pki/inspect.ts'
import type {KeyType} from '../pki/keys.ts'
import {dueMs, renew} from '../pki/renewal.ts'
import {localTime, table} from './render.ts'

/** A certificate at one time. */
interface Stand {
  readonly serial: string
  /** ISO 8601, UTC. */
  readonly notAfter: string
}

/** What became of one certificate under `--json`. */
export interface RenewalJson {
  readonly kind: Purpose
  readonly name: string
  /** `due`: it would be renewed, but for --dry-run. */
  readonly state: 'renewed' | 'due' | 'not due' | 'failed'
  /** When it is due, or was; ISO 8601, UTC. */
  readonly dueAt: string
  readonly before: Stand
  /** Null when it was not renewed. */
  readonly after: Stand | null
  readonly files: readonly string[]
  /** Why it failed. */
  readonly problem: string | null
}

/** How certificates are to be renewed. */
export interface RenewalWish {
  readonly nowMs: number
  readonly ttlMs: number | undefined
  readonly backdateMs: number | undefined
  readonly keyType: KeyType | undefined
  readonly keepKey: boolean
  /** Also what is not due. */
  readonly isForced: boolean
  readonly isDryRun: boolean
}

/** Renews a certificate if it is due; what goes wrong is part of the answer. */
export async function renewOne(
  certDir: CertDir,
  {kind, name, facts, verdict}: Inspected & {readonly kind: Purpose},
  wish: RenewalWish,
): Promise<RenewalJson> {
  const dueAtMs = dueMs(facts)
  const about = {kind, name, dueAt: iso(dueAtMs), before: standOf(facts), after: null, files: [], problem: null}
  const isDue = wish.isForced || wish.nowMs >= dueAtMs
  if (!isDue) return {...about, state: 'not due'}
  if (!verdict.ok && verdict.reason === 'revoked') {
    return {...about, state: 'failed', problem: `${verdict.detail}: make a new one with registry cert ${kind} --force`}
  }
  if (wish.isDryRun) return {...about, state: 'due'}
  try {
    const {isForced, isDryRun: _, ...order} = wish
    const renewed = await renew(certDir, {...order, purpose: kind, name, ifDue: !isForced})
    if (renewed === undefined) return {...about, state: 'not due'} // another process was faster
    return {...about, state: 'renewed', after: standOf(renewed.after), files: renewed.files}
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    return {...about, state: 'failed', problem: messageOf(error)}
  }
}

/** Lists what became of certificates, before and after. */
export function renewalTable(rows: readonly RenewalJson[]): string {
  return table(rows, [
    {header: 'kind', value: ({kind}) => kind},
    {header: 'name', value: ({name}) => name},
    {header: 'renewal', value: ({state}) => state},
    {header: 'valid until', value: ({before}) => localTime(Date.parse(before.notAfter))},
    {header: 'now until', value: ({after}) => (after === null ? '' : localTime(Date.parse(after.notAfter)))},
    {header: 'about', value: aboutText},
  ])
}

function aboutText({state, problem, dueAt, before, after}: RenewalJson): string {
  if (problem !== null) return problem
  if (after !== null) return `serial ${before.serial} -> ${after.serial}`
  return state === 'not due' ? `due ${localTime(Date.parse(dueAt))}` : 'would be renewed'
}

function standOf({serial, notAfterMs}: CertificateFacts): Stand {
  return {serial, notAfter: iso(notAfterMs)}
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString()
}
