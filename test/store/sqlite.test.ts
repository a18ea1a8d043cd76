import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {describe, test} from 'vitest'
import {storeContract} from '../../src/store/contract.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'

async function makePlace() {
  const folder = await mkdtemp(join(tmpdir(), 'registry-store-'))
  const path = join(folder, 'registry.db')
  return {
    store: () => new SqliteStore(path),
    obstruct: async () => {
      const other = new DatabaseSync(path)
      other.exec('BEGIN IMMEDIATE')
      return async () => other.close()
    },
    copy: {path: join(folder, 'copy.db'), open: (copied: string) => new SqliteStore(copied)},
    dispose: () => rm(folder, {recursive: true}),
  }
}

describe('SqliteStore', () =>
  storeContract({describe, test}, makePlace, {supports: {durable: true, obstruct: true, snapshot: true}}))
