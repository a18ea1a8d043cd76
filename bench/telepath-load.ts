import {execFileSync} from 'node:child_process'
import type {Value} from '../src/wire/msgpack/value.ts'
import {LineChild} from './child.ts'
import {Histogram} from './histogram.ts'
import {cpuUsOf} from './load.ts'

/** A Telepath server, our own or the peer's, and how to log in there. */
export interface Target {
  readonly host: string
  readonly port: number
  /** Files in PEM, and the name in the server's certificate. */
  readonly tls?: {readonly ca: string; readonly cert: string; readonly key: string; readonly hostname: string}
  readonly auth?: {readonly user: string; readonly passwd: string}
  /** What is called, without arguments. Its answer is always the same. */
  readonly method: string
  /** What the Python client calls instead, one after the other: method, arguments, named ones. All answers are the same; a stream is one too. */
  readonly todos?: readonly Todo[]
  /** Links that call at the same time. */
  readonly links: number
}

export type Todo = readonly [method: string, args: readonly Value[], kwargs: Readonly<Record<string, Value>>]

export type Phase =
  /** Each link makes one call after the other. */
  | {readonly kind: 'calls'; readonly durationMs: number}
  /** Connects, logs in and closes; `resumed` goes on from a TLS session. */
  | {readonly kind: 'opens'; readonly count: number; readonly atOnce: number; readonly resumed: boolean}
  /** Opens sessions that do nothing. */
  | {readonly kind: 'idle'; readonly sessions: number; readonly linksEach: number}
  /** Waits until the server has closed the idle ones. */
  | {readonly kind: 'closed'}

export interface CallsResult {
  readonly calls: number
  readonly seconds: number
  readonly cpuUs: number
  readonly latencies: [number, number][]
}

export interface OpensResult {
  readonly count: number
  /** How many of them went on from a TLS session. */
  readonly reused: number
  readonly seconds: number
  readonly cpuUs: number
}

/** What something cost the server. */
export interface Cost {
  readonly ratePerS: number
  /** CPU of the server for each. */
  readonly cpuUs: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Cores that the clients used; near 1 they were the bottleneck. */
  readonly loadCores: number
}

/** Clients in a process of their own, and the server process that they are let loose on. */
export class TelepathLoad implements AsyncDisposable {
  readonly #child: LineChild
  readonly #serverPid: number

  private constructor(child: LineChild, serverPid: number) {
    this.#child = child
    this.#serverPid = serverPid
  }

  /**
   * Starts the clients and has them log in. With the path of a Python that has msgpack they are written in that, which costs half of what
   * they cost in Node; then they can make calls only.
   */
  static async start(target: Target, serverPid: number, python?: string): Promise<TelepathLoad> {
    const child = python
      ? new LineChild('./telepath-client.py', [], process.env, python)
      : new LineChild('./telepath-worker.ts')
    await child.ask(target)
    return new TelepathLoad(child, serverPid)
  }

  get pid(): number {
    return this.#child.pid
  }

  /** Calls for a while, after a warm-up. */
  async calls(durationMs: number, warmUpMs: number): Promise<Cost> {
    await this.#ask({kind: 'calls', durationMs: warmUpMs})
    const before = cpuUsOf(this.#serverPid)
    const result = await this.#ask<CallsResult>({kind: 'calls', durationMs})
    const cpuUs = (cpuUsOf(this.#serverPid) - before) / result.calls
    const latencies = new Histogram()
    latencies.merge(result.latencies)
    return {
      cpuUs,
      ratePerS: result.calls / result.seconds,
      p50Ms: latencies.quantile(0.5),
      p99Ms: latencies.quantile(0.99),
      loadCores: result.cpuUs / 1e6 / result.seconds,
    }
  }

  /** Connects and logs in so many times; throws when that was not resumed, or not full, as asked. */
  async opens(count: number, resumed: boolean, atOnce = 4): Promise<Omit<Cost, 'p50Ms' | 'p99Ms'>> {
    await this.#ask({kind: 'opens', count: Math.ceil(count / 4), atOnce, resumed})
    const before = cpuUsOf(this.#serverPid)
    const result = await this.#ask<OpensResult>({kind: 'opens', count, atOnce, resumed})
    const cpuUs = (cpuUsOf(this.#serverPid) - before) / count
    if (result.reused !== (resumed ? count : 0)) throw new Error(`${result.reused} of ${count} sessions were resumed`)
    return {cpuUs, ratePerS: count / result.seconds, loadCores: result.cpuUs / 1e6 / result.seconds}
  }

  async idle(sessions: number, linksEach: number): Promise<void> {
    await this.#ask({kind: 'idle', sessions, linksEach})
  }

  /** Resolves when the server has closed all idle sessions. */
  async closed(): Promise<void> {
    await this.#ask({kind: 'closed'})
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child[Symbol.asyncDispose]()
  }

  #ask<Result>(phase: Phase): Promise<Result> {
    return this.#child.ask(phase)
  }
}

/** Lets all threads of some processes run on these cores only (`0`, `0-1`). Linux only. */
export function pin(pids: readonly number[], cores: string): void {
  for (const pid of pids)
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, `${pid}`], {stdio: 'ignore'})
}
