import {launcherName} from '../config/environment.ts'

/** What of a registry the text tells. */
export interface StartedRegistry {
  readonly bind: string
  readonly ports: Readonly<Record<'req' | 'pub' | 'hb' | 'rep', number | null>>
  readonly listeners: {
    readonly telepath: {readonly socket: string | null; readonly url: string | null}
    readonly provision: {readonly url: string} | null
    readonly https: {readonly bind: string; readonly port: number} | null
  }
  readonly dir: string
  /** Entries that were there at the start. */
  readonly restored: number
}

/** Says where a registry listens, where its data is, and what to type next: commands that work as they stand. */
export function startText({
  bind,
  ports,
  listeners: {telepath, provision, https},
  dir,
  restored,
}: StartedRegistry): string {
  const registry = launcherName()
  const url = ports.req === null ? '' : ` --url zmq://${host(bind)}:${ports.req}`
  const listeners = [
    ['ZeroMQ requests', tcpUrl(bind, ports.req)],
    ['ZeroMQ events', tcpUrl(bind, ports.pub)],
    ['ZeroMQ heartbeats', tcpUrl(bind, ports.hb)],
    ['ZeroMQ requests answered with REP', tcpUrl(bind, ports.rep)],
    ['Telepath on this machine', telepath.socket === null ? null : `cell://${dir}`],
    ['Telepath', telepath.url],
    ['One-time URLs', provision === null ? null : provision.url],
    ['HTTPS', https === null ? null : `https://${host(https.bind)}:${https.port}`],
  ].flatMap(([name, address]) => (address === null ? [] : [`  ${name}: ${address}`]))
  return [
    `The registry is running${restored === 0 ? '' : ` and has taken up ${restored} services`}. It listens here:`,
    ...listeners,
    `Its data is in ${dir}. Stop it with Ctrl-C. Next, in another terminal:`,
    `  ${registry} service register --name cam1 --type camera --port 5000${url}`,
    `  ${registry} service list${url}`,
    `  ${registry} status${url}`,
    `  ${registry} user list --url cell://${dir}`,
    ...(provision === null ? [] : [`  ${registry} provision service 00.axon --url cell://${dir}`]),
  ].join('\n')
}

function tcpUrl(bind: string, port: number | null): string | null {
  return port === null ? null : `tcp://${host(bind)}:${port}`
}

function host(bind: string): string {
  return bind.includes(':') ? `[${bind}]` : bind
}
