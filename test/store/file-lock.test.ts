import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {tryFileLock} from '../../src/store/file-lock.ts'

test('a lock is held by one at a time', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'registry-lock-'))
  const path = join(folder, 'lock')
  {
    using first = tryFileLock(path)
    expect(first).toBeDefined()
    expect(tryFileLock(path)).toBeUndefined()
  }
  using again = tryFileLock(path)
  expect(again).toBeDefined()
  await rm(folder, {recursive: true})
})

test('a place where no file can be is an error of the system', () => {
  expect(() => tryFileLock('/proc/nothing/lock')).toThrow(/ENOENT/)
})
