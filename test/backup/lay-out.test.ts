import {createHash} from 'node:crypto'
import {existsSync, mkdtempSync} from 'node:fs'
import {mkdir, readdir, readFile, rm, symlink, truncate, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, expect, test} from 'vitest'
import {type LayOutOptions, layOut} from '../../src/backup/lay-out.ts'
import type {Manifest} from '../../src/backup/manifest.ts'
import {encodeManifest} from '../../src/backup/manifest-write.ts'
import {openBackup} from '../../src/backup/open-backup.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'

const home = mkdtempSync(join(tmpdir(), 'registry-lay-out-'))
const options: LayOutOptions = {progress: NO_PROGRESS, signal: new AbortController().signal}
const CONTENTS = {'cell.guid': '0a'.repeat(16), 'registry.db': 'x'.repeat(70_000), 'certs/users/a.crt': 'PEM'}
let made = 0

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

afterAll(() => rm(home, {recursive: true}))

/** A directory that is a backup, and where to lay it out. */
async function backupHere(): Promise<{dir: string; to: string}> {
  const dir = join(home, `b${++made}`)
  await mkdir(join(dir, 'certs', 'users'), {recursive: true})
  await mkdir(join(dir, 'empty'))
  for (const [path, text] of Object.entries(CONTENTS)) await writeFile(join(dir, path), text)
  const files = Object.entries(CONTENTS).map(([path, text]) => ({
    ...{path, size: text.length, allocated: text.length},
    sha256: sha256(text),
  }))
  const manifest: Manifest = {
    ...{name: `b${made}`, madeAt: '2026-11-21T12:00:00.000Z', madeBy: '1.0.0', how: 'offline', skipped: [], census: {}},
    cell: {kind: 'registry', iden: '0a'.repeat(16), type: 'registry', name: null, version: '1.0.0'},
    log: {epoch: 1, index: 0, hash: '0'.repeat(64)},
    directories: ['certs', 'certs/users', 'empty'],
    files,
  }
  await writeFile(join(dir, 'backup.json'), encodeManifest(manifest))
  return {dir, to: join(home, `to${made}`)}
}

test('a backup is laid out as the directory of a cell: its files and directories, and not what says that it is a backup', async () => {
  const {dir, to} = await backupHere()
  await writeFile(join(dir, 'backup.proofs.json'), '[]')
  const {files, manifest} = await layOut(await openBackup(dir), to, {...options, room: {minFreePercent: 0}})
  expect(files.map(({path}) => path).toSorted()).toEqual(Object.keys(CONTENTS).toSorted())
  expect(manifest?.name).toBe(`b${made}`)
  expect((await readdir(to)).toSorted()).toEqual(['cell.guid', 'certs', 'empty', 'registry.db'])
  for (const [path, text] of Object.entries(CONTENTS)) expect(await readFile(join(to, path), 'utf8')).toBe(text)
})

const damages: readonly (readonly [string, (dir: string) => Promise<void>, string])[] = [
  ['a flipped byte', (dir) => writeFile(join(dir, 'registry.db'), `y${'x'.repeat(69_999)}`), 'registry.db is altered'],
  ['a shorter file', (dir) => truncate(join(dir, 'registry.db'), 5), 'registry.db is altered'],
  ['a missing file', (dir) => rm(join(dir, 'certs/users/a.crt')), 'certs/users/a.crt is missing'],
  ['a missing directory', (dir) => rm(join(dir, 'empty'), {recursive: true}), 'empty is missing'],
  ['a file too many', (dir) => writeFile(join(dir, 'cell.mods.yaml'), 'mirror: x'), 'cell.mods.yaml is unexpected'],
  [
    'a link in the place of a file',
    async (dir) => {
      await rm(join(dir, 'cell.guid'))
      await symlink('/etc/hostname', join(dir, 'cell.guid'))
    },
    'cell.guid is altered',
  ],
]

test.each(damages)('nothing is laid out of a backup with %s', async (_, damage, said) => {
  const {dir, to} = await backupHere()
  await damage(dir)
  const laid = layOut(await openBackup(dir), to, options)
  await expect(laid).rejects.toMatchObject({code: 'REG_BACKUP_DAMAGED', message: expect.stringContaining(said)})
  expect(existsSync(to)).toBe(false)
})

test('nothing is laid out over something, nor where there is too little room', async () => {
  const {dir, to} = await backupHere()
  const backup = await openBackup(dir)
  const room = layOut(backup, to, {...options, room: {minFreePercent: 100}})
  await expect(room).rejects.toMatchObject({code: 'REG_DISK_LOW'})
  expect(existsSync(to)).toBe(false)
  await mkdir(to)
  await expect(layOut(backup, to, options)).rejects.toMatchObject({code: 'REG_CONFLICT'})
  expect(existsSync(to)).toBe(true)
})

test('a laying out that is stopped leaves nothing', async () => {
  const {dir, to} = await backupHere()
  const reason = new Error('enough')
  const stopped = new AbortController()
  const progress = {phase: () => undefined, add: () => stopped.abort(reason)}
  await expect(layOut(await openBackup(dir), to, {progress, signal: stopped.signal})).rejects.toBe(reason)
  expect(existsSync(to)).toBe(false)
})
