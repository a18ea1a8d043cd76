import {setTimeout} from 'node:timers/promises'
import {systemClock} from '../base/clock.ts'
import {formatDuration} from '../base/duration.ts'
import {RegistryError} from '../base/errors.ts'
import type {ServerFacts} from '../client/answers.ts'
import type {RegistryClient} from '../client/registry-client.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'
import {ahaPairs} from './aha-status.ts'
import {reportOf} from './error-report.ts'
import {groupText} from './group-report.ts'
import {logCheckText} from './log-check.ts'
import {networkCounts, networkText} from './network-report.ts'
import {keyValues, localTime} from './render.ts'
import type {CellFacts, RegistryStatus, StatusArchiver} from './status-report.ts'

/** Asks a registry how it is. Throws as the client's calls do. */
export async function readStatus(client: RegistryClient): Promise<RegistryStatus> {
  const info = await client.info({services: false})
  const {status, ports, uniqueTypes, server, services = []} = info
  return {
    url: client.url,
    status,
    ...(server === undefined ? {software: 'cgse'} : factsOf(server)),
    ports,
    ...(uniqueTypes === undefined ? {} : {uniqueTypes}),
    counts: server?.counts ?? {
      services: services.length,
      critical: services.filter(({health}) => health === 'critical').length,
    },
  }
}

/** How a status is asked for again and again. */
export interface StatusWatch {
  readonly look: () => Promise<RegistryStatus>
  /** Gives what is to be shown of one that was reached and refuses; undefined when it does not. */
  readonly refused: (error: RegistryError) => Promise<RegistryStatus | undefined>
  readonly intervalMs: number
  readonly signal: AbortSignal
}

/** A registry refuses who fails to log in more often than each 3 s, and everybody else at his address with him. */
const REFUSED_MS = 5000

/** Asks again and again; a registry that is away, or refuses, is in a state like another. Ends by throwing what `signal` aborts with. */
export async function* watchStatus(url: string, watch: StatusWatch): AsyncGenerator<RegistryStatus, undefined> {
  const {intervalMs, signal} = watch
  for (;;) {
    const status = await lookOnce(url, watch)
    yield status
    const pauseMs = status.status === 'refused' ? Math.max(intervalMs, REFUSED_MS) : intervalMs
    await setTimeout(pauseMs, undefined, {signal}).catch(() => {
      throw signal.reason
    })
  }
}

async function lookOnce(url: string, {look, refused, signal}: StatusWatch): Promise<RegistryStatus> {
  try {
    return await look()
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (!(error instanceof RegistryError)) throw error
    return (await refused(error)) ?? {url: sanitizeUrl(url), status: 'away', error: reportOf(error)}
  }
}

/** Tells a person how a registry is. */
export function statusText(status: RegistryStatus): string {
  const {ports, store, counts, startedAt, uptimeS, cell, group, network} = status
  const pairs = keyValues([
    [isOurs(status) ? 'registry' : 'cell', status.url],
    ['status', status.error === undefined ? status.status : `${status.status}: ${status.error.message}`],
    ...nextPairs(status),
    ['problem', store?.problem],
    ['since', store?.problemSince === undefined ? undefined : localTime(Date.parse(store.problemSince))],
    ...healthPairs(status),
    ...(status.group?.problems ?? []).map((problem) => ['  mirrors', problem] as const),
    ['version', versionText(status)],
    ...cellPairs(cell),
    ...ahaPairs(status.aha, network === undefined),
    ['users', numberText(status.users)],
    ['pid', numberText(status.pid)],
    ['started', startedAt === undefined ? undefined : `${localTime(Date.parse(startedAt))}, ${uptime(uptimeS)} ago`],
    ['requests', portText(ports?.req)],
    ['events', portText(ports?.pub)],
    ['heartbeats', portText(ports?.hb)],
    ['requests (REP)', ports?.rep ? portText(ports.rep) : undefined],
    ['AHA services', network === undefined ? undefined : networkCounts(network)],
    ['services', counts === undefined ? undefined : `${counts.services}, ${counts.critical} of them critical`],
    ['in maintenance', numberText(counts?.maintenance)],
    ['unique types', status.uniqueTypes === undefined ? undefined : yesNo(status.uniqueTypes)],
    ['discover', status.discoverStrategy],
    ['store', store?.kind],
    ['last backup', backupText(status)],
    ...(cell?.archivers ?? []).map((one) => ['log archived', archiverText(one)] as const),
    ['change log', status.log === undefined ? undefined : logCheckText(status.log)],
    ['events dropped', numberText(counts?.eventsDropped)],
    ['unanswerable', numberText(counts?.unanswerable)],
  ])
  const tables = [
    ...(group === undefined ? [] : [groupText(group)]),
    ...(network === undefined || network.services.length === 0 ? [] : [networkText(network)]),
  ]
  return [pairs, ...tables].join('\n\n')
}

function isOurs({software, status}: RegistryStatus): boolean {
  return software !== 'synapse' && status !== 'refused'
}

/** Gives what who is not let in can do about it. */
function nextPairs({status, error}: RegistryStatus): readonly (readonly [string, string])[] {
  return status === 'refused' ? (error?.hints ?? []).map((hint) => ['try', hint] as const) : []
}

/** Gives what is not as it should be. */
function healthPairs({health}: RegistryStatus): readonly (readonly [string, string])[] {
  const bad = (health?.components ?? []).filter(({status}) => status !== 'nominal')
  return bad.map(({name, status, mesg}) => [`  ${name}`, mesg === '' ? status : `${status}: ${mesg}`])
}

/** Gives the age of the last backup, and what a drill said last. */
function backupText({health}: RegistryStatus): string | undefined {
  const found = health?.components.find(({name}) => name === 'backup')
  if (found === undefined || typeof found.data !== 'object' || found.data === null) return undefined
  const {last, age, how, proof, proofof, proofat} = found.data as Readonly<Record<string, unknown>>
  const made =
    typeof last === 'number' && typeof age === 'number'
      ? `${localTime(last)}, ${formatDuration(age)} ago${how === 'kept' ? '' : `, ${String(how)}`}`
      : 'none'
  if (typeof proof !== 'string' || typeof proofat !== 'number')
    return `${made}; ${how === undefined || how === 'kept' ? 'no drill' : 'no drill of those kept here'}`
  return `${made}; ${proof} ${localTime(proofat)} (${String(proofof)})`
}

function archiverText({name, index, behind, attached, since}: StatusArchiver): string {
  const at = localTime(Date.parse(since))
  return `${name}, index ${index}, ${behind} behind, ${attached ? `there since ${at}` : `away, last heard of ${at}`}`
}

function versionText({software, version, cell}: RegistryStatus): string | undefined {
  if (software === 'cgse') return 'a CGSE registry (Python)'
  return software === 'synapse' ? `${version} (${cell?.type}, Synapse ${cell?.synapseVersion})` : version
}

function cellPairs(cell: CellFacts | undefined): readonly (readonly [string, string | undefined])[] {
  if (cell === undefined) return []
  const {aha, mirror, fencedBy} = cell
  const idle = fencedBy === undefined ? 'not active' : `fenced: ${fencedBy} took the lead`
  const role = cell.active ? 'leader' : mirror === null ? idle : `mirror of ${mirror}`
  const states = [role, cell.ready === false && 'not ready', cell.readOnly === true && 'read-only']
  return [
    ['iden', cell.iden],
    ['run', cell.runId],
    ['role', states.filter((state) => state !== false).join(', ')],
    ['AHA', aha.name === null ? undefined : `${aha.name}.${aha.network ?? ''}, leader ${aha.leader ?? '-'}`],
    ['log index', String(cell.nexusIndex)],
    ['Telepath', cell.telepath.length === 0 ? undefined : cell.telepath.join(', ')],
    ['one-time URLs', cell.provision.length === 0 ? undefined : cell.provision.join(', ')],
    ['features', Object.keys(cell.features).join(', ') || undefined],
    ['HTTPS', cell.https.length === 0 ? undefined : cell.https.join(', ')],
  ]
}

/** Gives what a registry of this software says of itself. */
export function factsOf(server: ServerFacts) {
  const {problem, problemSinceMs, kind} = server.store
  return {
    software: 'registry' as const,
    version: server.version,
    pid: server.pid,
    ...startedFacts(server.startedMs, systemClock.wallMs()),
    discoverStrategy: server.strategy,
    leaseGraceS: server.leaseGraceS,
    store: {
      kind,
      ...(problem === undefined ? {} : {problem}),
      ...(problemSinceMs === undefined ? {} : {problemSince: iso(problemSinceMs)}),
    },
  }
}

/** Gives when something started and how long ago that is. */
export function startedFacts(startedMs: number, nowMs: number): {startedAt: string; uptimeS: number} {
  return {startedAt: iso(startedMs), uptimeS: Math.max(0, Math.round((nowMs - startedMs) / 1000))}
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString()
}

function uptime(seconds = 0): string {
  return seconds === 0 ? '0s' : formatDuration(seconds * 1000)
}

function portText(port: number | null | undefined): string | undefined {
  return port === undefined ? undefined : port === null ? 'off' : `port ${port}`
}

function numberText(value: number | undefined): string | undefined {
  return value === undefined ? undefined : String(value)
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no'
}
