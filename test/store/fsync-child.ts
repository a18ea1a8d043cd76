/** Appends and renews on the store at PATH, one call at a time, and prints a line before and after each: for counting system calls between. */
import assert from 'node:assert/strict'
import {writeSync} from 'node:fs'
import {SqliteStore} from '../../src/store/sqlite.ts'
import type {NewEntry} from '../../src/store/store.ts'

const [, , path = assert.fail('no path')] = process.argv
let nextSeq = 0

function put(): NewEntry {
  const instance = {seq: nextSeq++, service: '{}', lastHeartbeatS: 1}
  return {timeMs: 1, actor: 'child', change: '{}', effect: {kind: 'put', instance}}
}

async function announced(what: string, call: () => Promise<unknown>): Promise<void> {
  writeSync(1, `begin ${what}\n`)
  await call()
  writeSync(1, `end ${what}\n`)
}

await using store = new SqliteStore(path)
await store.open()
await store.append([put()]) // makes the WAL, which takes more
for (let round = 0; round < 5; round++) {
  await announced('single', () => store.append([put()]))
  await announced('batch', () => store.append(Array.from({length: 50}, put)))
  await announced('renewals', () => store.saveRenewals([{seq: 0, lastHeartbeatS: 2 + round}]))
}
