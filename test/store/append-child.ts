/** Appends to the store at PATH for ever, several batches at a time, and prints the next offset whenever one is acknowledged. */
import assert from 'node:assert/strict'
import {writeSync} from 'node:fs'
import {SqliteStore} from '../../src/store/sqlite.ts'
import type {Effect, NewEntry} from '../../src/store/store.ts'

const BATCH = 4
const OUTSTANDING = 3
const [, , path = assert.fail('no path')] = process.argv
const store = new SqliteStore(path)
let {nextSeq} = await store.open()

/** Each fourth entry removes the instance that the one before it put. */
function entry(index: number): NewEntry {
  const seq = index % BATCH === BATCH - 1 ? nextSeq - 1 : nextSeq++
  const instance = {seq, service: `{"seq":${seq}}`, lastHeartbeatS: 1}
  const effect: Effect = index % BATCH === BATCH - 1 ? {kind: 'delete', seq} : {kind: 'put', instance}
  return {timeMs: 1, actor: 'child', change: JSON.stringify({kind: effect.kind, seq}), effect}
}

async function appendForEver(): Promise<never> {
  for (;;) {
    const [offset] = await store.append(Array.from({length: BATCH}, (_, index) => entry(index)))
    writeSync(1, `${offset + BATCH}\n`)
  }
}

await Promise.all(Array.from({length: OUTSTANDING}, appendForEver))
