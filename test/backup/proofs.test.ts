import {mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import type {Manifest} from '../../src/backup/manifest.ts'
import {
  addProof,
  backupDigest,
  newestProof,
  type Proof,
  proofsPath,
  readProofs,
  subjectDigest,
} from '../../src/backup/proofs.ts'

const HASH = 'ab'.repeat(32)
const MANIFEST: Manifest = {
  name: '20261121120000',
  madeAt: '2026-11-21T12:00:00.000Z',
  madeBy: '0.1.0',
  how: 'live',
  cell: {kind: 'registry', iden: 'cd'.repeat(16), type: 'registry', name: null, version: '0.1.0'},
  log: {epoch: 3, index: 12, hash: HASH},
  skipped: [],
  directories: [],
  files: [],
  census: {},
}

let folder: string
let backup: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-proofs-'))
  backup = join(folder, 'b1')
  await mkdir(backup)
})
afterEach(() => rm(folder, {recursive: true}))

function proof(seconds: number, result: Proof['result'] = 'proven'): Proof {
  return {
    at: '2026-11-21T13:00:00.000Z',
    result,
    reason: 'all is as the backup says',
    backup: backupDigest(MANIFEST),
    by: '0.1.0',
    seconds,
    protections: ['its own network'],
    checks: [{what: 'services', expected: '3', found: '3', isRight: true}],
  }
}

describe('proofs', () => {
  test('there are none before the first drill', async () => {
    expect(await readProofs(backup)).toEqual([])
  })

  test('are read as they were added, for the owner alone', async () => {
    await addProof(backup, proof(1))
    await addProof(backup, proof(2, 'failed'))
    expect(await readProofs(backup)).toEqual([proof(1), proof(2, 'failed')])
    expect((await stat(await proofsPath(backup))).mode & 0o777).toBe(0o600)
    expect(await readdir(backup)).toEqual(['backup.proofs.json'])
  })

  test('of an archive lie beside it', async () => {
    const archive = join(folder, 'b2.tar.zst')
    await writeFile(archive, 'x')
    await addProof(archive, proof(1))
    expect(await readProofs(archive)).toEqual([proof(1)])
    expect((await readdir(folder)).sort()).toEqual(['b1', 'b2.tar.zst', 'b2.tar.zst.proofs.json'])
  })

  test('say nothing of another backup', async () => {
    await addProof(backup, proof(1))
    const proofs = await readProofs(backup)
    expect(newestProof(proofs, MANIFEST)).toEqual(proof(1))
    expect(newestProof(proofs, {...MANIFEST, madeAt: '2026-11-21T12:00:00.001Z'})).toBeUndefined()
    expect(newestProof(proofs, undefined)).toBeUndefined()
    expect(newestProof([{...proof(1), backup: null}], undefined)?.seconds).toBe(1)
    const ofHistory = [{...proof(1), backup: subjectDigest({history: 'cell/history-1'})}]
    expect(newestProof(ofHistory, {history: 'cell/history-1'})?.seconds).toBe(1)
    expect(newestProof(ofHistory, {history: 'cell/history-2'})).toBeUndefined()
  })

  test('the newest of a result is found among others', () => {
    const proofs = [proof(1), proof(2), proof(3, 'failed'), proof(4, 'inconclusive')]
    expect(newestProof(proofs, MANIFEST)?.seconds).toBe(4)
    expect(newestProof(proofs, MANIFEST, 'proven')?.seconds).toBe(2)
  })

  test('the last one that says proven is kept among the newest', async () => {
    await addProof(backup, proof(0))
    await addProof(backup, proof(1))
    for (let seconds = 2; seconds < 60; seconds++) await addProof(backup, proof(seconds, 'failed'))
    const kept = (await readProofs(backup)).map(({seconds}) => seconds)
    expect(kept).toEqual([1, ...Array.from({length: 50}, (_, at) => at + 10)])
  })

  test.each([
    '',
    '{"format": 2, "proofs": []}',
    '{"format": 1, "proofs": {}}',
    '{"format": 1, "proofs": [{"at": "now"}]}',
  ])('that are not ours are refused, and stay: %j', async (text) => {
    const path = await proofsPath(backup)
    await writeFile(path, text)
    const refused = {code: 'REG_BACKUP_INVALID', message: expect.stringContaining('backup.proofs.json')}
    await expect(readProofs(backup)).rejects.toMatchObject(refused)
    await expect(addProof(backup, proof(1))).rejects.toMatchObject(refused)
    expect(await readFile(path, 'utf8')).toBe(text)
  })

  test('of a backup that is not there are what the system says', async () => {
    await expect(readProofs(join(folder, 'none'))).rejects.toMatchObject({code: 'ENOENT'})
  })
})
