/**
 * Fills the disk, or what it may use of it, under a store and checks that the store takes that well. Started by sqlite-faults.test.ts as
 * `full-disk-child.ts DIR ballast` on a file system of 3 MB, or `full-disk-child.ts DIR limit` with a limit of 2 MB per file.
 */
import assert from 'node:assert/strict'
import {execFileSync} from 'node:child_process'
import {rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {RegistryError} from '../../src/base/errors.ts'
import {CHAIN_START, verifyChain} from '../../src/store/chain.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import type {NewEntry} from '../../src/store/store.ts'

const [, , folder = assert.fail('no directory'), means = assert.fail('no means')] = process.argv
const ballast = join(folder, 'ballast')
const path = join(folder, 'registry.db')
// Without a handler the signal ends the process; with one the write fails with EFBIG.
process.on('SIGXFSZ', () => {})
if (means === 'ballast') writeFileSync(ballast, Buffer.alloc(1_500_000))

function makeRoom(): void {
  if (means === 'ballast') rmSync(ballast)
  else execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=unlimited:unlimited'])
}

function put(seq: number): NewEntry {
  const service = JSON.stringify({id: seq, filler: 'x'.repeat(2000)})
  return {timeMs: seq, actor: 'full', change: '{}', effect: {kind: 'put', instance: {seq, service, lastHeartbeatS: 1}}}
}

/** Appends until neither that nor a probe succeeds; a single append may fail where the next one finds room in the other file. */
async function appendUntilFull(store: SqliteStore): Promise<number> {
  let stored = 0
  for (let round = 0; round < 10_000; round++) {
    try {
      await store.append(Array.from({length: 10}, (_, index) => put(stored + index)))
      stored += 10
    } catch (error) {
      assertFailed(error)
      const probed = await store.probe().catch((error: unknown) => assertFailed(error))
      if (probed === 'failed') return stored
    }
  }
  return assert.fail('the disk did not fill up')
}

function assertFailed(error: unknown): 'failed' {
  assert(error instanceof RegistryError)
  assert.equal(error.code, 'REG_STORE_FAILED')
  console.log(error.message)
  return 'failed'
}

async function assertHolds(store: SqliteStore, count: number): Promise<void> {
  const entries = await store.read(0, count + 1)
  const verdict = verifyChain(entries, CHAIN_START)
  assert(verdict.kind === 'intact', JSON.stringify(verdict))
  assert.equal(entries.length, count)
  const instances = (await Array.fromAsync(store.instances())).flat()
  assert.equal(instances.length, count)
}

const store = new SqliteStore(path)
await store.open()
const stored = await appendUntilFull(store)
assert(stored > 100, `only ${stored} before the disk was full`)
await assert.rejects(store.append(Array.from({length: 10}, (_, index) => put(stored + index))), {
  code: 'REG_STORE_FAILED',
})
await assertHolds(store, stored)
makeRoom()
await store.probe()
assert.equal((await store.append([put(stored)]))[0], stored)
await assertHolds(store, stored + 1)
await store.close()
const again = new SqliteStore(path)
assert.equal((await again.open()).nextOffset, stored + 1)
await assertHolds(again, stored + 1)
await again.close()
console.log(`whole after ${stored} entries`)
