import {formatDuration} from '../base/duration.ts'

/** How well a cell or a part of it does. `degraded` still answers; `failed` does not do its work. */
type HealthStatus = 'nominal' | 'degraded' | 'failed'

/** A part of the cell, in the shape that the peers' tools read. */
interface HealthComponent {
  readonly name: string
  readonly status: HealthStatus
  /** For people; empty when there is nothing to say. */
  readonly mesg: string
  readonly data: Readonly<Record<string, string | number | boolean | null>>
}

/** The answer to a health check. */
export interface HealthReport {
  readonly iden: string
  readonly components: readonly HealthComponent[]
  /** The worst of the components. */
  readonly status: HealthStatus
}

const RANK = {nominal: 0, degraded: 1, failed: 2} as const satisfies Record<HealthStatus, number>

interface ShownCertificate {
  readonly listener: string
  /** When it is valid; milliseconds since the epoch. */
  readonly beginsAtMs: number
  readonly expiresAtMs: number
}

/** How a part of the cell does. */
export type ComponentHealth = Pick<HealthComponent, 'status' | 'mesg' | 'data'>
/** How a member of a cell does that leads or follows others. */
export type MirroringHealth = ComponentHealth

/** How it stands with the backups of a cell. */
export interface BackupHealth {
  /** The last one: `kept` where backups go, `streamed` to somebody else, or `followed`, by who archives the change log. Absent: none. */
  readonly last: {readonly how: 'kept' | 'streamed' | 'followed'; readonly atMs: number} | undefined
  /** Age from which on something is wrong; null: none. */
  readonly maxAgeMs: number | null
  /** What a drill found out last, of which backup. */
  readonly proof: {readonly name: string; readonly result: string; readonly atMs: number} | undefined
}

/** What the report is made of; each is asked anew. */
export interface HealthSources {
  /** Why and since when the store refuses changes. */
  readonly trouble: () => {readonly sinceMs: number; readonly reason: string} | undefined
  /** Why changes are refused although the store would take them, by who wants it so. */
  readonly holds: () => ReadonlyMap<string, string>
  /** How long changes have still to wait, as a snapshot of the volume is taken. */
  readonly frozen: () => {readonly restMs: number} | undefined
  /** Percent of the disk that is free, and how much must be; undefined when it is not watched. */
  readonly disk: () => {readonly freePercent: number; readonly minPercent: number} | undefined
  /** The certificates that the listeners show. */
  readonly certificates: () => readonly ShownCertificate[]
  readonly nowMs: () => number
  /** Number of services: in all, and of those that were not renewed in time. */
  readonly services: () => {readonly all: number; readonly critical: number}
  /** Under which name this service registers at an AHA, and why it is not registered; undefined when it does not. */
  readonly membership: () => {readonly name: string; readonly problem: string | undefined} | undefined
  /** How it does as a leader or a mirror; undefined when it is the only member of its cell. */
  readonly mirroring: () => MirroringHealth | undefined
  /** How those do who archive the change log; undefined when nobody does. */
  readonly archivers: () => ComponentHealth | undefined
  /** Undefined when there was no backup, and none is asked for. */
  readonly backup: () => BackupHealth | undefined
  /** The version that runs, and the one that was installed in its place, or null for none; undefined when it is the same. */
  readonly replaced: () => {readonly version: string; readonly installed: string | null} | undefined
}

/**
 * Says how the cell does. Unlike the peers, which answer nominal whatever happens to their storage, it tells of a store that fails, of
 * changes that are refused, and of a disk that runs full. Reads go on in all of these: they degrade, they do not fail.
 */
export function healthReport(iden: string, sources: HealthSources): HealthReport {
  const components = [
    storeHealth(sources),
    changesHealth(sources),
    ...diskHealth(sources),
    ...certificateHealth(sources),
    servicesHealth(sources),
    ...membershipHealth(sources),
    ...mirroringHealth(sources),
    ...archiversHealth(sources),
    ...backupHealth(sources),
    ...softwareHealth(sources),
  ]
  const worst = components.reduce((worst, {status}) => (RANK[status] > RANK[worst] ? status : worst), NOMINAL)
  return {iden, components, status: worst}
}

const NOMINAL: HealthStatus = 'nominal'

function storeHealth({trouble}: HealthSources): HealthComponent {
  const found = trouble()
  if (found === undefined) return {name: 'store', status: 'nominal', mesg: '', data: {}}
  const mesg = `changes are refused: ${found.reason}`
  return {name: 'store', status: 'degraded', mesg, data: {since: found.sinceMs}}
}

function changesHealth({holds, frozen}: HealthSources): HealthComponent {
  const freeze = frozen()
  if (freeze !== undefined) {
    const restS = Math.ceil(freeze.restMs / 1000)
    const mesg = `frozen for ${restS} s more: changes wait`
    return {name: 'changes', status: 'degraded', mesg, data: {readonly: false, frozen: restS}}
  }
  const reasons = [...holds().values()]
  if (reasons.length === 0) return {name: 'changes', status: 'nominal', mesg: '', data: {readonly: false}}
  return {name: 'changes', status: 'degraded', mesg: `read-only: ${reasons.join('; ')}`, data: {readonly: true}}
}

function diskHealth({disk}: HealthSources): readonly HealthComponent[] {
  const found = disk()
  if (found === undefined) return []
  const {freePercent, minPercent} = found
  const isLow = freePercent <= minPercent
  const mesg = isLow ? `${freePercent.toFixed(2)} percent of the disk are free, ${minPercent} must be` : ''
  return [{name: 'disk', status: isLow ? 'degraded' : 'nominal', mesg, data: {free: freePercent, limit: minPercent}}]
}

const DAY_MS = 86_400_000
/** A certificate that ends sooner is told of: time enough to renew it. */
const EXPIRES_SOON_MS = 7 * DAY_MS
/** One with a short life is told of in this last part of it: by then it should have been renewed, as it is due at two thirds. */
const LAST_PART = 1 / 6

function certificateHealth({certificates, nowMs}: HealthSources): readonly HealthComponent[] {
  const known = certificates()
  if (known.length === 0) return []
  const soon = known.filter((one) => one.expiresAtMs - nowMs() < soonMs(one))
  const mesg = soon.map((one) => expiryText(one, nowMs())).join('; ')
  const data = Object.fromEntries(known.map(({listener, expiresAtMs}) => [listener, expiresAtMs]))
  return [{name: 'certificates', status: soon.length === 0 ? 'nominal' : 'degraded', mesg, data}]
}

function soonMs({beginsAtMs, expiresAtMs}: ShownCertificate): number {
  return Math.min(EXPIRES_SOON_MS, (expiresAtMs - beginsAtMs) * LAST_PART)
}

function expiryText({listener, expiresAtMs}: ShownCertificate, nowMs: number): string {
  const leftMs = expiresAtMs - nowMs
  const at = new Date(expiresAtMs).toISOString()
  if (leftMs <= 0) return `that of ${listener} expired at ${at}`
  return `that of ${listener} expires in ${Math.floor(leftMs / DAY_MS)} days, at ${at}`
}

function servicesHealth({services}: HealthSources): HealthComponent {
  const {all, critical} = services()
  return {name: 'services', status: 'nominal', mesg: '', data: {count: all, critical}}
}

/** Who is not registered is not found by name; all else goes on. */
function membershipHealth({membership}: HealthSources): readonly HealthComponent[] {
  const found = membership()
  if (found === undefined) return []
  const {name, problem} = found
  const status = problem === undefined ? 'nominal' : 'degraded'
  const mesg = problem === undefined ? '' : `${name} is not registered: ${problem}`
  return [{name: 'aha', status, mesg, data: {name, registered: problem === undefined}}]
}

function mirroringHealth({mirroring}: HealthSources): readonly HealthComponent[] {
  const found = mirroring()
  return found === undefined ? [] : [{name: 'mirroring', ...found}]
}

function archiversHealth({archivers}: HealthSources): readonly HealthComponent[] {
  const found = archivers()
  return found === undefined ? [] : [{name: 'archivers', ...found}]
}

function backupHealth({backup, nowMs}: HealthSources): readonly HealthComponent[] {
  const found = backup()
  if (found === undefined) return []
  const {last, maxAgeMs, proof} = found
  const ageMs = last === undefined ? undefined : Math.max(0, nowMs() - last.atMs)
  const problems = [...ageProblems(ageMs, maxAgeMs), ...proofProblems(proof)]
  const data = {
    last: last?.atMs ?? null,
    how: last?.how ?? null,
    age: ageMs ?? null,
    maxage: maxAgeMs,
    proof: proof?.result ?? null,
    proofof: proof?.name ?? null,
    proofat: proof?.atMs ?? null,
  }
  return [{name: 'backup', status: problems.length === 0 ? 'nominal' : 'degraded', mesg: problems.join('; '), data}]
}

function ageProblems(ageMs: number | undefined, maxAgeMs: number | null): readonly string[] {
  if (maxAgeMs === null) return []
  const limit = formatDuration(maxAgeMs)
  if (ageMs === undefined) return [`there is no backup, and backup:max:age is ${limit}`]
  return ageMs <= maxAgeMs ? [] : [`the last backup is ${formatDuration(ageMs)} old, and backup:max:age is ${limit}`]
}

function proofProblems(proof: BackupHealth['proof']): readonly string[] {
  return proof?.result === 'failed' ? [`the drill of the backup ${proof.name} failed`] : []
}

/** What was loaded goes on; what is loaded when it is first needed, a backup for one, is not there any more. */
function softwareHealth({replaced}: HealthSources): readonly HealthComponent[] {
  const found = replaced()
  if (found === undefined) return []
  const {version, installed} = found
  const what = installed === null ? 'was removed' : `was replaced by ${installed}`
  const mesg = `${version} runs, and ${what}: restart it, not all of it works any more`
  return [{name: 'software', status: 'degraded', mesg, data: {version, installed}}]
}
