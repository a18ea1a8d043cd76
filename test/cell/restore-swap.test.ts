import {existsSync, mkdtempSync} from 'node:fs'
import {mkdir, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeEach, expect, test} from 'vitest'
import {lockCellDir} from '../../src/cell/dirs.ts'
import {isBeingRestored, mendRestore, RestoreSite} from '../../src/cell/restore-swap.ts'
import {tryFileLock} from '../../src/store/file-lock.ts'
import {withoutLinks} from '../support/without-links.ts'

const home = mkdtempSync(join(tmpdir(), 'registry-swap-'))
const NOW = Date.parse('2026-11-21T12:00:00Z')
const KEPT = 'cell.before-restore-20261121T120000Z'
let made = 0
let parent = ''
let dir = ''

beforeEach(async () => {
  parent = join(home, `${++made}`)
  dir = join(parent, 'cell')
  await mkdir(parent)
})
afterAll(() => rm(home, {recursive: true}))

async function fill(path: string, content: string): Promise<void> {
  await mkdir(path, {recursive: true})
  await writeFile(join(path, 'cell.guid'), content)
}

const contentOf = (path: string): Promise<string> => readFile(join(path, 'cell.guid'), 'utf8')
const names = async (): Promise<readonly string[]> => (await readdir(parent)).toSorted()

/** What a restore leaves that was killed: what is beside the directory. */
async function killed(note: object | undefined, hasData = true): Promise<void> {
  const container = join(parent, '.cell.restore')
  await mkdir(container)
  await writeFile(`${container}.lock`, '')
  if (hasData) await fill(join(container, 'data'), 'new')
  if (note !== undefined)
    await writeFile(join(container, 'swap.json'), JSON.stringify({v: 1, shelf: 'backups', ...note}))
}

test('the restored directory gets the name, the old one is kept, and its backups stay where they were', async () => {
  await fill(dir, 'old')
  await fill(join(dir, 'backups', 'b1'), 'backup')
  {
    await using site = await RestoreSite.open(dir)
    await fill(site.data, 'new')
    expect(await site.swap('backups', NOW)).toBe(join(parent, KEPT))
  }
  expect(await contentOf(dir)).toBe('new')
  expect(await contentOf(join(dir, 'backups', 'b1'))).toBe('backup')
  expect(await contentOf(join(parent, KEPT))).toBe('old')
  expect(existsSync(join(parent, KEPT, 'backups'))).toBe(false)
  expect(await names()).toEqual(['cell', KEPT])
})

test('where nothing was, or an empty directory, nothing is kept', async () => {
  for (const prepare of [() => Promise.resolve(), () => rm(dir, {recursive: true}).then(() => mkdir(dir))]) {
    await prepare()
    await using site = await RestoreSite.open(dir)
    await fill(site.data, 'new')
    expect(await site.swap('backups', NOW)).toBeNull()
    expect(await contentOf(dir)).toBe('new')
  }
  expect(await names()).toEqual(['.cell.restore', '.cell.restore.lock', 'cell'].filter((name) => name === 'cell'))
})

test('two restores of one second do not keep their old directories under one name', async () => {
  await fill(dir, 'old')
  for (const kept of [KEPT, `${KEPT}-2`]) {
    await using site = await RestoreSite.open(dir)
    await fill(site.data, 'new')
    expect(await site.swap('backups', NOW)).toBe(join(parent, kept))
  }
})

test('a restore that is given up leaves nothing', async () => {
  await fill(dir, 'old')
  {
    await using site = await RestoreSite.open(dir)
    await fill(site.data, 'new')
    await expect(RestoreSite.open(dir)).rejects.toMatchObject({code: 'REG_CONFLICT'})
  }
  expect(await names()).toEqual(['cell'])
  expect(await contentOf(dir)).toBe('old')
})

test('killed before the note: the directory is as it was, and the next restore removes the rest', async () => {
  await fill(dir, 'old')
  await killed(undefined)
  expect(await mendRestore(dir)).toBe(false)
  await (await RestoreSite.open(dir))[Symbol.asyncDispose]()
  expect([await contentOf(dir), await names()]).toEqual(['old', ['cell']])
})

test('killed between the note and the first move: the directory is as it was', async () => {
  await fill(dir, 'old')
  await killed({kept: KEPT})
  expect(await mendRestore(dir)).toBe(false)
  expect(await contentOf(dir)).toBe('old')
  await (await RestoreSite.open(dir))[Symbol.asyncDispose]()
  expect([await contentOf(dir), await names()]).toEqual(['old', ['cell']])
})

test.each([false, true])(
  'killed while the directory had no name: whoever comes next goes on (backups moved: %s)',
  async (isShelfMoved) => {
    await fill(join(parent, KEPT), 'old')
    await killed({kept: KEPT})
    await fill(join(parent, isShelfMoved ? '.cell.restore/data' : KEPT, 'backups', 'b1'), 'backup')
    expect(await mendRestore(dir)).toBe(true)
    expect([await contentOf(dir), await contentOf(join(dir, 'backups', 'b1'))]).toEqual(['new', 'backup'])
    expect([await contentOf(join(parent, KEPT)), await names()]).toEqual(['old', ['cell', KEPT]])
    expect(await mendRestore(dir)).toBe(false)
  },
)

test('killed after the last move: the restored directory stays', async () => {
  await fill(dir, 'new')
  await fill(join(parent, KEPT), 'old')
  await killed({kept: KEPT}, false)
  expect(await mendRestore(dir)).toBe(false)
  await (await RestoreSite.open(dir))[Symbol.asyncDispose]()
  expect([await contentOf(dir), await names()]).toEqual(['new', ['cell', KEPT]])
})

test('a restore where the last one was killed without a name goes on with that one first', async () => {
  await fill(join(parent, KEPT), 'old')
  await killed({kept: KEPT})
  await (await RestoreSite.open(dir))[Symbol.asyncDispose]()
  expect(await contentOf(dir)).toBe('new')
})

test('while somebody restores nobody goes on in his place, and a server that starts takes its directory away again', async () => {
  await fill(join(parent, KEPT), 'old')
  await killed({kept: KEPT})
  using _ = tryFileLock(join(parent, '.cell.restore.lock'))
  await expect(mendRestore(dir)).rejects.toMatchObject({code: 'REG_DIR_LOCKED'})
  expect(await isBeingRestored(dir)).toBe(true)
  await expect(lockCellDir(dir)).rejects.toMatchObject({code: 'REG_DIR_LOCKED', message: `${dir} is being restored`})
  expect(existsSync(dir)).toBe(false)
})

test('when the last move fails the directory is as it was', async () => {
  await fill(dir, 'old')
  await fill(join(dir, 'sub', 'backups'), 'backup')
  {
    await using site = await RestoreSite.open(dir)
    await fill(site.data, 'new')
    await writeFile(join(site.data, 'sub'), 'no directory: the backups cannot move')
    await expect(site.swap('sub/backups', NOW)).rejects.toMatchObject({code: 'REG_DIR_UNUSABLE', info: {path: dir}})
  }
  expect([await contentOf(dir), await contentOf(join(dir, 'sub/backups')), await names()]).toEqual([
    'old',
    'backup',
    ['cell'],
  ])
})

test('where there are no links a directory is restored beside, and what is in one is not begun with', async () => {
  await fill(dir, 'old')
  using _ = withoutLinks()
  await expect(RestoreSite.open(dir, {isWithin: true})).rejects.toMatchObject({
    code: 'REG_DIR_UNUSABLE',
    message: expect.stringMatching(/its file system has no links \(EPERM\)/),
  })
  expect(await contentOf(dir)).toBe('old')
  expect((await readdir(dir)).filter((name) => name.startsWith('.restore'))).toEqual([])
  await using site = await RestoreSite.open(dir)
  await fill(site.data, 'new')
  await site.swap('backups', NOW)
  expect(await contentOf(dir)).toBe('new')
})

test('without a new directory nothing is moved', async () => {
  await fill(dir, 'old')
  await using site = await RestoreSite.open(dir)
  await expect(site.swap('backups', NOW)).rejects.toMatchObject({code: 'REG_DIR_UNUSABLE'})
  expect(await contentOf(dir)).toBe('old')
})

test('a note that nobody can read stops who comes next', async () => {
  await killed({kept: '../elsewhere'})
  await expect(mendRestore(dir)).rejects.toMatchObject({code: 'REG_DIR_UNUSABLE'})
})
