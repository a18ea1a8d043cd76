/** Fills the store at PATH with some MB and copies it to COPY: for looking at the system calls of the copy. */
import assert from 'node:assert/strict'
import {SqliteStore} from '../../src/store/sqlite.ts'
import type {NewEntry} from '../../src/store/store.ts'

const MB = 12
const CHANGE_CHARS = 100_000
const [, , path = assert.fail('no path'), copy = assert.fail('no copy')] = process.argv

function entry(): NewEntry {
  return {timeMs: 1, actor: 'child', change: `"${'x'.repeat(CHANGE_CHARS)}"`, effect: {kind: 'none'}}
}

await using store = new SqliteStore(path)
await store.open()
await store.append(Array.from({length: (MB * 1e6) / CHANGE_CHARS}, entry))
await store.snapshot(copy)
