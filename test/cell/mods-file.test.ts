import {mkdtemp, readFile, rm, stat} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {ModsFile} from '../../src/cell/mods-file.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'mods-'))
})
afterAll(() => rm(dir, {recursive: true}))

test('changes that come together all stand in the file, which belongs to the owner alone', async () => {
  const mods = new ModsFile(dir)
  const path = join(dir, 'cell.mods.yaml')
  await Promise.all([mods.set({mirror: null}), mods.set({'nexslog:en': true}), mods.set({'log:level': 'debug'})])
  expect(await readFile(path, 'utf8')).toBe('mirror: null\nnexslog:en: true\nlog:level: debug\n')
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  await mods.set({'nexslog:en': undefined})
  expect(await readFile(path, 'utf8')).toBe('mirror: null\nlog:level: debug\n')
})

test('one that fails is told to who asked, and those after it go on', async () => {
  const gone = new ModsFile(join(dir, 'gone'))
  await expect(gone.set({mirror: null})).rejects.toThrow()
  await expect(gone.set({mirror: null})).rejects.toThrow()
})
