import {launcherName} from '../config/environment.ts'
import type {RunningRegistry} from '../server/serve.ts'

/** Says where a registry listens, where its data is, and what to type next: commands that work as they stand. */
export function startText({bind, ports, dir, restored}: RunningRegistry): string {
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
