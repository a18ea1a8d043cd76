import {fieldsOf} from '../client/admin-values.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {type Column, table} from './render.ts'

/** Rows for a person: as many as fit a few screens. */
const SHOWN_ROWS = 200

/** The services of an AHA; the shape under `--json`. */
export interface NetworkReport {
  readonly network: string
  readonly services: readonly NetworkService[]
}

interface NetworkService {
  readonly name: string
  readonly online: boolean
  readonly ready: boolean
  /** Whether the name of the leader leads to it; null for one without such a name. */
  readonly leads: boolean | null
  readonly address: string | null
}

/** Asks an AHA for the services of its network, in its order. Throws as `Callable.stream`. */
export async function readNetwork(aha: Callable, network: string, signal: AbortSignal): Promise<NetworkReport> {
  const entries: Entry[] = []
  for await (const item of aha.stream('getAhaSvcs', {args: [network], signal})) entries.push(entryOf(item, network))
  const runs = new Map(entries.map(({name, run}) => [name, run]))
  const services = entries.map(({run, leader, ...service}) => ({
    ...service,
    leads: leader === undefined ? null : run !== undefined && runs.get(`${leader}.${network}`) === run,
  }))
  return {network, services}
}

/** As `readNetwork`, of the network that the AHA itself is in. */
export async function readNetworkOf(aha: Callable, signal: AbortSignal): Promise<NetworkReport> {
  const {cell} = fieldsOf(await aha.call('getCellInfo', {signal}), 'getCellInfo')
  const {network} = lenient(lenient(cell)['aha'])
  return await readNetwork(aha, textOf(network) ?? '', signal)
}

interface Entry extends Omit<NetworkService, 'leads'> {
  readonly run: string | undefined
  readonly leader: string | undefined
}

function entryOf(item: Value, network: string): Entry {
  const fields = fieldsOf(item, 'a service of AHA')
  const {online, ready, run, leader, urlinfo} = lenient(fields['svcinfo'])
  const {host, port} = lenient(urlinfo)
  return {
    name: textOf(fields['name']) ?? `${String(fields['svcname'])}.${network}`,
    online: online !== undefined && online !== null,
    ready: ready === true,
    address: typeof host === 'string' && typeof port === 'number' ? `${host}:${port}` : null,
    run: textOf(run),
    leader: textOf(leader),
  }
}

/** What a service said of itself may be anything; one that makes no sense does not hide the others. */
function lenient(value: Value): Readonly<Record<string, Value>> {
  const isFields = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  return isFields ? fieldsOf(value, 'a service of AHA') : {}
}

const COLUMNS: readonly Column<NetworkService>[] = [
  {header: 'name', value: ({name}) => name},
  {header: 'leads', value: ({leads}) => (leads === null ? '-' : yesNo(leads))},
  {header: 'online', value: ({online}) => yesNo(online)},
  {header: 'ready', value: ({ready}) => yesNo(ready)},
  {header: 'address', value: ({address}) => address ?? '-'},
]

/** Tells how many services there are, in one line. */
export function networkCounts({services}: NetworkReport): string {
  return `${services.length}, ${services.filter(({online}) => online).length} of them online`
}

/** Shows the services of a network. */
export function networkText({network, services}: NetworkReport): string {
  const rows = table(services.slice(0, SHOWN_ROWS), COLUMNS)
  const more = services.length - SHOWN_ROWS
  return more <= 0 ? rows : `${rows}\nand ${more} more: registry query URL --call getAhaSvcs ${network}`
}

function textOf(value: Value): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no'
}
