import assert from 'node:assert/strict'
import {spawnSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, test} from 'vitest'
import {CHAIN_START, verifyChain} from '../../src/store/chain.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import type {NewEntry} from '../../src/store/store.ts'
import {Child} from '../support/child.ts'

const ROUNDS = 4
const MOUNT = [
  'unshare',
  '--user',
  '--map-root-user',
  '--mount',
  'sh',
  '-c',
  'mount -t tmpfs -o size=3m tmpfs "$0" && exec "$@"',
]
const canMount = spawnSync(MOUNT[0] ?? '', [...MOUNT.slice(1), tmpdir(), 'true']).status === 0
/** A small disk of our own where the system lets us mount one, and a limit on the size of files everywhere. */
const DISKS = [...(canMount ? ['ballast'] : []), 'limit']

/** Where strace is installed and allowed. */
const TRACERS = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0 ? ['strace'] : []

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-store-'))
  path = join(folder, 'registry.db')
})
afterEach(() => rm(folder, {recursive: true}))

function put(seq: number): NewEntry {
  const instance = {seq, service: '{}', lastHeartbeatS: 1}
  return {timeMs: 1, actor: 'test', change: '{}', effect: {kind: 'put', instance}}
}

describe('SqliteStore when the world is bad', () => {
  test('what was acknowledged before a kill -9 is there, whole and in order', async () => {
    let acknowledged = 0
    for (let round = 1; round <= ROUNDS; round++) {
      await using child = new Child(new URL('append-child.ts', import.meta.url), [path])
      for (let line = 0; line < 40 * round; line++) acknowledged = Number(await child.line())
      await child.kill()
      for (let line = await child.line(); line !== undefined; line = await child.line()) acknowledged = Number(line)

      await using store = new SqliteStore(path)
      const head = await store.open()
      assert(head.nextOffset >= acknowledged, `acknowledged ${acknowledged}, there ${head.nextOffset}`)
      const entries = await store.read(0, head.nextOffset)
      const verdict = verifyChain(entries, CHAIN_START)
      assert.deepEqual(verdict, {kind: 'intact', end: {nextOffset: head.nextOffset, lastHash: head.lastHash}})
      assert.equal(head.nextOffset % 4, 0, 'no batch is stored in part')
      const instances = (await Array.fromAsync(store.instances())).flat()
      assert.equal(instances.length, head.nextOffset / 2, 'of four entries of a batch two leave an instance')
    }
  })

  test('while another process holds the lock changes fail and reads go on; afterwards changes succeed', async () => {
    await using store = new SqliteStore(path)
    await store.open()
    await store.append([put(0)])
    await using child = new Child(new URL('lock-child.ts', import.meta.url), [path])
    assert.equal(await child.line(), 'held')
    await assert.rejects(store.append([put(1)]), (error: Error & {code: string; info: object}) => {
      assert.equal(error.code, 'REG_STORE_FAILED')
      assert.deepEqual(error.info, {
        place: path,
        operation: 'write to',
        sqlite: 'SQLITE_BUSY',
        errcode: 5,
        errstr: 'database is locked',
      })
      return true
    })
    assert.equal((await store.read(0, 10)).length, 1)
    child.release()
    await child.finish()
    assert.equal((await store.append([put(1)]))[0], 1)
  })

  test.each(DISKS)(
    'a full disk (%s) refuses changes, loses nothing, and is used again when there is room',
    async (means) => {
      const wrapper = means === 'ballast' ? [...MOUNT, folder] : ['prlimit', '--fsize=2000000:']
      await using child = new Child(new URL('full-disk-child.ts', import.meta.url), [folder, means], wrapper)
      const lines = await child.finish()
      assert.match(lines.at(-1) ?? '', /^whole after \d+ entries$/)
      assert(lines.length > 1)
    },
  )

  test.each(TRACERS)(
    '%s sees one fsync per append, before its promise resolves, and none for renewals',
    async (tracer) => {
      const trace = join(folder, 'trace')
      const wrapper = [tracer, '-f', '-o', trace, '-e', 'trace=write,fsync,fdatasync']
      await using child = new Child(new URL('fsync-child.ts', import.meta.url), [path], wrapper)
      await child.finish()
      const counts: Record<string, number[]> = {single: [], batch: [], renewals: []}
      let count = 0
      for (const line of readFileSync(trace, 'utf8').split('\n')) {
        if (/ f(data)?sync\(/.test(line)) count += 1
        const [, verb, what = ''] = /write\(1, "(begin|end) (\w+)/.exec(line) ?? []
        if (verb === 'begin') count = 0
        if (verb === 'end') counts[what]?.push(count)
      }
      assert.deepEqual(counts, {single: Array(5).fill(1), batch: Array(5).fill(1), renewals: Array(5).fill(0)})
    },
  )

  test('when the thread dies, everything that waits fails, and so does everything later', async () => {
    const store = new SqliteStore(path)
    await store.open()
    const faulty = {...put(0), actor: 5 as unknown as string}
    const died = {code: 'REG_STORE_FAILED', message: /the thread of the database died/}
    await Promise.all([
      assert.rejects(store.append([faulty]), died),
      assert.rejects(store.append([put(1)]), died),
      assert.rejects(store.read(0, 1), died),
    ])
    await assert.rejects(store.append([put(1)]), died)
    await assert.rejects(store.probe(), died)
    await store.close()

    await using again = new SqliteStore(path)
    assert.equal((await again.open()).nextOffset, 0)
  })
})
