import {createHash} from 'node:crypto'
import type {Manifest} from '../../src/backup/manifest.ts'

/** Gives the manifest of a backup that has one file, `file`. */
export function stagedManifest(name: string, content: string): Manifest {
  const sha256 = createHash('sha256').update(content).digest('hex')
  return {
    name,
    madeAt: '2026-11-21T12:00:00.000Z',
    madeBy: '0.1.0',
    how: 'offline',
    cell: {kind: 'registry', iden: 'cd'.repeat(16), type: 'registry', name: null, version: '0.1.0'},
    log: {epoch: 1, index: 5, hash: 'ab'.repeat(32)},
    skipped: [],
    directories: [],
    files: [{path: 'file', size: Buffer.byteLength(content), allocated: 4096, sha256}],
    census: {},
  }
}
