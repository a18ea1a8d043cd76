import {launcherName} from '../config/environment.ts'

/** What of a registry the text tells. */
export interface StartedRegistry {
  readonly bind: string
  readonly ports: Readonly<Record<'req' | 'pub' | 'hb' | 'rep', number | null>>
  readonly dir: string
  /** Entries that were there at the start. */
  readonly restored: number
}

/** Says where a registry listens, where its data is, and what to type next: commands that work as they stand. */
export function startText({bind, ports, dir, restored}: StartedRegistry): string {
  const registry = launcherName()
  const url = ports.req === null ? '' : ` --url zmq://${host(bind)}:${ports.req}`
  const listeners = [
    ['requests', ports.req],
    ['events', ports.pub],
    ['heartbeats', ports.hb],
    ['requests answered with REP', ports.rep],
  ].flatMap(([name, port]) => (port === null ? [] : [`  ${name}: tcp://${host(bind)}:${port}`]))
  return [
    `The registry is running${restored === 0 ? '' : ` and has taken up ${restored} services`}. It listens for ZeroMQ clients:`,
    ...listeners,
    `Its data is in ${dir}. Stop it with Ctrl-C. Next, in another terminal:`,
    `  ${registry} service register --name cam1 --type camera --port 5000${url}`,
    `  ${registry} service list${url}`,
    `  ${registry} status${url}`,
  ].join('\n')
}

function host(bind: string): string {
  return bind.includes(':') ? `[${bind}]` : bind
}
