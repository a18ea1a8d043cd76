// A restore within a directory, killed after each single step, forth and back: who comes next finds wholly what was there, or wholly what was restored.
import {mkdtempSync} from 'node:fs'
import {mkdir, readdir, readFile, readlink, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, expect, test} from 'vitest'
import {isAside} from '../../src/backup/aside-names.ts'
import {readDirKind} from '../../src/cell/dir-kind.ts'
import {lockCellDir} from '../../src/cell/dirs.ts'
import {isHalfRestored, mendRestore, RestoreSite} from '../../src/cell/restore-swap.ts'
import type {Swap} from '../../src/cell/restore-way.ts'
import {WithinWay} from '../../src/cell/restore-within.ts'
import {tryFileLock} from '../../src/store/file-lock.ts'

const home = mkdtempSync(join(tmpdir(), 'registry-within-'))
const NOW = Date.parse('2026-11-21T12:00:00Z')
const KEPT = '.before-restore-20261121T120000Z'
const GUID = 'ab'.repeat(16)
let made = 0

afterAll(() => rm(home, {recursive: true}))

type Files = Readonly<Record<string, string>>

const OLD = {'cell.guid': GUID, 'registry.db': 'old', 'registry.db-wal': 'old', 'certs/a.crt': 'old', only: 'old'}
const NEW = {'cell.guid': GUID, 'registry.db': 'new', 'certs/a.crt': 'new', 'cell.yaml': 'new'}
const SHELF = {'backups/b1/backup.json': 'backup'}

async function fill(dir: string, files: Files): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(dir, path, '..'), {recursive: true})
    await writeFile(join(dir, path), content)
  }
}

/** All files that are part of the cell, and its backups. */
async function filesOf(dir: string): Promise<Files> {
  const files: Record<string, string> = {}
  for (const item of await readdir(dir, {withFileTypes: true, recursive: true})) {
    const path = join(item.parentPath, item.name).slice(dir.length + 1)
    const isPart = !isAside(path.split('/', 1)[0] ?? '') && !path.startsWith('lock.db')
    if (isPart && !item.isDirectory()) files[path] = await readFile(join(dir, path), 'utf8')
  }
  return files
}

/** A directory in which all is ready for the first step. */
async function begin(old: Files, shelf: string): Promise<{dir: string; way: WithinWay; swap: Swap}> {
  const dir = join(home, `${++made}`)
  await mkdir(dir)
  await fill(dir, old)
  const way = new WithinWay(dir)
  await fill(way.data, NEW)
  const swap = await way.plan(shelf, NOW)
  await writeNote(way, swap, false)
  return {dir, way, swap}
}

const writeNote = (way: WithinWay, {note}: Swap, isBack: boolean): Promise<void> =>
  writeFile(way.note, JSON.stringify({v: 1, ...note, isBack}))

const CASES: readonly (readonly [string, Files, Files, string])[] = [
  ['of a cell, with its backups', {...OLD, ...SHELF}, SHELF, 'backups'],
  [
    'of a cell, with backups that lie deeper',
    {...OLD, 'certs/x/y/b1': 'backup'},
    {'certs/x/y/b1': 'backup'},
    'certs/x/y',
  ],
  ['of a cell, with backups below a directory of their own', {...OLD, 'x/y/b1': 'backup'}, {'x/y/b1': 'backup'}, 'x/y'],
  ['of an empty directory', {}, {}, 'backups'],
  ['of a directory without a cell.guid', {'registry.db': 'old'}, {}, 'backups'],
]

test.each(CASES)('a swap %s that is killed after any step is brought to its end', async (_, old, shelved, shelf) => {
  const count = (await begin(old, shelf)).swap.steps.length
  expect(count).toBeGreaterThan(8)
  for (let killed = 0; killed <= count; killed++) {
    const {dir, swap} = await begin(old, shelf)
    for (const step of swap.steps.slice(0, killed)) await step()
    // A step that was done is done again without harm: the kill came before the next one was begun.
    await swap.steps[killed - 1]?.()
    await expect(lockCellDir(dir)).rejects.toMatchObject({code: 'REG_DIR_LOCKED'})
    expect(await mendRestore(dir)).toBe(true)
    expect(await filesOf(dir), `after step ${killed}`).toEqual({...NEW, ...shelved})
    if (swap.kept !== null) {
      const {'cell.guid': guid, ...kept} = await filesOf(swap.kept)
      const gone = Object.fromEntries(Object.entries(old).filter(([path]) => !(path in shelved)))
      expect({...kept, ...(guid === undefined ? {} : {'cell.guid': guid})}).toEqual(gone)
    }
    expect(await isHalfRestored(dir)).toBe(false)
    expect(await mendRestore(dir)).toBe(false)
    await using cell = await lockCellDir(dir)
    expect(cell.guid).toBe(GUID)
  }
})

test.each(CASES)(
  'a swap %s that goes back after any step, and is killed there after any, ends as it was',
  async (_, old, __, shelf) => {
    const {steps, backSteps} = (await begin(old, shelf)).swap
    for (let failed = 0; failed < steps.length; failed++) {
      for (const killed of failed === steps.length - 1 ? backSteps.keys() : [failed % backSteps.length]) {
        const {dir, way, swap} = await begin(old, shelf)
        for (const step of swap.steps.slice(0, failed)) await step()
        await writeNote(way, swap, true)
        for (const step of swap.backSteps.slice(0, killed)) await step()
        await swap.backSteps[killed - 1]?.()
        expect(await mendRestore(dir)).toBe(true)
        expect(await filesOf(dir), `failed after step ${failed}, killed after step ${killed}`).toEqual(old)
        expect((await readdir(dir)).filter((name) => isAside(name))).toEqual([])
      }
    }
  },
  60_000,
)

test.each(CASES.filter((_, at) => at % 2 === 1))(
  'a swap %s that goes back where that cannot be noted, and is killed, is brought to its end',
  async (_, old, shelved, shelf) => {
    const {steps, backSteps} = (await begin(old, shelf)).swap
    for (let killed = 0; killed <= backSteps.length; killed++) {
      const {dir, swap} = await begin(old, shelf)
      for (const step of swap.steps.slice(0, killed % 2 === 0 ? -1 : steps.length / 2)) await step()
      for (const step of swap.backSteps.slice(0, killed)) await step()
      expect(await mendRestore(dir)).toBe(true)
      expect(await filesOf(dir), `killed after step ${killed}`).toEqual({...NEW, ...shelved})
    }
  },
)

test('from the first move to the last nothing is a cell.guid, nor can be made one', async () => {
  const {dir, swap} = await begin(OLD, 'backups')
  const guid = join(dir, 'cell.guid')
  const seen = []
  for (const step of swap.steps) {
    await step()
    seen.push(
      await readlink(guid).then(
        () => 'link',
        () => readFile(guid, 'utf8'),
      ),
    )
    if (seen.at(-1) === 'link') {
      await expect(writeFile(guid, 'other')).rejects.toMatchObject({code: 'ENOTDIR'})
      expect(await readDirKind(dir)).toMatchObject({kind: 'strange'})
    }
  }
  const first = seen.indexOf('link')
  const last = seen.lastIndexOf('link')
  expect(seen).toEqual([
    ...Array(first).fill(GUID),
    ...Array(last - first + 1).fill('link'),
    ...Array(seen.length - last - 1).fill(GUID),
  ])
  expect(last - first).toBeGreaterThan(Object.keys(OLD).length)
})

test('what was there is kept in the directory; locks, backups and what a volume has of its own stay', async () => {
  const dir = join(home, `${++made}`)
  await fill(dir, {...OLD, ...SHELF})
  await mkdir(join(dir, 'lost+found'))
  using _ = tryFileLock(join(dir, 'lock.db'))
  {
    await using site = await RestoreSite.open(dir, {isWithin: true})
    await fill(site.data, NEW)
    expect(await site.swap('backups', NOW)).toBe(join(dir, KEPT))
  }
  expect(tryFileLock(join(dir, 'lock.db'))).toBeUndefined()
  expect(await filesOf(dir)).toEqual({...NEW, ...SHELF})
  expect(await filesOf(join(dir, KEPT))).toEqual(OLD)
  const names = ['backups', 'cell.guid', 'cell.yaml', 'certs', 'lock.db', 'lost+found', 'registry.db', KEPT]
  expect((await readdir(dir)).toSorted()).toEqual(names.toSorted())
})

test('what is kept may be removed as soon as all is done, even before the note is', async () => {
  const {dir, swap} = await begin(OLD, 'backups')
  for (const step of swap.steps) await step()
  await rm(join(dir, KEPT), {recursive: true})
  expect(await mendRestore(dir)).toBe(true)
  expect(await filesOf(dir)).toEqual(NEW)
})

test('when a move fails the directory is as it was, and nothing is left', async () => {
  const dir = join(home, `${++made}`)
  await fill(dir, {...OLD, backups: 'no directory'})
  await using site = await RestoreSite.open(dir, {isWithin: true})
  await fill(site.data, {...NEW, 'lost+found/x': 'a name that is not moved away'})
  await fill(dir, {'lost+found/y': 'mine'})
  await expect(site.swap('backups', NOW)).rejects.toMatchObject({code: 'REG_DIR_UNUSABLE', info: {path: dir}})
  await site[Symbol.asyncDispose]()
  expect(await filesOf(dir)).toEqual({...OLD, backups: 'no directory'})
  expect((await readdir(dir)).filter((name) => isAside(name))).toEqual(['lost+found'])
  expect(await mendRestore(dir)).toBe(false)
})

test('while somebody restores there nobody goes on in his place', async () => {
  const {dir, way} = await begin(OLD, 'backups')
  using _ = tryFileLock(way.lock)
  await expect(mendRestore(dir)).rejects.toMatchObject({code: 'REG_DIR_LOCKED'})
  await expect(RestoreSite.open(dir, {isWithin: true})).rejects.toMatchObject({code: 'REG_CONFLICT'})
})

test.each([
  {kept: '../elsewhere'},
  {kept: '..'},
  {out: ['a/b']},
  {into: ['..']},
  {into: [1]},
  {hadGuid: 1},
  {shelf: 1},
  {v: 2},
])('a note that nobody can read stops who comes next: %j', async (wrong) => {
  const {dir, way, swap} = await begin(OLD, 'backups')
  await writeFile(way.note, JSON.stringify({v: 1, ...swap.note, ...wrong}))
  await expect(mendRestore(dir)).rejects.toMatchObject({code: 'REG_DIR_UNUSABLE'})
  expect(await filesOf(dir)).toEqual(OLD)
})
