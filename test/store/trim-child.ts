/**
 * Fills the store at PATH by the model (log-model.ts), and copies it to COPY now and then. Prints `stored N` when the first N entries are
 * acknowledged, and `copied N` when a copy with N is there. Closes the store after LAST
 * entries, if that is given, or with `stay` leaves it open until it is killed.
 */
import assert from 'node:assert/strict'
import {writeSync} from 'node:fs'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {entryAt, type LogShape} from '../support/log-model.ts'

const [, , path = assert.fail('no path'), copy = assert.fail('no copy'), text = '', last = 'Infinity', end = ''] =
  process.argv
const shape: LogShape = JSON.parse(text)
/** Appends between two copies. */
const COPY_EVERY = 20
const OUTSTANDING = 2

const store = new SqliteStore(path)
let {nextOffset} = await store.open()
let copying: Promise<void> | undefined

async function appendOn(): Promise<void> {
  while (nextOffset < Number(last)) {
    const first = nextOffset
    nextOffset += shape.batch
    await store.append(Array.from({length: shape.batch}, (_, index) => entryAt(shape, first + index)))
    writeSync(1, `stored ${first + shape.batch}\n`)
    if ((first / shape.batch) % COPY_EVERY === COPY_EVERY - 1) copying ??= copyOnce()
  }
}

async function copyOnce(): Promise<void> {
  const head = await store.snapshot(copy)
  writeSync(1, `copied ${head.nextOffset}\n`)
  copying = undefined
}

await Promise.all(Array.from({length: OUTSTANDING}, appendOn))
await copying
if (end === 'stay') await new Promise(() => {})
while ((await store.size()).isFreeing) await store.probe()
await store.close()
