import {once} from 'node:events'
import {createServer} from 'node:net'

/** Below those that the system gives to whoever connects: a server that starts again finds it free. */
const [LOWEST, HIGHEST] = [20_000, 32_000]
/** Workers of one run take theirs from ranges of their own: two that look at the same time do not find the same one. */
const RANGES = 16
const RANGE = Math.floor((HIGHEST - LOWEST) / RANGES)
const first = LOWEST + (Number(process.env['VITEST_POOL_ID'] ?? 0) % RANGES) * RANGE
let next = Math.floor(Math.random() * RANGE)

/** Gives a port of the loopback interface that is free now, and that nobody is given by chance; a run gives none twice until it went through all. */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = first + (next++ % RANGE)
    const server = createServer()
    try {
      await once(server.listen(port, '127.0.0.1'), 'listening')
      return port
    } catch {
      // Somebody has it.
    } finally {
      // Those who ask want to listen there themselves.
      await new Promise((resolve) => server.close(resolve))
    }
  }
}

export async function lastingPorts(count: number): Promise<readonly number[]> {
  const ports: number[] = []
  while (ports.length < count) ports.push(await lastingPort())
  return ports
}
