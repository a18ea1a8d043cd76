import {setTimeout} from 'node:timers/promises'
import {systemClock} from '../base/clock.ts'
import {formatDuration} from '../base/duration.ts'
import {RegistryError} from '../base/errors.ts'
import type {RegistryInfo, ServerFacts} from '../client/answers.ts'
import type {RegistryClient} from '../client/registry-client.ts'
import {reportOf} from './error-report.ts'
import {keyValues, localTime} from './render.ts'

/** What `registry status` tells; the shape under `--json`. Members are missing where a registry does not tell. */
export interface RegistryStatus {
  readonly url: string
  readonly status: 'ok' | 'degraded' | 'away'
  /** With `away`: why. */
  readonly error?: ReturnType<typeof reportOf>
  /** `registry`: this software; `cgse`: the Python one. */
  readonly software?: 'registry' | 'cgse'
  readonly version?: string
  readonly pid?: number
  readonly startedAt?: string
  readonly uptimeS?: number
  readonly ports?: RegistryInfo['ports']
  readonly uniqueTypes?: boolean
  readonly discoverStrategy?: string
  readonly leaseGraceS?: number
  readonly store?: {readonly kind: string; readonly problem?: string; readonly problemSince?: string}
  readonly counts?: {
    readonly services: number
    readonly critical: number
    readonly maintenance?: number
    readonly eventsDropped?: number
    readonly unanswerable?: number
  }
}

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

/** Asks again and again; a registry that is away is a state like another. Ends by throwing what `signal` aborts with. */
export async function* watchStatus(
  client: RegistryClient,
  intervalMs: number,
  signal: AbortSignal,
): AsyncGenerator<RegistryStatus, undefined> {
  for (;;) {
    try {
      yield await readStatus(client)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (!(error instanceof RegistryError)) throw error
      yield {url: client.url, status: 'away', error: reportOf(error)}
    }
    await setTimeout(intervalMs, undefined, {signal}).catch(() => {
      throw signal.reason
    })
  }
}

/** Tells a person how a registry is. */
export function statusText(status: RegistryStatus): string {
  const {ports, store, counts, startedAt, uptimeS} = status
  return keyValues([
    ['registry', status.url],
    ['status', status.error === undefined ? status.status : `${status.status}: ${status.error.message}`],
    ['problem', store?.problem],
    ['since', store?.problemSince === undefined ? undefined : localTime(Date.parse(store.problemSince))],
    ['version', status.software === 'cgse' ? 'a CGSE registry (Python)' : status.version],
    ['pid', numberText(status.pid)],
    ['started', startedAt === undefined ? undefined : `${localTime(Date.parse(startedAt))}, ${uptime(uptimeS)} ago`],
    ['requests', portText(ports?.req)],
    ['events', portText(ports?.pub)],
    ['heartbeats', portText(ports?.hb)],
    ['requests (REP)', ports?.rep ? portText(ports.rep) : undefined],
    ['services', counts === undefined ? undefined : `${counts.services}, ${counts.critical} of them critical`],
    ['in maintenance', numberText(counts?.maintenance)],
    ['unique types', status.uniqueTypes === undefined ? undefined : yesNo(status.uniqueTypes)],
    ['discover', status.discoverStrategy],
    ['store', store?.kind],
    ['events dropped', numberText(counts?.eventsDropped)],
    ['unanswerable', numberText(counts?.unanswerable)],
  ])
}

function factsOf(server: ServerFacts) {
  const {problem, problemSinceMs, kind} = server.store
  return {
    software: 'registry' as const,
    version: server.version,
    pid: server.pid,
    startedAt: iso(server.startedMs),
    uptimeS: Math.max(0, Math.round((systemClock.wallMs() - server.startedMs) / 1000)),
    discoverStrategy: server.strategy,
    leaseGraceS: server.leaseGraceS,
    store: {
      kind,
      ...(problem === undefined ? {} : {problem}),
      ...(problemSinceMs === undefined ? {} : {problemSince: iso(problemSinceMs)}),
    },
  }
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
