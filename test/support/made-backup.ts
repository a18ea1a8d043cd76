import {mkdir, writeFile} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {hashFile} from '../../src/backup/copy-files.ts'
import type {Manifest} from '../../src/backup/manifest.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {stageBackup} from '../../src/backup/stage.ts'
import {readTree} from '../../src/backup/tree.ts'

/** What a cell has in its directory, more or less. */
export const CONTENTS: Readonly<Record<string, string | Uint8Array>> = {
  'cell.guid': 'cd'.repeat(16),
  'cell.yaml': 'aha:name: 00\n',
  'certs/cas/demo.net.crt': 'certificate',
  'certs/hosts/00.demo.net.key': 'key',
  'registry.db': new Uint8Array(40_000).fill(7),
}

const {signal} = new AbortController()

/** Makes a backup at `path` of the given files, and an empty directory `empty`. */
export async function makeBackup(path: string, contents = CONTENTS, more: Partial<Manifest> = {}): Promise<Manifest> {
  await using staging = await stageBackup(path)
  await mkdir(join(staging.dir, 'empty'))
  for (const [file, content] of Object.entries(contents)) {
    await mkdir(dirname(join(staging.dir, file)), {recursive: true})
    await writeFile(join(staging.dir, file), content, {mode: 0o600})
  }
  const tree = await readTree(staging.dir, {leave: () => undefined, signal})
  const files = []
  for (const {path: name, allocated} of tree.files) {
    files.push({path: name, allocated, ...(await hashFile(join(staging.dir, name), {progress: NO_PROGRESS, signal}))})
  }
  const manifest: Manifest = {
    name: 'made',
    madeAt: '2026-11-21T12:00:00.000Z',
    madeBy: '0.1.0',
    how: 'offline',
    cell: {kind: 'registry', iden: 'cd'.repeat(16), type: 'registry', name: '00.demo.net', version: '0.1.0'},
    log: {epoch: 1, index: 5, hash: 'ab'.repeat(32)},
    skipped: [],
    directories: tree.directories,
    files,
    census: {},
    ...more,
  }
  await staging.commit(manifest)
  return manifest
}
