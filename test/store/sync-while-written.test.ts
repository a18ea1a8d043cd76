import {spawnSync} from 'node:child_process'
import {appendFile, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {syncWhileWritten} from '../../src/store/sync-while-written.ts'
import {Child} from '../support/child.ts'

/** Where strace is installed and allowed. */
const TRACERS = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0 ? ['strace'] : []

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-sync-'))
})
afterEach(() => rm(folder, {recursive: true}))

test('gives what the writing gives', async () => {
  const path = join(folder, 'f')
  await writeFile(path, '')
  const written = syncWhileWritten(path, async () => {
    for (let piece = 0; piece < 20; piece++) await appendFile(path, Buffer.alloc(1024 * 1024, piece))
    return 'done'
  })
  expect(await written).toBe('done')
})

test('fails as the writing does', async () => {
  const path = join(folder, 'f')
  await writeFile(path, '')
  await expect(syncWhileWritten(path, () => Promise.reject(new Error('full')))).rejects.toThrow('full')
})

test('begins nothing when there is no file', async () => {
  let isBegun = false
  const begin = async () => {
    isBegun = true
  }
  await expect(syncWhileWritten(join(folder, 'f'), begin)).rejects.toMatchObject({code: 'ENOENT'})
  expect(isBegun).toBe(false)
})

test.each(TRACERS)(
  '%s sees a copy of a store go to the disk in portions, all of it before it has its name',
  async (tracer) => {
    const [trace, path, copy] = ['trace', 'registry.db', 'copy.db'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    const wrapper = [tracer, '-f', '-y', '-o', trace, '-e', 'trace=pwrite64,fsync,fdatasync,rename']
    await using child = new Child(new URL('copy-child.ts', import.meta.url), [path, copy], wrapper)
    await child.finish()
    const calls = (await readFile(trace, 'utf8'))
      .split('\n')
      .filter((line) => line.includes('.copy.db.') && !line.includes('-journal'))
    const places = (form: RegExp) => calls.flatMap((line, at) => (form.test(line) ? [at] : []))
    const [writes, syncs, renames] = [places(/ pwrite64\(/), places(/ f(data)?sync\(/), places(/ rename\(/)]
    expect(writes.length).toBeGreaterThan(2000)
    expect(syncs.filter((at) => at < (writes.at(-1) ?? 0)).length, 'while it is written').toBeGreaterThan(0)
    expect(syncs.at(-1)).toBeGreaterThan(writes.at(-1) ?? Number.NaN)
    expect(renames[0]).toBeGreaterThan(syncs.at(-1) ?? Number.NaN)
  },
)
