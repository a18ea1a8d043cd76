/** What can be restored: a backup, what `backup follow` keeps, and the directory of a backup that Synapse's own tool made. */

import {basename, join, resolve} from 'node:path'
import {isFollowed, keptUntilMs, readArchivedLog, readFollowed} from '../../backup/followed.ts'
import {type ForeignBackup, UNVERIFIED} from '../../backup/foreign.ts'
import {layOutForeign, readForeignArchive} from '../../backup/foreign-archive.ts'
import {type LayOutOptions, layOut} from '../../backup/lay-out.ts'
import type {Manifest} from '../../backup/manifest.ts'
import {openAnyBackup, openBackup} from '../../backup/open-backup.ts'
import {RegistryError} from '../../base/errors.ts'
import {shellWord} from '../../base/shell-word.ts'
import {assertNoService} from '../../cell/running.ts'
import type {Entry} from '../../store/store.ts'
import type {ReplayEnd} from '../replay.ts'
import {findPoint} from './followed-point.ts'
import {endOf, liesBefore} from './restore-history.ts'
import type {RestoredCell} from './restore-target.ts'

const STORE = 'registry.db'

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
  /** The database of a registry, where it can be looked at as it lies. */
  readonly storePath?: string
  /** Puts it down as a directory, of the moment at or before `last` that is nearest. Gives how many files there are. */
  readonly layOut: (to: string, last: ReplayEnd | undefined, options: LayOutOptions) => Promise<number>
  /** The entries that follow what was put down; absent where there are none. */
  readonly more?: (from: {readonly offset: number; readonly hash: string}) => AsyncIterable<readonly Entry[]>
}

export interface SourceOptions {
  readonly identities?: readonly string[] | undefined
  readonly signal: AbortSignal
  /** Whether an archive without a manifest is refused. */
  readonly isOwnOnly?: boolean
}

/**
 * Looks what is at a path.
 *
 * @throws RegistryError `REG_BACKUP_INVALID`, `REG_BACKUP_DAMAGED`, `REG_BACKUP_SEALED` when it is nothing to restore
 */
export async function openSource(place: string, options: SourceOptions): Promise<RestoreSource> {
  const path = resolve(place)
  const {identities} = options
  if (await isFollowed(path)) return await followedSource(path)
  const backup = await openAnyBackup(path, {identities})
  if (backup.kind === 'foreign') {
    if (backup.form === 'archive') return await archiveSource(path, options)
    await assertNoService(path)
    return foreignSource(backup)
  }
  const put = async (to: string, _: ReplayEnd | undefined, options: LayOutOptions) =>
    (await layOut(backup, to, {...options, identities})).files.length
  const storePath = backup.kind === 'directory' ? {storePath: join(path, STORE)} : {}
  return {...factsOf(path, backup.manifest), ...storePath, end: endOf(backup.manifest), layOut: put}
}

/** Software makes backups of what it reads: one of a stopped registry is at most as new as what made it. */
function factsOf(path: string, {name, madeAt, madeBy, cell: of, skipped}: Manifest) {
  const cell = {...of, version: of.version ?? (of.kind === 'registry' ? madeBy : null)}

  const left = skipped.length === 0 ? [] : [`the backup was made without ${skipped.join(', ')}: that is not restored`]
  return {path, name, madeAt, cell, warnings: left}
}

async function followedSource(path: string): Promise<RestoreSource> {
  const followed = await readFollowed(path)
  const {bases, nextOffset, isTorn, others, damage} = followed
  const newest = bases.at(-1) ?? bases[0]
  const {warnings, ...facts} = factsOf(path, newest.manifest)
  const torn = isTorn ? ['the archived log ends in the middle of an entry, which nobody was told was kept'] : []
  const more = others.length === 0 ? [] : [`older histories are restored by their own paths: ${others.join(', ')}`]
  let history = followed.path
  return {
    ...facts,
    storePath: join(newest.path, STORE),
    end: {nextOffset, untilMs: keptUntilMs(followed)},
    warnings: [...warnings, ...torn, ...more],
    layOut: async (to, last, options) => {
      if (damage !== undefined && last === undefined) throw onlyBefore(damage, path, nextOffset)
      const point = await findPoint(followed, last, path === followed.path)
      history = point.history.path
      const backup = await openBackup(point.base.path)
      const {files} = await layOut(backup, to, options)
      const {doubt, base} = point
      if (doubt && last && (await liesBefore(join(to, STORE), base.index, last))) throw doubt
      return files.length
    },
    more: (from) => readArchivedLog(history, from),
  }
}

/** Not all of it can be restored: who wants the rest says so. */
function onlyBefore({code, message, info, cause}: RegistryError, path: string, nextOffset: number): RegistryError {
  const hints = [`restore what comes before: registry restore ${shellWord(path)} DIR --to-offset ${nextOffset - 1}`]
  return new RegistryError(code, message, {hints: [...hints, `registry backup verify ${shellWord(path)}`], info, cause})
}

function foreignSource(backup: ForeignBackup): RestoreSource {
  const {path, cell} = backup
  const {iden, type, version, index} = cell
  if (iden === null) throw noManifest(path)
  return {
    ...{path, name: basename(path), madeAt: null, cell: {kind: 'synapse', iden, type, version}},
    end: {nextOffset: index ?? 0, untilMs: 0},
    warnings: [UNVERIFIED],
    layOut: async (to, _, options) => (await layOut(backup, to, options)).files.length,
  }
}

/** It is read through to see what it is. */
async function archiveSource(path: string, {identities, signal, isOwnOnly}: SourceOptions): Promise<RestoreSource> {
  const archive = isOwnOnly === true ? undefined : await readForeignArchive(path, {identities, signal})
  if (archive === undefined) throw noManifest(path)
  const {topName: name, iden, type, version} = archive
  return {
    ...{path, name, madeAt: null, cell: {kind: 'synapse', iden, type, version}},
    end: {nextOffset: 0, untilMs: 0},
    warnings: [UNVERIFIED],
    layOut: (to, _, more) => layOutForeign(path, archive, to, {...more, identities}),
  }
}

function noManifest(path: string): RegistryError {
  return new RegistryError('REG_BACKUP_INVALID', `${path} is an archive without a manifest`, {info: {path}})
}
