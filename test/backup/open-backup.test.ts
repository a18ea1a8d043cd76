import {copyFile, mkdir, mkdtemp, readFile, rename, rm, symlink, truncate, unlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {openBackup, verifyBackup} from '../../src/backup/open-backup.ts'
import {makeBackup} from '../support/made-backup.ts'

let root: string
let dir: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'registry-open-'))
  dir = join(root, 'made')
})
afterEach(async () => {
  await rm(root, {recursive: true})
})

const refused = (path: string, reason: RegExp) =>
  expect(openBackup(path)).rejects.toMatchObject({
    code: 'REG_BACKUP_INVALID',
    message: expect.stringMatching(reason),
  })

describe('a directory', () => {
  test('with a manifest is a backup, also through a link and under another name', async () => {
    const manifest = await makeBackup(dir)
    expect(await openBackup(dir)).toEqual({kind: 'directory', path: dir, manifest})
    await rename(dir, join(root, 'other'))
    await symlink('other', join(root, 'link'))
    expect((await openBackup(join(root, 'link'))).manifest).toEqual(manifest)
  })

  test('is verified, and what is being done is told', async () => {
    const manifest = await makeBackup(dir)
    await unlink(join(dir, 'cell.yaml'))
    const told: unknown[] = []
    const progress = {phase: (...what: unknown[]) => told.push(what), add() {}}
    const backup = await openBackup(dir)
    const findings = await verifyBackup(backup, {progress, signal: new AbortController().signal})
    expect(findings).toEqual([{path: 'cell.yaml', problem: 'missing'}])
    expect(told).toEqual([['verifying', manifest.files.reduce((sum, {size}) => sum + size, 0)]])
  })

  test('without a manifest is none', async () => {
    await mkdir(dir)
    await refused(dir, /made is no backup: it has no backup\.json$/)
  })

  test('of a cell is none', async () => {
    await makeBackup(dir)
    await unlink(join(dir, 'backup.json'))
    await refused(dir, /it is the directory of a cell, or an unfinished copy of one/)
  })

  test('that was not finished is none, even with a manifest', async () => {
    await makeBackup(dir)
    const partial = join(root, '.made.partial-0123abcd')
    await rename(dir, partial)
    await refused(partial, /it was not finished/)
  })

  test('with a manifest that was altered, cut or swapped is none', async () => {
    await makeBackup(dir)
    const file = join(dir, 'backup.json')
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace('"index": 5', '"index": 6'))
    await refused(dir, /backup\.json is not the manifest of a backup: it was altered/)
    await truncate(file, 100)
    await refused(dir, /not complete JSON/)
    await writeFile(file, '')
    await refused(dir, /not complete JSON/)
  })

  test('with a link in place of its manifest is none', async () => {
    await makeBackup(dir)
    await copyFile(join(dir, 'backup.json'), join(root, 'elsewhere'))
    await unlink(join(dir, 'backup.json'))
    await symlink(join(root, 'elsewhere'), join(dir, 'backup.json'))
    await refused(dir, /ELOOP/)
  })

  test('with a manifest larger than any is none, and it is not read', async () => {
    await makeBackup(dir)
    await truncate(join(dir, 'backup.json'), 2 ** 40)
    await refused(dir, /larger than any manifest/)
  })
})

test('what is not there is no backup', async () => {
  await refused(join(root, 'absent'), /absent is no backup: it is not there/)
})

test('a link that leads nowhere is no backup', async () => {
  await symlink('nowhere', join(root, 'link'))
  await refused(join(root, 'link'), /ENOENT/)
})
