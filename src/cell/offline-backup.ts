/** Backs up a cell that does not run: finds out what it is, keeps it from starting, and copies it. */

import {basename, dirname, join, resolve} from 'node:path'
import {assertArchiveName, saveArchive} from '../backup/archive-file.ts'
import {assertOutsideOthers} from '../backup/backup-place.ts'
import {copyTree, eachFile, hashWith, type WorkOptions} from '../backup/copy-files.ts'
import {roomAt} from '../backup/free-space.ts'
import {type Manifest, type ManifestFile, totalsOf} from '../backup/manifest.ts'
import type {OfflineSource, Prepared} from '../backup/source.ts'
import {assertFree, removeLeftStagings, stageBackup} from '../backup/stage.ts'
import {packageVersion} from '../base/package-root.ts'
import {scratchIn} from './backup-scratch.ts'
import {assertRoomFor, type HeldCell, holdCell, keptPercent} from './held-cell.ts'

export interface OfflineWish extends WorkOptions {
  readonly from: string
  readonly to: string
  readonly skip: readonly string[]
  /** Epoch milliseconds. */
  wallMs(): number
}

export interface OfflineBackup {
  /** Where it is. */
  readonly path: string
  readonly manifest: Manifest
  /** What was looked at to know that the cell does not run. */
  readonly checked: string
  /** What lies in the directory and is no part of the backup. */
  readonly left: OfflineSource['tree']['left']
  readonly notes: readonly string[]
}

/**
 * Makes a backup in a directory that is not there yet. What killed commands left beside its place is removed.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE` when there is no cell, or it cannot be read; `REG_CELL_RUNS`; `REG_CONFLICT` when the place is taken,
 * overlaps, or lies in what is not for backups; `REG_DISK_LOW`
 */
export async function backUpOffline(wish: OfflineWish): Promise<OfflineBackup> {
  await using held = await holdCell(wish)
  const {source} = held
  await assertOutsideOthers(wish.to)
  await removeLeftStagings(dirname(resolve(wish.to)))
  await using staging = await stageBackup(wish.to)
  await assertRoomFor(source, wish.to)
  const begun = beginning(wish, basename(resolve(wish.to)))
  const prepared = await source.prepare(staging.dir, wish)
  const {asIs: files, usedBytes} = prepared
  wish.progress.phase('copying', bytesOf(prepared))
  const {progress, signal} = wish
  const {directories} = source.tree
  const copied = await copyTree({from: source.dir, to: staging.dir, files, directories, usedBytes, progress, signal})
  source.assertUnchanged()
  const manifest = manifestOf(held, prepared, copied, begun)
  return {path: await staging.commit(manifest), manifest, ...restOf(held, prepared)}
}

export interface ArchiveWish extends OfflineWish {
  /** Who can open it; without any it is not encrypted. */
  readonly recipients: readonly string[]
}

/**
 * Makes a backup in one file that is not there yet. What has to be made first lies in the scratch directory of the cell meanwhile: where the
 * archive is, nothing of it is ever in clear.
 *
 * @throws RegistryError as `backUpOffline`
 */
export async function archiveOffline(wish: ArchiveWish): Promise<OfflineBackup & {readonly bytes: number}> {
  assertArchiveName(wish.to, wish.recipients.length > 0)
  await using held = await holdCell(wish)
  const {source} = held
  await assertOutsideOthers(wish.to)
  await removeLeftStagings(dirname(resolve(wish.to)))
  await assertFree(wish.to)
  const minFreePercent = await keptPercent(source.dir, dirname(resolve(wish.to)))
  await roomAt(wish.to, minFreePercent) // how much it takes, compressed, nobody knows before
  await assertRoomFor({...source, bytes: source.madeBytes}, join(source.dir, 'tmp', 'scratch'))
  await using scratch = await scratchIn(source.dir)
  const begun = beginning(wish, basename(wish.to).replace(/\.tar\.zst(\.age)?$/, ''))
  const prepared = await source.prepare(scratch.dir, wish)
  wish.progress.phase('hashing', bytesOf(prepared))
  const hashed = await hashAsIs(source.dir, prepared, wish)
  const manifest = manifestOf(held, prepared, hashed, begun)
  const chunks = archiveOf(source, prepared, {manifest, scratch: scratch.dir, wish})
  const {recipients, signal} = wish
  const path = resolve(wish.to)
  const {bytes} = await saveArchive(chunks, path, {recipients, minFreePercent, signal})
  return {path, bytes, manifest, ...restOf(held, prepared)}
}

async function hashAsIs(dir: string, {asIs, usedBytes}: Prepared, work: OfflineWish): Promise<readonly ManifestFile[]> {
  const {progress, signal} = work
  return await eachFile(asIs, signal, async ({path, allocated}, buffers) => {
    const facts = await hashWith(buffers, join(dir, path), {progress, signal, usedBytes: usedBytes.get(path)})
    return {path, ...facts, allocated: Math.min(allocated, facts.size)}
  })
}

interface ArchiveParts {
  readonly manifest: Manifest
  readonly scratch: string
  readonly wish: OfflineWish
}

async function* archiveOf(
  source: OfflineSource,
  {made, usedBytes}: Prepared,
  {manifest, scratch, wish}: ArchiveParts,
): AsyncGenerator<Uint8Array, void> {
  const {writeArchive} = await import('../backup/archive-write.ts')
  const {readPieces} = await import('../backup/file-pieces.ts')
  const ownPlaces = new Set(made.map(({path}) => path))
  const read = (path: string) => {
    const from = join(ownPlaces.has(path) ? scratch : source.dir, path)
    return firstBytes(readPieces(from, {isFollowing: false}), usedBytes.get(path))
  }
  const {progress, signal} = wish
  yield* writeArchive({manifest, read}, {progress, signal, compression: 'zstd', isAlone: true})
  // Before the archive gets its name.
  source.assertUnchanged()
}

async function* firstBytes(pieces: AsyncIterable<Uint8Array>, bytes = Number.POSITIVE_INFINITY) {
  let left = bytes
  for await (const piece of pieces) {
    yield piece.subarray(0, left)
    left -= piece.length
    if (left <= 0) return
  }
}

interface Beginning {
  readonly name: string
  readonly madeAt: string
  readonly skipped: readonly string[]
}

function beginning({wallMs, skip}: OfflineWish, name: string): Beginning {
  return {name, madeAt: new Date(wallMs()).toISOString(), skipped: skip}
}

function manifestOf(
  {source}: HeldCell,
  {made, log, census}: Prepared,
  asIs: readonly ManifestFile[],
  begun: Beginning,
): Manifest {
  const files = [...made, ...asIs].sort((a, b) => (a.path < b.path ? -1 : 1))
  const {directories} = source.tree
  return {...begun, madeBy: packageVersion(), how: 'offline', cell: source.cell, log, directories, files, census}
}

function bytesOf({asIs, usedBytes}: Prepared): number {
  return totalsOf(asIs.map((file) => ({...file, size: usedBytes.get(file.path) ?? file.size, sha256: ''}))).bytes
}

function restOf({source, checked}: HeldCell, {notes}: Prepared): Pick<OfflineBackup, 'checked' | 'left' | 'notes'> {
  return {checked, left: source.tree.left.filter(({reason}) => reason !== 'always' && reason !== 'socket'), notes}
}
