/** What can be restored: a backup, what `backup follow` keeps, and the directory of a backup that Synapse's own tool made. */
import {lstat} from 'node:fs/promises'
import {basename, join, resolve} from 'node:path'
import {copyTree, type WorkOptions} from '../../backup/copy-files.ts'
import {type FollowedBase, isFollowed, readArchivedLog, readFollowed} from '../../backup/followed.ts'
import {assertRoom} from '../../backup/free-space.ts'
import {type LayOutOptions, layOut} from '../../backup/lay-out.ts'
import {MANIFEST_FILE, type Manifest, totalsOf} from '../../backup/manifest.ts'
import {openBackup} from '../../backup/open-backup.ts'
import {isPartialName} from '../../backup/stage.ts'
import {readSynapseFacts} from '../../backup/synapse-facts.ts'
import {isNeverPart, readTree, type Tree} from '../../backup/tree.ts'
import {RegistryError, systemCode} from '../../base/errors.ts'
import {readDirKind} from '../../cell/dir-kind.ts'
import {checkRunning} from '../../cell/running.ts'
import type {Entry} from '../../store/store.ts'
import type {ReplayEnd} from '../replay.ts'
import {endOf} from './restore-history.ts'
import type {RestoredCell} from './restore-target.ts'

/** Something to restore. */
export interface RestoreSource {
  /** Where it lies, absolute. */
  readonly path: string
  readonly name: string
  /** ISO 8601, UTC; null when it is not known. */
  readonly madeAt: string | null
  readonly cell: RestoredCell
  /** Where its history ends. */
  readonly end: {readonly nextOffset: number; readonly untilMs: number}
  /** What to know, one line each. */
  readonly warnings: readonly string[]
  /** Puts it down as a directory, of the moment at or before `last` that is nearest. Gives how many files there are. */
  readonly layOut: (to: string, last: ReplayEnd | undefined, options: LayOutOptions) => Promise<number>
  /** The entries that follow what was put down; absent where there are none. */
  readonly more?: (from: {readonly offset: number; readonly hash: string}) => AsyncIterable<readonly Entry[]>
}

export interface SourceOptions {
  readonly identities?: readonly string[] | undefined
  readonly signal: AbortSignal
}

/**
 * Looks what is at a path.
 *
 * @throws RegistryError `REG_BACKUP_INVALID`, `REG_BACKUP_DAMAGED`, `REG_BACKUP_SEALED` when it is nothing to restore
 */
export async function openSource(place: string, {identities, signal}: SourceOptions): Promise<RestoreSource> {
  const path = resolve(place)
  if (await isFollowed(path)) return await followedSource(path)
  if (await isForeign(path)) return await foreignSource(path, signal)
  const backup = await openBackup(path, {identities})
  const put = async (to: string, _: ReplayEnd | undefined, options: LayOutOptions) =>
    (await layOut(backup, to, {...options, identities})).files.length
  return {...factsOf(path, backup.manifest), end: endOf(backup.manifest), layOut: put}
}

function factsOf(path: string, {name, madeAt, cell, skipped}: Manifest) {
  const left = skipped.length === 0 ? [] : [`the backup was made without ${skipped.join(', ')}: that is not restored`]
  return {path, name, madeAt, cell, warnings: left}
}

async function followedSource(path: string): Promise<RestoreSource> {
  const followed = await readFollowed(path)
  const {bases, lastTimeMs, nextOffset, isTorn, others} = followed
  const newest = bases.at(-1) ?? bases[0]
  const {warnings, ...facts} = factsOf(path, newest.manifest)
  const torn = isTorn ? ['the archived log ends in the middle of an entry, which nobody was told was kept'] : []
  const more = others.length === 0 ? [] : [`older histories are restored by their own paths: ${others.join(', ')}`]
  return {
    ...facts,
    end: {nextOffset, untilMs: Math.max(lastTimeMs ?? 0, Date.parse(newest.manifest.madeAt))},
    warnings: [...warnings, ...torn, ...more],
    layOut: async (to, last, options) => {
      const backup = await openBackup(baseFor(bases, last).path)
      return (await layOut(backup, to, options)).files.length
    },
    more: (from) => readArchivedLog(path, from),
  }
}

/** Gives the newest base that is not beyond a moment; the oldest when all are. */
function baseFor(bases: readonly [FollowedBase, ...FollowedBase[]], last: ReplayEnd | undefined): FollowedBase {
  const fits = ({index, manifest}: FollowedBase): boolean => {
    if (last === undefined) return true
    return 'offset' in last ? index <= last.offset + 1 : Date.parse(manifest.madeAt) <= last.timeMs
  }
  return bases.findLast(fits) ?? bases[0]
}

/** A directory of a Synapse service without a manifest: what its own tool makes. */
async function isForeign(path: string): Promise<boolean> {
  if (isPartialName(basename(path)) || (await readDirKind(path)).kind !== 'synapse') return false
  // One that is there and cannot be read is no reason to believe the rest.
  return await lstat(join(path, MANIFEST_FILE)).then(
    () => false,
    (error: unknown) => systemCode(error) === 'ENOENT',
  )
}

async function foreignSource(path: string, signal: AbortSignal): Promise<RestoreSource> {
  const kind = await readDirKind(path)
  if (kind.kind !== 'synapse') throw new RegistryError('REG_BACKUP_INVALID', `${path} is no backup`, {info: {path}})
  const {state, checked} = await checkRunning(path, kind)
  if (state !== 'stopped') throw runs(path, checked)
  const {type, index} = readSynapseFacts(path)
  const name = path.slice(path.lastIndexOf('/') + 1)
  return {
    ...{path, name, madeAt: null, cell: {kind: 'synapse', iden: kind.iden, type}},
    end: {nextOffset: index ?? 0, untilMs: 0},
    warnings: ['it has no manifest, as the backups of Synapse’s own tool: whether it is whole cannot be told'],
    layOut: async (to, _, options) => await copyForeign(path, to, {...options, signal}),
  }
}

function runs(path: string, checked: string): RegistryError {
  return new RegistryError(
    'REG_CELL_RUNS',
    `${path} is no backup, but the directory of a service that runs: ${checked}`,
    {
      info: {path, checked},
      hints: [`back it up as it runs: registry livebackup cell://${path}`],
    },
  )
}

async function copyForeign(from: string, to: string, {room, progress, signal}: LayOutOptions): Promise<number> {
  const tree = await readTree(from, {
    leave: (path, isDir) => (isNeverPart('synapse', path, isDir) ? 'always' : undefined),
    signal,
  })
  assertNoLinks(from, tree)
  const {files, directories} = tree
  if (room !== undefined) await assertRoom({path: to, bytes: allocatedBy(tree), ...room})
  const work: WorkOptions = {progress, signal}
  progress.phase('copying', totalBytes(tree))
  return (await copyTree({from, to, files, directories, ...work})).length
}

function allocatedBy({files}: Tree): number {
  return files.reduce((sum, {allocated}) => sum + allocated, 0)
}

function totalBytes({files}: Tree): number {
  return totalsOf(files.map((file) => ({...file, sha256: ''}))).bytes
}

function assertNoLinks(path: string, {left}: Tree): void {
  const link = left.find(({reason}) => reason === 'link' || reason === 'device')
  if (link === undefined) return
  const text = `${path} is not restored: ${link.path} in it is a ${link.reason}`
  throw new RegistryError('REG_BACKUP_INVALID', text, {info: {path, file: link.path}})
}
