/** Backs up the directory of a registry that is stopped, without the command that does so: for tests of what reads backups. */
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {copyTree} from '../../src/backup/copy-files.ts'
import type {Manifest} from '../../src/backup/manifest.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {stageBackup} from '../../src/backup/stage.ts'
import {isNeverPart, readTree} from '../../src/backup/tree.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'

const {signal} = new AbortController()

export async function backUp(dir: string, path: string, madeAt = new Date()): Promise<Manifest> {
  await using staging = await stageBackup(path)
  const leave = (name: string, isDirectory: boolean) =>
    isNeverPart('registry', name, isDirectory) ? 'always' : undefined
  const {files, directories} = await readTree(dir, {leave, signal})
  const copied = await copyTree({from: dir, to: staging.dir, files, directories, progress: NO_PROGRESS, signal})
  const {epoch, nextOffset: index, lastHash: hash} = await headOf(join(dir, 'registry.db'))
  const iden = (await readFile(join(dir, 'cell.guid'), 'utf8')).trim()
  const manifest: Manifest = {
    ...{name: 'b1', madeAt: madeAt.toISOString(), madeBy: '0.1.0', how: 'offline', skipped: [], census: {}},
    cell: {kind: 'registry', iden, type: 'registry', name: null, version: '0.1.0'},
    log: {epoch, index, hash},
    directories,
    files: copied,
  }
  await staging.commit(manifest)
  return manifest
}

async function headOf(path: string) {
  await using store = new SqliteStore(path)
  return await store.open()
}
