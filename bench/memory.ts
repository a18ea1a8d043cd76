// How much memory the server takes with a large catalog, as the system counts it, before anybody has asked for a list of all.
import {readFileSync} from 'node:fs'
import {setTimeout as delay} from 'node:timers/promises'
import {startServer} from '../test/support/server.ts'
import {type Line, line, median, rounds} from './report.ts'
import {countServices, fill} from './services.ts'

const SERVICES = 100_000
const LIMIT_MB = 200
/** Absolute figures are medians of so many. */
const ROUNDS = 5
const SETTLE_MS = 1000

export async function* measureMemory(): AsyncGenerator<Line> {
  const [empty, filled, restarted]: [number[], number[], number[]] = [[], [], []]
  for (let round = 0; round < ROUNDS; round++) {
    await using server = await startServer()
    empty.push(residentMb(server.pid))
    await fill({port: server.ports.req, count: SERVICES})
    await delay(SETTLE_MS)
    filled.push(residentMb(server.pid))
    await server.restart()
    await delay(SETTLE_MS)
    restarted.push(residentMb(server.pid))
    const count = await countServices(server.ports.req)
    if (count !== SERVICES) throw new Error(`${count} services are there, not ${SERVICES}`)
  }
  yield line('memory, empty', median(empty), 'MB', undefined, rounds(empty))
  const limit = {atMost: LIMIT_MB}
  yield line('memory, 100 000 services just registered', median(filled), 'MB', limit, rounds(filled))
  yield line('memory, 100 000 services after a restart', median(restarted), 'MB', limit, rounds(restarted))
}

/** Resident memory of a process, millions of bytes. */
function residentMb(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  return (Number(kib) * 1024) / 1e6
}
