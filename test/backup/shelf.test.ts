import {readdir, writeFile} from 'node:fs/promises'
import {generateX25519Identity, identityToRecipient} from 'age-encryption'
import {describe, expect, test} from 'vitest'
import {saveArchive} from '../../src/backup/archive-file.ts'
import {UNVERIFIED} from '../../src/backup/foreign.ts'
import {layOut} from '../../src/backup/lay-out.ts'
import type {Manifest} from '../../src/backup/manifest.ts'
import {encodeManifest} from '../../src/backup/manifest-write.ts'
import {openBackup, verifyBackup} from '../../src/backup/open-backup.ts'
import {addProof, backupDigest, type ProofResult} from '../../src/backup/proofs.ts'
import {removeBackup} from '../../src/backup/remove-backup.ts'
import {readShelf} from '../../src/backup/shelf.ts'
import {removeLeftStagings} from '../../src/backup/stage.ts'
import {archiveOf, chunksOf, gather, manifestOf, Scratch, WORK} from './archive-kit.ts'

const FILES = {a: Buffer.from('aaa'), 'b/c': Buffer.from('c')}
const {signal} = WORK

async function directoryAt(scratch: Scratch, name: string, more: Partial<Manifest> = {}): Promise<Manifest> {
  const manifest = manifestOf(FILES, {name: name.split('/').at(-1) ?? name, ...more})
  await scratch.write({[`${name}/backup.json`]: Buffer.from(encodeManifest(manifest))})
  await scratch.write(Object.fromEntries(Object.entries(FILES).map(([path, bytes]) => [`${name}/${path}`, bytes])))
  return manifest
}

async function prove(path: string, manifest: Manifest, at: string, result: ProofResult): Promise<void> {
  const rest = {reason: 'because', by: '0.1.0', seconds: 1, protections: [], checks: []}
  await addProof(path, {...rest, at, result, backup: backupDigest(manifest)})
}

describe('a shelf', () => {
  test('has backups of all kinds, the oldest first', async () => {
    await using scratch = await Scratch.make()
    await directoryAt(scratch, 'b2', {madeAt: '2026-02-02T00:00:00.000Z'})
    await directoryAt(scratch, 'nightly/axon/b0', {madeAt: '2026-01-01T00:00:00.000Z'})
    const recipients = [await identityToRecipient(await generateX25519Identity())]
    await saveArchive(archiveOf(FILES, {madeAt: '2026-03-03T00:00:00.000Z'}), scratch.path('x.tar.zst'), {
      recipients: [],
      signal,
    })
    await saveArchive(archiveOf(FILES), scratch.path('y.tar.zst.age'), {recipients, signal})
    await scratch.write({
      '.b3.partial-0123abcd/a': Buffer.from('a'),
      'peer/cell.guid': Buffer.from('guid'),
      'altered/backup.json': Buffer.from('{}'),
      'kept/follow.json': Buffer.from('{}'),
      'theirs/cell.guid': Buffer.from('ab'.repeat(16)),
      'theirs/slabs/cell.lmdb/data.mdb': Buffer.from('of a version that is not known'),
      'broken.tar.zst': Buffer.from('none'),
      'notes.txt': Buffer.from('none of ours'),
      'empty/of/backups': Buffer.from('x'),
    })
    const items = await readShelf(scratch.dir, {signal})
    expect(items.map(({name, kind}) => [name, kind])).toEqual([
      ['nightly/axon/b0', 'directory'],
      ['b2', 'directory'],
      ['x.tar.zst', 'archive'],
      ['.b3.partial-0123abcd', 'incomplete'],
      ['altered', 'unreadable'],
      ['broken.tar.zst', 'unreadable'],
      ['kept', 'unreadable'],
      ['peer', 'unreadable'],
      ['theirs', 'foreign'],
      ['y.tar.zst.age', 'sealed'],
    ])
    expect(items.at(-1)?.reason).toMatch(/encrypted, and no identity/)
    expect(items.at(-2)).toMatchObject({reason: UNVERIFIED, about: {cell: {kind: 'synapse', iden: 'ab'.repeat(16)}}})
    expect(items.at(-3)?.reason).toMatch(/no backup.json/)
  })

  test('knows what was proven, and what failed since', async () => {
    await using scratch = await Scratch.make()
    const path = scratch.path('b1')
    const manifest = await directoryAt(scratch, 'b1')
    const proven = async () =>
      (await readShelf(scratch.dir, {signal})).map(({isProven, proof}) => [isProven, proof?.result])
    expect(await proven()).toEqual([[false, undefined]])
    await prove(path, manifest, '2026-01-01T00:00:00.000Z', 'proven')
    await prove(path, manifest, '2026-01-02T00:00:00.000Z', 'inconclusive')
    expect(await proven()).toEqual([[true, 'inconclusive']])
    await prove(path, manifest, '2026-01-03T00:00:00.000Z', 'failed')
    expect(await proven()).toEqual([[false, 'failed']])
  })

  test('says of proofs that cannot be read that they cannot: that backup may be the proven one', async () => {
    await using scratch = await Scratch.make()
    await directoryAt(scratch, 'b1')
    await writeFile(scratch.path('b1/backup.proofs.json'), '{}')
    const [item] = await readShelf(scratch.dir, {signal})
    expect(item).toMatchObject({kind: 'directory', isProven: false, reason: expect.stringMatching(/no proofs/)})
  })

  test('that is not there is named', async () => {
    await expect(readShelf('/nowhere/backups', {signal})).rejects.toThrow(/there is no directory \/nowhere\/backups/)
  })
})

describe('a backup that is removed', () => {
  test('is gone with its proofs', async () => {
    await using scratch = await Scratch.make()
    const manifest = await directoryAt(scratch, 'b1')
    await saveArchive(archiveOf(FILES), scratch.path('x.tar.zst'), {recipients: [], signal})
    await prove(scratch.path('x.tar.zst'), manifest, '2026-01-01T00:00:00.000Z', 'proven')
    expect(await readdir(scratch.dir)).toHaveLength(3)
    await removeBackup(scratch.path('b1'))
    await removeBackup(scratch.path('x.tar.zst'))
    expect(await readdir(scratch.dir)).toEqual([])
  })

  test('and that is not there is an error', async () => {
    await expect(removeBackup('/nowhere/b1')).rejects.toThrow(expect.objectContaining({code: 'REG_DIR_UNUSABLE'}))
  })
})

test('an archive that is being written is not taken for left over, and one that was left is', async () => {
  await using scratch = await Scratch.make()
  const whole = await gather(archiveOf(FILES))
  async function* slow() {
    yield* chunksOf(whole)
    expect(await removeLeftStagings(scratch.dir)).toEqual([])
    const [item] = await readShelf(scratch.dir, {signal})
    expect(item?.kind).toBe('incomplete')
  }
  await saveArchive(slow(), scratch.path('x.tar.zst'), {recipients: [], signal})
  expect(await readdir(scratch.dir)).toEqual(['x.tar.zst'])
  await writeFile(scratch.path('.y.tar.zst.partial-0123abcd'), 'left')
  expect(await removeLeftStagings(scratch.dir)).toEqual(['.y.tar.zst.partial-0123abcd'])
})

test('an archive is opened and verified as a backup', async () => {
  await using scratch = await Scratch.make()
  const identity = await generateX25519Identity()
  const file = scratch.path('x.tar.zst.age')
  await saveArchive(archiveOf(FILES), file, {recipients: [await identityToRecipient(identity)], signal})
  await expect(openBackup(file)).rejects.toThrow(expect.objectContaining({code: 'REG_BACKUP_SEALED'}))
  const backup = await openBackup(file, {identities: [identity]})
  expect(backup).toMatchObject({kind: 'archive', path: file, isEncrypted: true, manifest: manifestOf(FILES)})
  expect(await verifyBackup(backup, {...WORK, identities: [identity]})).toEqual([])
  await layOut(backup, scratch.path('cell'), {...WORK, identities: [identity]})
  expect((await readdir(scratch.path('cell'))).toSorted()).toEqual(['a', 'b'])
  await expect(layOut(backup, scratch.path('other'), WORK)).rejects.toThrow(/no identity was given/)
  expect(await readdir(scratch.dir)).not.toContain('other')
  await expect(openBackup('/dev/null')).rejects.toThrow(/neither a directory nor a file/)
})
