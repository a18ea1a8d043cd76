import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {expect, test} from 'vitest'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {readStoreFormat, STORE_FORMAT} from '../../src/store/store-format.ts'

test('the format of a database is read without opening it', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'registry-format-'))
  const path = join(dir, 'registry.db')
  try {
    expect(await readStoreFormat(path)).toBeUndefined()
    await writeFile(path, 'SQLite format 3')
    expect(await readStoreFormat(path)).toBeUndefined()
    await rm(path)
    {
      await using store = new SqliteStore(path)
      await store.open()
    }
    expect(await readStoreFormat(path)).toBe(STORE_FORMAT)
    {
      using database = new DatabaseSync(path)
      database.exec('PRAGMA user_version = 99')
    }
    expect(await readStoreFormat(path)).toBe(99)
  } finally {
    await rm(dir, {recursive: true})
  }
})
