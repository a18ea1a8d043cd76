// How long who writes waits while the lead of a cell moves: a writer that asks again until its change is confirmed.
import type {TestServer} from '../test/support/server.ts'
import {MirrorPair} from './mirror-pair.ts'
import {type Line, line, median, rounds, shown} from './report.ts'
import {registrations} from './services.ts'
import {encodeMessage, ZmtpClient} from './zmtp-client.ts'

const SETTLE_MS = 1000

/** One change under way at a time; what is refused is asked for again at once. */
class Writer {
  confirmed = 0
  refused = 0
  /** Longest time between two confirmed changes since `reset`. */
  longestMs = 0
  readonly #payload: string
  readonly #link: ZmtpClient
  readonly #waiting = new Set<() => void>()
  #number = 0
  #lastMs = performance.now()
  #isEnding = false

  constructor(prefix: string, {ports}: TestServer) {
    this.#payload = registrations(prefix)[0] ?? ''
    this.#link = new ZmtpClient({
      host: '127.0.0.1',
      port: ports.req,
      onReady: () => this.#ask(),
      onMessage: (answer) => this.#take(answer.toString()),
    })
  }

  reset(): void {
    this.longestMs = 0
    this.#lastMs = performance.now()
  }

  /** Resolves with the next confirmed change. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve))
  }

  end(): void {
    this.#isEnding = true
    this.#link.close()
  }

  #take(answer: string): void {
    if (this.#isEnding) return
    if (/"success": ?true/.test(answer)) this.#confirm()
    else this.refused++
    this.#ask()
  }

  #confirm(): void {
    const nowMs = performance.now()
    this.longestMs = Math.max(this.longestMs, nowMs - this.#lastMs)
    this.#lastMs = nowMs
    this.confirmed++
    this.#number++
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }

  #ask(): void {
    this.#link.send(encodeMessage(['REQ', this.#payload.replaceAll('{n}', `${this.#number}`)]))
  }
}

export async function measureGraceful(pair: MirrorPair, count: number): Promise<Line> {
  const writers = [new Writer('at-one-', pair.leader), new Writer('at-two-', pair.mirror)]
  const quiet: number[] = []
  const pauses: number[] = []
  const moves: number[] = []
  for (let round = 0; round < count; round++) {
    const next = round % 2 === 0 ? pair.mirror : pair.leader
    quiet.push(await longestOf(writers, () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS))))
    pauses.push(
      await longestOf(writers, async () => {
        const began = performance.now()
        await pair.call(next, 'promote', true)
        moves.push(performance.now() - began)
        await Promise.all(writers.map((writer) => writer.next()))
        await Promise.all(writers.map((writer) => writer.next()))
      }),
    )
  }
  for (const writer of writers) writer.end()
  const refused = writers.reduce((sum, writer) => sum + writer.refused, 0)
  const note = `the longer of two writers, one at each member; ${shown(median(quiet))} ms without, promoted in ${shown(median(moves))} ms, ${refused} answers not confirmed and asked for again; ${rounds(pauses)}`
  return line('graceful promotion: pause of writers', Math.max(...pauses), 'ms', {atMost: 250}, note)
}

/** The leader hangs: who asks it waits for an answer, which is worse than none that listens. */
export async function measureForced(count: number): Promise<Line> {
  const times: number[] = []
  const moves: number[] = []
  const refused: number[] = []
  for (let round = 0; round < count; round++) {
    await using pair = await MirrorPair.start()
    const before = new Writer('before-', pair.leader)
    await before.next()
    before.end()
    process.kill(pair.leader.pid, 'SIGSTOP')
    const began = performance.now()
    const promoted = pair.call(pair.mirror, 'promote', false).then(() => moves.push(performance.now() - began))
    const writer = new Writer('after-', pair.mirror)
    await writer.next()
    times.push(performance.now() - began)
    refused.push(writer.refused)
    writer.end()
    await promoted
  }
  const note = `from the call to the first confirmed change, the leader hangs; the call itself ${shown(median(moves))} ms, ${median(refused)} answers not confirmed before; ${rounds(times)}`
  return line('forced promotion: writes served', Math.max(...times), 'ms', {atMost: 1000}, note)
}

async function longestOf(writers: readonly Writer[], work: () => Promise<unknown>): Promise<number> {
  for (const writer of writers) await writer.next()
  for (const writer of writers) writer.reset()
  await work()
  return Math.max(...writers.map(({longestMs}) => longestMs))
}
