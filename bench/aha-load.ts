import {LineChild} from './child.ts'
import type {Target, Todo} from './telepath-load.ts'
import {NETWORK} from './telepath-names.ts'

/** Where AHA is, and who asks there. */
export type AhaTarget = Required<Pick<Target, 'host' | 'port' | 'tls'>>

export type AhaPhase =
  /** Registers `svc-0` and so on through a session that stays open. */
  | {readonly kind: 'fill'; readonly from: number; readonly to: number}
  /** Registers one service after the other, and gives after how long each was there for another client. */
  | {readonly kind: 'visible'; readonly count: number}
  /** Makes the requests for certificates of so many services. */
  | {readonly kind: 'requests'; readonly count: number}
  /** Makes a one-time URL, redeems it and has both certificates signed, for each of them. */
  | {readonly kind: 'provision'; readonly atOnce: number}
  /** Opens sessions with so many links, each of which registers a service, and comes back when it is cut off. */
  | {readonly kind: 'sessions'; readonly sessions: number; readonly linksEach: number}
  /** Waits until all have come back; gives when the last one had, epoch. */
  | {readonly kind: 'back'; readonly times: number}

/** What a service says of itself, as a real one does. */
export function infoOf(index: number) {
  const hex = index.toString(16).padStart(32, '0')
  const hostname = `00.svc-${index}.${NETWORK}`
  const urlinfo = {scheme: 'ssl', port: 30_000 + (index % 30_000), path: '', hostname, ca: NETWORK}
  return {run: hex, iden: hex, leader: `svc-${index}`, urlinfo, ready: true, promotable: true}
}

/** The call that registers a service. */
export function registration(name: string, index: number): Todo {
  return ['addAhaSvc', [name, infoOf(index)], {network: NETWORK}]
}

export const nameOf = (index: number) => `00.svc-${index}`

/** Services and administrators in a process of their own. */
export class AhaLoad implements AsyncDisposable {
  readonly #child = new LineChild('./aha-worker.ts')

  static async start(target: AhaTarget): Promise<AhaLoad> {
    const load = new AhaLoad()
    await load.#child.ask(target)
    return load
  }

  fill(from: number, to: number): Promise<void> {
    return this.#ask({kind: 'fill', from, to})
  }

  /** Gives the times in ms. */
  visible(count: number): Promise<readonly number[]> {
    return this.#ask({kind: 'visible', count})
  }

  /** Gives how many services were provisioned in a second. */
  async provision(count: number, atOnce: number): Promise<number> {
    await this.#ask({kind: 'requests', count})
    return this.#ask({kind: 'provision', atOnce})
  }

  sessions(sessions: number, linksEach: number): Promise<void> {
    return this.#ask({kind: 'sessions', sessions, linksEach})
  }

  /** Resolves when each session has come back so many times, with when the last one had, epoch in ms. */
  back(times: number): Promise<number> {
    return this.#ask({kind: 'back', times})
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child[Symbol.asyncDispose]()
  }

  #ask<Result>(phase: AhaPhase): Promise<Result> {
    return this.#child.ask(phase)
  }
}
