// Does one of the things that must survive a power cut, in DIR, and says what is done: for power-cut-files.test.ts, which records it.
import assert from 'node:assert/strict'
import {mkdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {FollowDir} from '../../src/backup/follow-dir.ts'
import {removeBackup} from '../../src/backup/remove-backup.ts'
import {stageFile} from '../../src/backup/stage.ts'
import {UnpackTarget} from '../../src/backup/unpack-target.ts'
import {lockCellDir} from '../../src/cell/dirs.ts'
import {RestoreSite} from '../../src/cell/restore-swap.ts'
import {updateConfigFile} from '../../src/config/update-file.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {compactStore} from '../../src/server/compact-store.ts'
import {ensureHttpsPair} from '../../src/server/https-pair.ts'
import {placeCopy} from '../../src/server/mirroring/copy.ts'
import {FenceFile} from '../../src/server/mirroring/fence-file.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {chainedEntries} from '../support/chained-entries.ts'
import {entryAt} from '../support/log-model.ts'
import {makeBackup} from '../support/made-backup.ts'
import {silentLog} from '../wire/telepath/silent-log.ts'
import {ARCHIVE, CELL, FENCE, NEW_SHAPE, type Scenario, SHAPE} from './durable.ts'

const [, , scenario = '', dir = assert.fail('no directory')] = process.argv

async function append(path: string, shape = SHAPE, count = 5): Promise<void> {
  await using store = new SqliteStore(path)
  const {nextOffset} = await store.open()
  for (let first = nextOffset; first < nextOffset + count; first += shape.batch) {
    await store.append(Array.from({length: shape.batch}, (_, index) => entryAt(shape, first + index)))
    console.log(`stored ${first + shape.batch}`)
  }
}

/** A cell is made where even the directories above it are new, and is written to. */
async function begin(): Promise<void> {
  const path = join(dir, 'srv', 'cells', 'one')
  await using cell = await lockCellDir(path)
  console.log(`guid ${cell.guid}`)
  await append(cell.storePath)
  const certs = new CertDir(cell.certsPath)
  for (const ending of ['key', 'crt'] as const) {
    await certs.create('host', 'one.demo.net', ending, `a ${ending}`)
    console.log(ending)
  }
  await certs.replace('host', 'one.demo.net', 'crt', 'a new crt')
  console.log('renewed')
  const fence = new FenceFile(path)
  await fence.write(FENCE)
  console.log('fenced')
  await updateConfigFile(join(path, 'cell.yaml'), {'aha:name': '00'})
  await updateConfigFile(join(path, 'cell.yaml'), {'aha:name': '01'})
  console.log('configured')
  console.log('freeing')
  await fence.remove()
  console.log('free')
}

/** What is empty in a database goes. */
async function compact(): Promise<void> {
  const path = join(dir, 'registry.db')
  const lines: string[] = []
  await compactStore(path, {log: silentLog(lines), minFreePercent: 0, clock: {wallMs: () => 1}})
  assert.match(lines.join('\n'), /store\.compacted/)
  console.log('compacted')
  await append(path)
}

/** Leaves a database as a process does that is killed: with a write-ahead log that has a part of it, and much in it that is empty. */
async function ballast(): Promise<void> {
  await append(join(dir, 'registry.db'), SHAPE, 50)
  const database = new DatabaseSync(join(dir, 'registry.db'))
  database.exec('PRAGMA wal_autocheckpoint = 0; CREATE TABLE ballast (bytes BLOB)')
  database.prepare('INSERT INTO ballast VALUES (zeroblob(?))').run(1_600_000)
  database.exec('DROP TABLE ballast')
  process.kill(process.pid, 'SIGKILL')
}

/** The copy of another store takes the place of one. */
async function place(): Promise<void> {
  const path = join(dir, 'registry.db')
  await placeCopy(path)
  console.log('placed')
  await append(path, NEW_SHAPE)
}

async function restore(isWithin: boolean): Promise<void> {
  const path = join(dir, 'cell')
  await using site = await RestoreSite.open(path, {isWithin})
  const target = new UnpackTarget(site.data)
  await mkdir(site.data, {mode: 0o700})
  for (const name of ['cell.guid', 'certs/new.crt', 'registry.db'])
    await target.file(
      name,
      (async function* () {
        yield Buffer.from('new')
      })(),
    )
  await target.commit()
  await site.swap('backups', 0)
  console.log('restored')
}

/** Follows a log: two bases, entries, what is old goes. */
async function follow(): Promise<void> {
  await using kept = await FollowDir.open(join(dir, 'srv', 'kept'))
  await kept.claim(CELL)
  const entries = chainedEntries(40)
  const base = async (index: number) => {
    const path = join(kept.comingPath, 'base')
    const hash = entries[index - 1]?.hash ?? assert.fail()
    const manifest = await makeBackup(path, {'registry.db': `${index}`}, {log: {epoch: 1, index, hash}})
    return {path, manifest}
  }
  await kept.begin('first', await base(4), '2026-11-21T12:00:00.000Z')
  console.log('kept 4')
  for (let from = 4; from < 20; from += 4) await keep(from)
  await kept.add(await base(20))
  console.log('based 20')
  for (let from = 20; from < 40; from += 4) await keep(from)
  await kept.prune(1)
  console.log('pruned')

  async function keep(from: number): Promise<void> {
    await kept.append(entries.slice(from, from + 4))
    console.log(`kept ${from + 4}`)
  }
}

/** Backups are made, of a directory and as one file, and go. */
async function backup(): Promise<void> {
  const shelf = join(dir, 'srv', 'shelf')
  await makeBackup(join(shelf, 'one'))
  console.log('made')
  await stageFile(join(shelf, 'one.tar'), async (file) => {
    for (let from = 0; from < ARCHIVE.length; from += 10_000)
      await file.writeFile(ARCHIVE.subarray(from, from + 10_000))
  })
  console.log('packed')
  await removeBackup(join(shelf, 'one'))
  console.log('removed')
}

/** A store of the model, killed with its write-ahead log, and beside it the copy of another one that waits for its place. */
async function old(): Promise<void> {
  const path = join(dir, 'registry.db')
  await append(`${path}.part`, NEW_SHAPE, 50)
  await writeFile(`${path}.part.json`, '{}')
  const store = new SqliteStore(path)
  await store.open()
  await store.append(Array.from({length: SHAPE.batch}, (_, offset) => entryAt(SHAPE, offset)))
  process.kill(process.pid, 'SIGKILL')
}

/** The pair of the HTTPS listener is made at the first start. */
async function pair(): Promise<void> {
  await ensureHttpsPair(dir, Date.now())
  console.log('made')
}

const SCENARIOS: Readonly<Record<Scenario | 'ballast' | 'old', () => unknown>> = {
  begin,
  compact,
  ballast,
  place,
  pair,
  old,
  follow,
  backup,
  'restore beside': () => restore(false),
  'restore within': () => restore(true),
}
await (Object.entries(SCENARIOS).find(([name]) => name === scenario)?.[1] ?? assert.fail(`no ${scenario}`))()
