// How long things take to start: commands beside an empty Node process, and the server from its launch to its first answer.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {createInterface} from 'node:readline'
import {startServer} from '../test/support/server.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {ask, fill, HEALTH} from './services.ts'
import {measureStartup} from './startup.ts'

const LAUNCHER = new URL('../bin/registry', import.meta.url).pathname
/** Absolute times are medians of so many. */
const ROUNDS = 5

export async function* measureStart(): AsyncGenerator<Line> {
  const {emptyMs, lines} = measureStartup()
  for (const {what, ratio, medianMs, limit} of lines) {
    yield line(what, ratio, 'x', {atMost: limit}, `${shown(medianMs)} ms beside ${shown(emptyMs)} of node -e 0`)
  }
  yield await measureReady('server ready, empty', 0, 0.5)
  yield await measureReady('server ready, 100 000 services', 100_000, 1)
}

async function measureReady(what: string, services: number, atMost: number): Promise<Line> {
  await using server = await startServer()
  if (services > 0) await fill({port: server.ports.req, count: services})
  await server.stop()
  const seconds: number[] = []
  for (let round = 0; round < ROUNDS; round++) seconds.push(await timeToAnswer(server.dir))
  return line(what, median(seconds), 's', {atMost}, `from the launch to the first answer; ${rounds(seconds)}`)
}

async function timeToAnswer(dir: string): Promise<number> {
  const ports = ['--zmq-req-port', '0', '--zmq-pub-port', '0', '--zmq-hb-port', '0', '--https', '0']
  const startMs = performance.now()
  const child = spawn(LAUNCHER, ['serve', dir, '--json', ...ports], {stdio: ['ignore', 'pipe', 'ignore']})
  const port = await portOf(child)
  await ask(port, HEALTH)
  const seconds = (performance.now() - startMs) / 1000
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
  return seconds
}

async function portOf(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error('no output')
  for await (const text of createInterface(child.stdout)) {
    if (text.startsWith('{')) return JSON.parse(text).ports.req
  }
  throw new Error('the server ended before it was ready')
}
