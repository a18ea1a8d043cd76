import {setTimeout as delay} from 'node:timers/promises'
import type {TestServer} from '../support/server.ts'

const WITHIN_MS = 150_000
const POLL_MS = 10

/** Waits until what the server wrote matches. */
export async function outputOf(server: Pick<TestServer, 'output'>, pattern: RegExp): Promise<void> {
  const giveUpAt = performance.now() + WITHIN_MS
  while (!pattern.test(server.output())) {
    if (performance.now() > giveUpAt) throw new Error(`the server did not write ${pattern}:\n${server.output()}`)
    await delay(POLL_MS)
  }
}
