import {once} from 'node:events'
import {existsSync, readFileSync} from 'node:fs'
import {chown, cp, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile} from 'node:fs/promises'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {basename, join} from 'node:path'
import {gunzipSync} from 'node:zlib'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import type {Manifest} from '../../../src/backup/manifest.ts'
import {encodeManifest} from '../../../src/backup/manifest-write.ts'
import {openBackup} from '../../../src/backup/open-backup.ts'
import {NO_PROGRESS} from '../../../src/backup/progress.ts'
import {lockCellDir} from '../../../src/cell/dirs.ts'
import {mendRestore} from '../../../src/cell/restore-swap.ts'
import {readStoreMember} from '../../../src/server/new-epoch.ts'
import type {ReplayEnd} from '../../../src/server/replay.ts'
import {Restoring} from '../../../src/server/restoring/restore.ts'
import {openSource} from '../../../src/server/restoring/restore-source.ts'
import {SqliteStore} from '../../../src/store/sqlite.ts'
import {backUp} from '../../support/cell-backup.ts'
import {makeBackup} from '../../support/made-backup.ts'
import {copyOf, NETWORK, newLeader, TestMember} from '../../support/mirror-pair.ts'

import {until} from '../../support/wire.ts'

const {signal} = new AbortController()
const [, slab] = JSON.parse(readFileSync(new URL('../../vectors/lmdb.json', import.meta.url).pathname, 'utf8'))
const SLAB = gunzipSync(Buffer.from(slab.gzip, 'base64'))
const NOW = Date.parse('2026-11-21T12:00:00Z')
let home = ''
let leader: TestMember
let mirror: TestMember
/** Of the leader, with a mirror, and `visi`. */
let backup = ''
let manifest: Manifest
let made = 0

/** A leader and its mirror, which know of each other; `later` came after the backup. */
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-restore-'))
  leader = await newLeader()
  await leader.start()
  await leader.stop()
  mirror = await copyOf(leader, `01.${NETWORK}`)
  await leader.start()
  await mirror.start({mirror: leader.url})
  await mirror.event('mirror.caught-up')
  await leader.call('addUser', 'visi')
  await mirror.reach(leader)
  await leader.stop()
  backup = join(home, 'b1')
  manifest = await backUp(leader.dir, backup)
  await leader.start()
  await leader.call('addUser', 'later')
  await mirror.reach(leader)
  await leader.stop()
  await mirror.stop()
})
afterAll(async () => {
  await leader[Symbol.asyncDispose]()
  await mirror[Symbol.asyncDispose]()
  await rm(home, {recursive: true})
})

const readConf = () => Promise.resolve({minFreePercent: 0, isMirror: false, backupDir: null})

async function open(path: string, dir: string, last?: ReplayEnd): Promise<Restoring> {
  const wish = {dir, last, progress: NO_PROGRESS, signal, wallMs: () => NOW, readConf}
  return await Restoring.open({source: await openSource(path, {signal}), ...wish})
}

async function restore(path: string, dir: string, last?: ReplayEnd) {
  await using restoring = await open(path, dir, last)
  const restored = await restoring.prepare()
  return {...restored, ...(await restoring.swap())}
}

const newDir = (): string => join(home, `dir${++made}`)

async function usersOf(member: TestMember): Promise<readonly string[]> {
  const users = (await member.call('getUserDefs')) as readonly {readonly name: string}[]
  return users.map(({name}) => name)
}

async function entriesOf(dir: string) {
  await using store = new SqliteStore(join(dir, 'registry.db'))
  await store.open()
  return await store.read(0, 1000)
}

test('a restored leader has what the backup has, and leads from a new epoch on as another member', async () => {
  const dir = newDir()
  const {history, kept, movedBackup} = await restore(backup, dir)
  const {epoch, index} = manifest.log
  expect(history).toMatchObject({
    role: 'leader',
    epoch: (epoch ?? 0) + 1,
    nextOffset: (index ?? 0) + 1,
    others: [`01.${NETWORK}`],
  })
  expect(history?.lastOffset).toBe((index ?? 0) - 1)
  expect([kept, movedBackup]).toEqual([null, null])
  const {head, state} = await readStoreMember(join(dir, 'registry.db'))
  expect(state.lead).toMatchObject({member: head.iden, how: 'restored', name: leader.name})
  await using again = new TestMember(dir, leader.name)
  await again.start({'leader:alone': true})
  expect(await usersOf(again)).toContain('visi')
  expect(await usersOf(again)).not.toContain('later')
  expect(await again.info()).toMatchObject({iden: manifest.cell.iden, active: true})
})

test('a mirror of the history that was given up is refused, named, and nothing is mixed', async () => {
  const [old, gone] = [leader.dir, `${leader.dir}.before-restore-20261121T120000Z`]
  const {kept} = await restore(backup, old)
  expect(kept).toBe(gone)
  try {
    const before = await entriesOf(mirror.dir)
    await leader.start({'leader:confirm': '300ms'})
    await mirror.start({mirror: leader.url})
    await mirror.event('mirror.refused')
    const health = await mirror.health('mirroring')
    expect(health).toMatchObject({status: 'degraded', mesg: expect.stringContaining('is another one')})
    expect(await usersOf(mirror)).toContain('later')
    expect(await usersOf(leader)).not.toContain('later')
    await mirror.stop()
    expect(await entriesOf(mirror.dir)).toEqual(before)
  } finally {
    await mirror.stop()
    await leader.stop()
    await rm(old, {recursive: true})
    await rename(gone, old)
  }
})

test('what was restored beside a cell that lives is fenced, and nobody of that cell hears of it', async () => {
  const [ofLeader, ofMirror, again] = [newDir(), newDir(), newDir()]
  await restore(backup, ofLeader)
  const path = join(home, 'of-living-mirror')
  const {log} = await backUp(mirror.dir, path)
  await restore(path, ofMirror, {offset: (log.index ?? 0) - 2})
  // Tests before this one restored in the place of the leader, which its mirror hears of.
  const before = new Map([leader, mirror].map((member) => [member, member.logged.length]))
  await leader.start()
  await mirror.start({mirror: leader.url})
  await mirror.event('mirror.caught-up', 2)
  for (const [dir, name] of [
    [ofLeader, leader.name],
    [ofMirror, mirror.name],
  ] as const) {
    await using lab = new TestMember(dir, name)
    await lab.start()
    expect((await lab.event('lead.fenced')).params).toMatchObject({leader: leader.name})
    expect(await lab.info()).toMatchObject({active: false})
  }
  for (const [member, length] of before) {
    const events = member.logged.slice(length)
    expect(events.map(({message}) => message)).not.toContain('lead.fenced')
    // A mirror may hear of its own leader before it has the entry that says so.
    const heard = events.filter(({message}) => message === 'lead.heard').map(({params}) => params?.['how'])
    expect(heard.filter((how) => how === 'restored' || how === 'confirmed')).toEqual([])
  }
  await leader.call('addUser', 'still-here')
  await mirror.stop()
  await leader.stop()
  // When it is gone for good, what was restored leads.
  await restore(backup, again)
  await using heir = new TestMember(again, leader.name)
  await heir.start({'leader:confirm': 0.1})
  await heir.event('lead.unconfirmed')
  // It writes that first.
  await until(async () => (await heir.info())['active'] === true)
})

test('a restored mirror follows its leader as another member, from where the backup was', async () => {
  const [path, dir] = [join(home, 'of-mirror'), newDir()]
  const of = await backUp(mirror.dir, path)
  const {history} = await restore(path, dir)
  expect(history).toMatchObject({role: 'mirror', leader: leader.name, epoch: of.log.epoch, nextOffset: of.log.index})
  await leader.start()
  await using again = new TestMember(dir, mirror.name)
  await again.start({mirror: leader.url})
  await again.event('mirror.caught-up')
  await again.reach(leader)
  expect(await usersOf(again)).toEqual(await usersOf(leader))
  await again.stop()
  await leader.stop()
  // To a moment of the past there is nobody to follow.
  expect(await restore(path, newDir(), {offset: (of.log.index ?? 0) - 2})).toMatchObject({history: {role: 'leader'}})
})

test('a backup can be restored to any entry, or moment, as long as its log is whole', async () => {
  const before = await entriesOf(backup)
  const last = before.findLastIndex(({change}) => change.includes('visi'))
  const {history} = await restore(backup, newDir(), {offset: last - 1})
  expect(history).toMatchObject({lastOffset: last - 1, nextOffset: last + 1, epoch: (manifest.log.epoch ?? 0) + 1})
  const dir = newDir()
  const timeMs = (before[last]?.timeMs ?? 0) - 1
  const atTime = await restore(backup, dir, {timeMs})
  expect(atTime.history?.lastTimeMs).toBeLessThanOrEqual(timeMs)
  expect((await entriesOf(dir)).slice(0, -1)).toEqual(before.slice(0, (atTime.history?.lastOffset ?? -1) + 1))
  expect((await readdir(dir)).filter((name) => name.startsWith('registry.db'))).toEqual(['registry.db'])
})

test('a moment that the backup does not have is refused, and what it has is named', async () => {
  const index = manifest.log.index ?? 0
  const beyond = open(backup, newDir(), {offset: index})
  await expect(beyond).rejects.toMatchObject({
    code: 'REG_NOT_FOUND',
    message: expect.stringContaining(`0 to ${index - 1}`),
  })
  const nowhere = newDir()
  const later = restore(backup, nowhere, {timeMs: Date.parse(manifest.madeAt) + 1})
  await expect(later).rejects.toMatchObject({code: 'REG_NOT_FOUND', message: expect.stringContaining(manifest.madeAt)})
  const muchLater = open(backup, newDir(), {timeMs: Date.parse(manifest.madeAt) + 86_400_001})
  await expect(muchLater).rejects.toMatchObject({code: 'REG_NOT_FOUND'})
  const dir = newDir()
  await expect(restore(backup, dir, {timeMs: 1})).rejects.toMatchObject({code: 'REG_NOT_FOUND'})
  expect([existsSync(dir), existsSync(nowhere)]).toEqual([false, false])
})

test('of a mirror whose clock is behind that of its leader every moment of the log is restored', async () => {
  const entries = await entriesOf(backup)
  const newest = entries.at(-1)?.timeMs ?? 0
  const path = join(home, 'b-behind')
  await cp(backup, path, {recursive: true})
  const behind = {...manifest, madeAt: new Date(newest - 3_600_000).toISOString()}
  await writeFile(join(path, 'backup.json'), encodeManifest(behind))
  const {history} = await restore(path, newDir(), {timeMs: newest})
  expect(history).toMatchObject({lastOffset: entries.length - 1, lastTimeMs: newest})
  const until = new Date(newest).toISOString()
  await expect(restore(path, newDir(), {timeMs: newest + 1})).rejects.toMatchObject({
    code: 'REG_NOT_FOUND',
    message: expect.stringContaining(until),
  })
})

test('a backup in the backups of the directory is restored, and stays there', async () => {
  const dir = newDir()
  await restore(backup, dir)
  const path = join(dir, 'backups', 'nightly')
  await backUp(dir, path)
  await writeFile(join(dir, 'note'), 'mine')
  const {kept, movedBackup} = await restore(path, dir)
  expect(movedBackup).toBeNull()
  expect((await openBackup(path)).manifest.cell.iden).toBe(manifest.cell.iden)
  expect(await readFile(join(kept ?? '', 'note'), 'utf8')).toBe('mine')
  // Elsewhere in the directory it goes with it.
  const odd = join(dir, 'odd')
  await backUp(dir, odd)
  const moved = await restore(odd, dir)
  expect(moved.movedBackup).toBe(join(moved.kept ?? '', 'odd'))
})

test('what is given up leads no more, even if it was ahead of the backup by epochs', async () => {
  const dir = newDir()
  for (let turn = 1; turn <= 2; turn++) {
    const {history} = await restore(backup, dir)
    expect(history?.epoch).toBe((manifest.log.epoch ?? 0) + turn)
  }
})

test('a damaged backup, and one that is not finished, leave the directory as it was', async () => {
  const dir = newDir()
  await restore(backup, dir)
  const before = await entriesOf(dir)
  const damaged = join(home, 'damaged')
  await backUp(dir, damaged)
  await writeFile(join(damaged, 'cell.guid'), '0'.repeat(32))
  await expect(restore(damaged, dir)).rejects.toMatchObject({code: 'REG_BACKUP_DAMAGED'})
  expect(await entriesOf(dir)).toEqual(before)
  expect(
    (await readdir(home)).filter((name) => name.includes('.restore') && name.includes(dir.slice(home.length + 1))),
  ).toEqual([])
})

test('a dry run leaves nothing, not even the directories above the one that it would make', async () => {
  {
    await using restoring = await open(backup, join(home, 'not', 'yet', 'there'))
    await restoring.prepare()
  }
  expect(existsSync(join(home, 'not'))).toBe(false)
})

test('a directory that is not its own is not replaced', async () => {
  const strange = newDir()
  await mkdir(strange)
  await writeFile(join(strange, 'letter.txt'), 'dear …')
  await expect(open(backup, strange)).rejects.toMatchObject({code: 'REG_CONFLICT'})
  await expect(open(backup, backup)).rejects.toMatchObject({code: 'REG_CONFLICT'})
  await expect(open(backup, join(backup, 'in'))).rejects.toMatchObject({code: 'REG_CONFLICT'})
  await expect(open(backup, '/proc')).rejects.toMatchObject({code: 'REG_CONFLICT'})
  const other = join(home, 'b-other')
  await cp(backup, other, {recursive: true})
  await expect(open(backup, other)).rejects.toMatchObject({
    code: 'REG_CONFLICT',
    message: expect.stringContaining('another backup'),
  })
  await expect(open(backup, join(other, 'a', 'b'))).rejects.toMatchObject({
    code: 'REG_CONFLICT',
    message: expect.stringContaining('would lie in the backup'),
  })
  const axon = join(home, 'axon')
  await makeBackup(axon, undefined, {
    cell: {kind: 'synapse', iden: 'ab'.repeat(16), type: 'axon', name: null, version: null},
  })
  await expect(open(axon, leader.dir)).rejects.toMatchObject({
    code: 'REG_CONFLICT',
    message: expect.stringContaining('axon'),
  })
  await expect(open(axon, newDir(), {offset: 1})).rejects.toMatchObject({code: 'REG_CONFLICT'})
})

test('another cell is named before it is replaced, and a damaged directory of the same one is taken for it', async () => {
  const dir = newDir()
  await mkdir(dir)
  await writeFile(join(dir, 'cell.guid'), manifest.cell.iden)
  await writeFile(join(dir, 'rest'), '')
  {
    await using restoring = await open(backup, dir)
    expect(restoring.plan).toMatchObject({otherCell: null, target: {was: 'cell'}})
  }
  await writeFile(join(dir, 'cell.guid'), 'ef'.repeat(16))
  await writeFile(join(dir, 'registry.db'), '')
  await using restoring = await open(backup, dir)
  expect(restoring.plan.otherCell).toBe('ef'.repeat(16))
})

test('a directory on which a server runs, or is started meanwhile, is not replaced', async () => {
  const dir = newDir()
  await restore(backup, dir)
  await using again = new TestMember(dir, leader.name)
  {
    await using restoring = await open(backup, dir)
    await restoring.prepare()
    await again.start({'leader:alone': true})
    await expect(restoring.swap()).rejects.toMatchObject({code: 'REG_CELL_RUNS'})
  }
  await expect(open(backup, dir)).rejects.toMatchObject({code: 'REG_CELL_RUNS'})
  expect(await usersOf(again)).toContain('visi')
})

test('what a server made meanwhile where nothing was is not replaced', async () => {
  const dir = newDir()
  await using restoring = await open(backup, dir)
  await restoring.prepare()
  await using cell = await lockCellDir(dir)
  await expect(restoring.swap()).rejects.toMatchObject({code: 'REG_CONFLICT'})
  expect((await readFile(join(dir, 'cell.guid'), 'utf8')).trim()).toBe(cell.guid)
})

test('a restore that was killed between its two moves is finished before the next one looks at the directory', async () => {
  const dir = newDir()
  await restore(backup, dir)
  const container = join(home, `.${basename(dir)}.restore`)
  await mkdir(container)
  await rename(dir, join(container, 'data'))
  await writeFile(join(container, 'swap.json'), JSON.stringify({v: 1, kept: null, shelf: 'backups'}))
  await using restoring = await open(backup, dir)
  expect(restoring.plan.target).toMatchObject({was: 'cell', iden: manifest.cell.iden})
})

test('a link is followed to where it leads, also when nothing is there yet', async () => {
  const [dir, link] = [newDir(), newDir()]
  await symlink(dir, link)
  expect(await restore(backup, link)).toMatchObject({kept: null})
  expect(existsSync(join(dir, 'registry.db'))).toBe(true)
  const container = join(home, `.${basename(dir)}.restore`)
  await mkdir(container)
  await rename(dir, join(container, 'data'))
  await writeFile(join(container, 'swap.json'), JSON.stringify({v: 1, kept: null, shelf: 'backups'}))
  expect(await mendRestore(link)).toBe(true)
  expect(existsSync(join(dir, 'registry.db'))).toBe(true)
})

describe('a directory of a Synapse service without a manifest', () => {
  async function foreign(name: string): Promise<string> {
    const path = join(home, name)
    await mkdir(join(path, 'slabs/cell.lmdb'), {recursive: true})
    await writeFile(join(path, 'cell.guid'), 'ab'.repeat(16))
    await writeFile(join(path, 'slabs/cell.lmdb/data.mdb'), SLAB)
    return path
  }

  test('is taken for a backup, unless it is one that was not finished', async () => {
    expect(await openSource(await foreign('by-their-tool'), {signal})).toMatchObject({cell: {kind: 'synapse'}})
    const partial = openSource(await foreign('.axon.partial-0123abcd'), {signal})
    await expect(partial).rejects.toMatchObject({code: 'REG_BACKUP_INVALID'})
  })

  test('is none when there is a manifest that cannot be read', async () => {
    const path = await foreign('odd-manifest')
    await symlink('backup.json', join(path, 'backup.json'))
    await expect(openSource(path, {signal})).rejects.toMatchObject({code: 'REG_BACKUP_INVALID'})
  })

  test('is none when its service runs', async () => {
    const path = await foreign('running')
    await using server = createServer().listen(join(path, 'sock'))
    await once(server, 'listening')
    await expect(openSource(path, {signal})).rejects.toMatchObject({code: 'REG_CELL_RUNS'})
  })
})

test('the directory that is there is not even opened for writing: a killed server left it as it is', async () => {
  const [from, dir] = [newDir(), newDir()]
  await restore(backup, from)
  {
    await using store = new SqliteStore(join(from, 'registry.db'))
    await store.open()
    await store.append([{timeMs: 1, actor: 'test', change: '{"kind":"log:rotate","v":1}', effect: {kind: 'rotate'}}])
    await cp(from, dir, {recursive: true})
  }
  const files = ['registry.db', 'registry.db-wal']
  const before = await Promise.all(files.map((name) => readFile(join(dir, name))))
  await using restoring = await open(backup, dir)
  const {history} = await restoring.prepare()
  expect(history?.epoch).toBe((manifest.log.epoch ?? 0) + 2)
  expect(await Promise.all(files.map((name) => readFile(join(dir, name))))).toEqual(before)
})

test('a configuration that this version refuses is for the start to tell, as long as the log says who leads', async () => {
  const readBad = () => Promise.reject(new Error('limit:disk:free is not what it was'))
  const wish = {dir: newDir(), progress: NO_PROGRESS, signal, wallMs: () => NOW, readConf: readBad}
  await using restoring = await Restoring.open({source: await openSource(backup, {signal}), ...wish})
  expect(await restoring.prepare()).toMatchObject({history: {role: 'leader'}})
})

test('what root restores is of whom the directory was, to the last file; of others it is their own', async () => {
  const dir = newDir()
  await cp(leader.dir, dir, {recursive: true})
  const isRoot = process.geteuid?.() === 0
  if (isRoot) await chown(dir, 12345, 54321)
  const {owner} = await restore(backup, dir)
  expect(owner).toEqual(isRoot ? {uid: 12345, gid: 54321, isGiven: true} : null)
  const {uid, gid} = await lstat(dir)
  const names = await readdir(dir, {recursive: true})
  expect(names).toContain('registry.db')
  for (const name of names) expect(await lstat(join(dir, name)), name).toMatchObject({uid, gid})
})
