// Whose a restored directory is: root gives it away, and nobody else can.
import {mkdtempSync} from 'node:fs'
import {chown, lstat, mkdir, readdir, rm, symlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, test} from 'vitest'
import {giveTo, makeOwnedDir, ownerFor} from '../../src/cell/restore-owner.ts'
import {RestoreSite} from '../../src/cell/restore-swap.ts'

const home = mkdtempSync(join(tmpdir(), 'registry-owner-'))
const NOW = Date.parse('2026-11-21T12:00:00Z')
const isRoot = process.geteuid?.() === 0
const OWN = `${process.geteuid?.()}:${process.getegid?.()}`
/** Of the service: nobody else's here. Only root can make files for it. */
const SERVICE = isRoot ? {uid: 12345, gid: 54321} : {uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0}
const THEIRS = `${SERVICE.uid}:${SERVICE.gid}`
let made = 0

afterAll(() => rm(home, {recursive: true}))

/** A directory of the service. */
async function theirDir(name = `dir${++made}`): Promise<string> {
  const dir = join(home, name)
  await mkdir(dir)
  await chown(dir, SERVICE.uid, SERVICE.gid)
  return dir
}

async function ownerOf(path: string): Promise<string> {
  const {uid, gid} = await lstat(path)
  return `${uid}:${gid}`
}

/** The owners of a directory and of all that is in it. */
async function ownersIn(dir: string): Promise<ReadonlySet<string>> {
  const items = await readdir(dir, {withFileTypes: true, recursive: true})
  const paths = [dir, ...items.map((item) => join(item.parentPath, item.name))]
  return new Set(await Promise.all(paths.map(ownerOf)))
}

async function restoreTo(dir: string, isWithin: boolean): Promise<{kept: string | null; given: unknown}> {
  await using site = await RestoreSite.open(dir, {isWithin})
  await mkdir(join(site.data, 'certs/cas'), {recursive: true, mode: 0o700})
  for (const path of ['cell.guid', 'registry.db', 'certs/cas/ca.crt']) await writeFile(join(site.data, path), 'new')
  const given = await site.give()
  return {kept: await site.swap('var/backups', NOW), given}
}

describe.each([
  ['beside', false],
  ['within', true],
])('what root restores %s a directory', (_, isWithin) => {
  test('is of whom the directory was, and so is what was made for its backups', async () => {
    const dir = await theirDir()
    await mkdir(join(dir, 'var/backups/b1'), {recursive: true})
    await writeFile(join(dir, 'cell.guid'), 'old')
    for (const path of ['var', 'var/backups', 'var/backups/b1', 'cell.guid'])
      await chown(join(dir, path), SERVICE.uid, SERVICE.gid)
    const {kept, given} = await restoreTo(dir, isWithin)
    expect(given).toEqual(isRoot ? {...SERVICE, isGiven: true} : undefined)
    expect(await readdir(join(dir, 'var/backups'))).toEqual(['b1'])
    await rm(join(dir, '.restore'), {recursive: true, force: true})
    expect(await ownersIn(dir)).toEqual(new Set([THEIRS]))
    expect(await ownersIn(kept ?? '')).toEqual(new Set([THEIRS]))
  })
})

test('what root restores to a new directory is of whom the one around it is, with those that had to be made', async () => {
  const parent = await theirDir()
  const {given} = await restoreTo(join(parent, 'a/b'), false)
  expect(given).toEqual(isRoot ? {...SERVICE, isGiven: true} : undefined)
  expect(await ownersIn(parent)).toEqual(new Set([THEIRS]))
})

test('what is restored where root, or who restores, is the owner stays as it is', async () => {
  const dir = join(home, `dir${++made}`)
  const {given} = await restoreTo(dir, false)
  expect(given).toBeUndefined()
  expect(await ownersIn(dir)).toEqual(new Set([OWN]))
})

test('no link is followed', async () => {
  const container = join(home, `dir${++made}`)
  const data = join(container, 'data')
  const elsewhere = join(home, `dir${++made}`)
  await mkdir(data, {recursive: true, mode: 0o700})
  await mkdir(elsewhere)
  await writeFile(join(elsewhere, 'file'), '')
  await symlink(elsewhere, join(data, 'link'))
  expect(await giveTo({container, data, dir: elsewhere}, SERVICE)).toBe(isRoot)
  expect(await ownerOf(join(data, 'link'))).toBe(THEIRS)
  expect(await ownersIn(elsewhere)).toEqual(new Set([OWN]))
})

test('a container that is not of who restores, or is a link, is not gone into', async () => {
  const container = await theirDir()
  const data = join(container, 'data')
  await mkdir(data)
  expect(await giveTo({container, data, dir: home}, SERVICE)).toBe(false)
  expect(await ownerOf(data)).toBe(OWN)
  const link = join(home, `dir${++made}`)
  await symlink(container, link)
  await expect(giveTo({container: link, data: join(link, 'data'), dir: home}, SERVICE)).rejects.toThrow(/ELOOP|ENOTDIR/)
})

test('a directory that is there stays as it is', async () => {
  const dir = await theirDir()
  const inner = join(dir, 'inner')
  await mkdir(inner, {mode: 0o755})
  await makeOwnedDir(inner)
  expect([await ownerOf(inner), (await lstat(inner)).mode & 0o777]).toEqual([OWN, 0o755])
  expect(await ownerFor(inner)).toBeUndefined()
})
