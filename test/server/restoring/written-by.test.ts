import {existsSync} from 'node:fs'
import {mkdtemp, readdir, readFile, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {saveArchive} from '../../../src/backup/archive-file.ts'
import {directorySource, writeArchive} from '../../../src/backup/archive-write.ts'
import {NO_PROGRESS} from '../../../src/backup/progress.ts'
import {packageVersion} from '../../../src/base/package-root.ts'
import {Restoring} from '../../../src/server/restoring/restore.ts'
import {openSource} from '../../../src/server/restoring/restore-source.ts'
import {SqliteStore} from '../../../src/store/sqlite.ts'
import {STORE_FORMAT} from '../../../src/store/store-format.ts'
import {CONTENTS, makeBackup} from '../../support/made-backup.ts'

const {signal} = new AbortController()
const CELL = {kind: 'registry', iden: 'cd'.repeat(16), type: 'registry', name: null} as const
let home = ''

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-written-'))
})
afterAll(() => rm(home, {recursive: true}))

/** A backup of software of that version, whose database has that format. */
async function backupOf(version: string | null, format: number, madeBy = '0.1.0'): Promise<string> {
  const store = join(home, 'store.db')
  {
    await using fresh = new SqliteStore(store)
    await fresh.open()
  }
  {
    using database = new DatabaseSync(store)
    database.exec(`PRAGMA user_version = ${format}`)
  }
  const path = await mkdtemp(join(home, 'b-'))
  await rm(path, {recursive: true})
  const contents = {...CONTENTS, 'registry.db': await readFile(store)}
  const manifest = await makeBackup(path, contents, {cell: {...CELL, version}, madeBy})
  await rm(store)
  await saveArchive(
    writeArchive(directorySource(path, manifest), {progress: NO_PROGRESS, signal, compression: 'zstd'}),
    `${path}.tar.zst`,
    {
      recipients: [],
      signal,
    },
  )
  return path
}

async function open(path: string, dir: string): Promise<Restoring> {
  const readConf = () => Promise.resolve({minFreePercent: 0, isMirror: false, backupDir: null})
  const wish = {dir, progress: NO_PROGRESS, signal, wallMs: () => 0, readConf}
  return await Restoring.open({source: await openSource(path, {signal}), ...wish})
}

const warningsOf = async (path: string) => {
  await using restoring = await open(path, join(home, 'none'))
  return restoring.plan.warnings
}

describe('a registry that newer software wrote', () => {
  const refusal = {
    code: 'REG_STORE_NEWER',
    message: expect.stringMatching(
      /registry 9\.1\.0 wrote it in format 99, and this, registry .*, reads formats up to/,
    ),
  }

  test('in a format that is not known is refused before anybody is asked', async () => {
    const path = await backupOf('9.1.0', 99)
    await expect(open(path, join(home, 'new'))).rejects.toMatchObject(refusal)
    expect(existsSync(join(home, 'new'))).toBe(false)
  })

  test('and that lies in an archive is refused with nothing left of it', async () => {
    const path = await backupOf('9.1.0', 99)
    const before = await readdir(home)
    {
      await using restoring = await open(`${path}.tar.zst`, join(home, 'new'))
      await expect(restoring.prepare()).rejects.toMatchObject(refusal)
    }
    expect(await readdir(home)).toEqual(before)
  })

  test('in a known format is restored with a warning', async () => {
    const said = expect.stringMatching(/^registry 9\.1\.0 wrote it, and this is /)
    expect(await warningsOf(await backupOf('9.1.0', STORE_FORMAT))).toEqual([said])
    // Where it is not known who wrote it, it was nobody newer than who backed it up.
    expect(await warningsOf(await backupOf(null, STORE_FORMAT, '9.1.0'))).toEqual([said])
    expect(await warningsOf(await backupOf(packageVersion(), STORE_FORMAT))).toEqual([])
  })
})
