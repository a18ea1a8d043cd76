// The services that the registries are filled with, and the questions about them.
import {LoadClients} from './load.ts'
import {encodeMessage, ZmtpClient} from './zmtp-client.ts'

const TYPES = 50
/** A tag that one service in ten has. */
export const TENTH = 'tenth'
/** So that nothing ends while it is measured. */
const LONG_TTL_S = 86_400
const ANSWER_WITHIN_MS = 20_000

/** Registrations of services `<prefix>{n}`, of 50 types in turn: some 250 bytes each in a list. */
export function registrations(prefix: string, ttlS = LONG_TTL_S): string[] {
  return Array.from({length: TYPES}, (_, i) => {
    const name = `${prefix}{n}`
    const tags = i % 10 === 0 ? ['lab', TENTH] : ['lab']
    const metadata = {site: 'lab-3', version: '1.4.2', unit: i, monitoring_port: 50_000 + i}
    const info = {id: name, name, host: '127.0.0.1', port: 5000 + i, type: `type-${i}`, tags, metadata}
    return JSON.stringify({action: 'register', service_info: info, ttl: ttlS})
  })
}

export interface Fill {
  readonly port: number
  readonly count: number
  readonly prefix?: string
  readonly ttlS?: number
}

/** Registers services and checks that all are there. */
export async function fill({port, count, prefix = 'svc-', ttlS = LONG_TTL_S}: Fill): Promise<void> {
  const clients = Math.min(10, count)
  const payloads = registrations(prefix, ttlS)
  await using load = await LoadClients.connect({port, framing: 'envelope', payloads, clients, outstanding: 8})
  const {failed} = await load.run({count})
  if (failed > 0) throw new Error(`${failed} of ${count} registrations failed`)
}

/** Picks ids of services among `count`, evenly. */
export function someIds(count: number, wanted: number): string[] {
  return Array.from(
    {length: Math.min(count, wanted)},
    (_, i) => `svc-${Math.floor((i * count) / Math.min(count, wanted))}`,
  )
}

export const get = (id: string) => JSON.stringify({action: 'get', service_id: id})
export const renew = (id: string) => JSON.stringify({action: 'renew', service_id: id})
export const discover = (index: number) => JSON.stringify({action: 'discover', service_type: `type-${index % TYPES}`})
export const list = (label: string | null) => JSON.stringify({action: 'list', service_type: label})
/** A registration whose event tells subscribers that events reach them; again and again the same service. */
export const PROBE = registrations('probe-')[0]?.replaceAll('{n}', '0') ?? ''
export const HEALTH = JSON.stringify({action: 'health'})

/** Asks one question on a connection of its own and gives the text of the answer. */
export function ask(port: number, payload: string, framing: 'envelope' | 'bare' = 'envelope'): Promise<string> {
  const {promise, resolve, reject} = Promise.withResolvers<string>()
  const late = setTimeout(() => reject(new Error(`no answer from port ${port}`)), ANSWER_WITHIN_MS)
  const client = new ZmtpClient({
    host: '127.0.0.1',
    port,
    onReady: () => client.send(encodeMessage(framing === 'envelope' ? ['REQ', payload] : [payload])),
    onMessage: (answer) => resolve(answer.toString()),
  })
  return promise.finally(() => {
    clearTimeout(late)
    client.close()
  })
}

/** Asks one of our registries how many services it has. */
export async function countServices(port: number): Promise<number> {
  const {registry} = JSON.parse(await ask(port, '{"action":"info","services":false}'))
  return registry.counts.services
}
