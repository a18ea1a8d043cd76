import {readFileSync} from 'node:fs'
import {LineChild} from './child.ts'
import {Histogram} from './histogram.ts'

export interface Load {
  readonly host?: string
  readonly port: number
  readonly framing: 'envelope' | 'plain' | 'bare'
  /** JSON texts, sent in turn; `{n}` in one becomes the number of the request, from 0 and never twice, `{ms}` the epoch time. */
  readonly payloads: readonly string[]
  readonly clients: number
  /** Requests that each client has under way; 1, the default, is a closed loop. */
  readonly outstanding?: number
  /** Processes that share the clients; 1 when absent. */
  readonly processes?: number
}

/**
 * Until when to send: for a time, or so many requests in all. With `ratePerS` at this rate, answered or not, and times count from the
 * moment that was due: a pause of the server shows in all requests that fell into it. Without, each client sends when it was answered.
 */
export type Phase = {readonly ratePerS?: number} & (
  | {readonly durationMs: number; readonly count?: undefined}
  | {readonly count: number; readonly durationMs?: undefined}
)

export interface LoadResult {
  readonly requests: number
  /** Answers with `"success": false` among them. */
  readonly failed: number
  readonly ratePerS: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Cores that the load itself used. Near the number of its processes it, not the server, was the bottleneck. */
  readonly loadCores: number
}

/** What one process of the load is told. */
export interface LoadShare extends Required<Omit<Load, 'processes'>> {
  /** Numbers of its requests: `first`, `first + step`, … */
  readonly first: number
  readonly step: number
}

/** What one process answers. */
export interface PhaseResult {
  readonly failed: number
  readonly seconds: number
  readonly cpuUs: number
  readonly latencies: [number, number][]
}

/** Clients in processes of their own, connected to one server; they can be let loose several times, for warming up first. */
export class LoadClients implements AsyncDisposable {
  readonly #children: readonly LineChild[]

  private constructor(children: readonly LineChild[]) {
    this.#children = children
  }

  static async connect(load: Load): Promise<LoadClients> {
    const {processes = 1, outstanding = 1, host = '127.0.0.1'} = load
    const children = Array.from({length: processes}, () => new LineChild('./load-worker.ts'))
    const shares = children.map((_, first): LoadShare => {
      const clients = Math.floor((load.clients + first) / processes)
      return {...load, host, outstanding, clients, first, step: processes}
    })
    await Promise.all(children.map((child, i) => child.ask(shares[i])))
    return new LoadClients(children)
  }

  /** Sends and waits until everything is answered. */
  async run(phase: Phase): Promise<LoadResult> {
    const results = await Promise.all(
      this.#children.map((child, i) => child.ask<PhaseResult>(shareOf(phase, i, this.#children.length))),
    )
    const latencies = new Histogram()
    for (const result of results) latencies.merge(result.latencies)
    const seconds = Math.max(...results.map((result) => result.seconds))
    return {
      requests: latencies.count,
      failed: results.reduce((sum, result) => sum + result.failed, 0),
      ratePerS: latencies.count / seconds,
      p50Ms: latencies.quantile(0.5),
      p99Ms: latencies.quantile(0.99),
      maxMs: latencies.quantile(1),
      loadCores: results.reduce((sum, result) => sum + result.cpuUs, 0) / 1e6 / seconds,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child[Symbol.asyncDispose]()))
  }
}

function shareOf(phase: Phase, index: number, processes: number): Phase {
  const rate = phase.ratePerS === undefined ? {} : {ratePerS: phase.ratePerS / processes}
  if (phase.count === undefined) return {...phase, ...rate}
  return {count: Math.floor((phase.count + index) / processes), ...rate}
}

/** Gives the CPU time that a process of this machine has used, all threads, µs in steps of 10 000. Linux only. */
export function cpuUsOf(pid: number): number {
  const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')
  const [user, system] = fields.split(' ').slice(11, 13).map(Number)
  return ((user ?? Number.NaN) + (system ?? Number.NaN)) * 10_000
}
