import {systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {fieldsOf, listOf, oddAnswer} from '../client/admin-values.ts'
import {readRegistryInfo} from '../client/answers.ts'
import {hasMembers} from '../client/members.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'
import {readAhaFacts} from './aha-status.ts'
import type {GroupReport} from './group-report.ts'
import {type NetworkReport, readNetwork} from './network-report.ts'
import {jsonOf} from './query-values.ts'
import {factsOf, startedFacts} from './registry-status.ts'
import type {CellFacts, CellHealth, RegistryStatus} from './status-report.ts'

type Fields = Readonly<Record<string, Value>>

/** Asks a cell, ours or a Synapse one, how it is. What the caller may not ask is left out. */
export async function readCellStatus(
  cell: Callable,
  url: string,
  signal: AbortSignal,
  readGroup?: ReadGroup,
): Promise<RegistryStatus> {
  const ask = (method: string) => cell.call(method, {signal})
  const info = fieldsOf(await ask('getCellInfo'), 'getCellInfo')
  const about = fieldsOf(info['cell'], 'cell')
  const health = await ifAllowed(async () => healthOf(await ask('getHealthCheck')))
  const users = await ifAllowed(async () => listOf(await ask('getUserDefs'), 'getUserDefs').length)
  const ours = cell.info.methods.has('getRegistryInfo') ? fieldsOf(await ask('getRegistryInfo'), 'info') : undefined
  const facts = cellFacts(about, fieldsOf(info['synapse'], 'synapse'), partOf(info, 'features'))
  const group = await groupOf(cell, facts, readGroup)
  const network = await ifAllowed(async () => networkOf(cell, facts, signal))
  return {
    url: sanitizeUrl(url),
    status: statusOf(health, group),
    ...(ours === undefined ? foreignFacts(facts, about) : ownFacts(ours)),
    cell: facts,
    ...(health === undefined ? {} : {health}),
    ...(users === undefined ? {} : {users}),
    ...(group === undefined ? {} : {group}),
    ...(network === undefined ? {} : {network}),
  }
}

const FENCED: ReadonlySet<string> = new Set(['REG_FENCED', 'REG_READ_ONLY'])

/** Asks an AHA for the services of its network; nothing comes of others. */
async function networkOf(cell: Callable, {aha}: CellFacts, signal: AbortSignal): Promise<NetworkReport | undefined> {
  if (aha.network === null || !cell.info.methods.has('getAhaSvcs')) return undefined
  return await readNetwork(cell, aha.network, signal).catch((error: unknown) => {
    // One that was kept from leading says nothing of the network, and why in its health.
    if (error instanceof RegistryError && FENCED.has(error.code)) return undefined
    throw error
  })
}

/** A registry without a name in AHA is shown with its members when it has some. */
async function groupOf(
  cell: Callable,
  {aha}: CellFacts,
  read: ReadGroup | undefined,
): Promise<GroupReport | undefined> {
  if (aha.name === null && !hasMembers(cell)) return undefined
  const group = await read?.(cell)
  return aha.name === null && group?.members.length === 1 ? undefined : group
}

/** Asks who else belongs to the cell. */
export type ReadGroup = (cell: Callable) => Promise<GroupReport>

async function ifAllowed<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'REG_DENIED') return undefined
    throw error
  }
}

function statusOf(health: CellHealth | undefined, group: GroupReport | undefined): RegistryStatus['status'] {
  const isWhole = group === undefined || group.problems.length === 0
  if (health === undefined || health.status === 'nominal') return isWhole ? 'ok' : 'degraded'
  return health.status === 'failed' ? 'failed' : 'degraded'
}

function ownFacts(info: Fields): Partial<RegistryStatus> {
  const {server, ports, uniqueTypes} = readRegistryInfo(info)
  if (server === undefined) throw oddAnswer('getRegistryInfo', 'it says nothing of the registry')
  const {aha} = info
  return {
    ...factsOf(server),
    ports,
    ...(uniqueTypes === undefined ? {} : {uniqueTypes}),
    counts: server.counts,
    ...(aha === undefined ? {} : {aha: readAhaFacts(aha)}),
  }
}

function foreignFacts({version}: CellFacts, {started}: Fields): Partial<RegistryStatus> {
  return {
    software: 'synapse',
    version,
    ...(typeof started === 'number' ? startedFacts(started, systemClock.wallMs()) : {}),
  }
}

function cellFacts(cell: Fields, synapse: Fields, features: Fields): CellFacts {
  const aha = partOf(cell, 'aha')
  const nexus = partOf(cell, 'nexus')
  const network = partOf(cell, 'network')
  const member = partOf(cell, 'mirroring')
  const {ready} = cell
  const {readonly} = nexus
  const mirror = textOf(cell['mirror'])
  return {
    type: textOf(cell['type']) ?? '',
    iden: textOf(cell['iden']) ?? '',
    runId: textOf(cell['run']) ?? '',
    active: cell['active'] === true,
    ...(typeof ready === 'boolean' ? {ready} : {}),
    version: textOf(cell['verstring']) ?? '',
    synapseVersion: textOf(synapse['verstring']) ?? '',
    nexusIndex: Number(cell['nexsindx'] ?? 0),
    ...(typeof readonly === 'boolean' ? {readOnly: readonly} : {}),
    mirror: mirror === undefined ? null : sanitizeUrl(mirror),
    ...(member['role'] === 'fenced' ? {fencedBy: textOf(member['leader']) ?? ''} : {}),
    features: Object.fromEntries(Object.entries(features).map(([name, version]) => [name, Number(version)])),
    https: listOf(network['https'] ?? [], 'https').map(httpsUrl),
    telepath: textsOf(network['telepath'], 'telepath'),
    provision: textsOf(network['provision'], 'provision'),
    ...archiversOf(cell),
    aha: {
      name: textOf(aha['name']) ?? null,
      leader: textOf(aha['leader']) ?? null,
      network: textOf(aha['network']) ?? null,
    },
  }
}

/** Older registries tell of none. */
function archiversOf(cell: Fields): Pick<CellFacts, 'archivers'> {
  const archivers = listOf(cell['archivers'] ?? [], 'archivers').map((one) => {
    const {name, index, behind, attached, since} = fieldsOf(one, 'an archive')
    return {
      ...{name: textOf(name) ?? '', index: Number(index), behind: Number(behind), attached: attached === true},
      since: new Date(Number(since)).toISOString(),
    }
  })
  return archivers.length === 0 ? {} : {archivers}
}

function partOf(fields: Fields, name: string): Fields {
  return fieldsOf(fields[name] ?? {}, name)
}

function textsOf(value: Value, what: string): readonly string[] {
  return listOf(value ?? [], what).flatMap((one) => textOf(one) ?? [])
}

function httpsUrl(listener: Value): string {
  const {host, port} = fieldsOf(listener, 'an HTTPS listener')
  const name = textOf(host) ?? ''
  return `https://${name.includes(':') ? `[${name}]` : name}:${Number(port)}`
}

function healthOf(value: Value): CellHealth {
  const {status, components = []} = fieldsOf(value, 'health')
  return {
    status: textOf(status) ?? 'unknown',
    components: listOf(components, 'components').map((one) => {
      const {name, status, mesg, data = null} = fieldsOf(one, 'a component')
      return {name: textOf(name) ?? '', status: textOf(status) ?? '', mesg: textOf(mesg) ?? '', data: jsonOf(data)}
    }),
  }
}

function textOf(value: Value): string | undefined {
  return typeof value === 'string' ? value : undefined
}
