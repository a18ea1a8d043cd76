/** A stopped cell that is about to be backed up: is it one, does it run, can the backup be where it should be; and then it is kept from starting. */

import {realpath, stat} from 'node:fs/promises'
import {dirname, join, resolve} from 'node:path'
import {assertRoom} from '../backup/free-space.ts'
import {type OfflineSource, registrySource, synapseSource} from '../backup/source.ts'
import {RegistryError} from '../base/errors.ts'
import {exists, realPlace} from '../base/files.ts'
import {shellWord} from '../base/shell-word.ts'
import {type DirKind, isBackup, readDirKind} from './dir-kind.ts'
import {lockCellDir} from './dirs.ts'
import {holdGuid} from './guid-lock.ts'
import {checkRunning} from './running.ts'

/** Percent of a volume that stay free when the cell lies on it too: with less it does not start. */
const KEPT_PERCENT = 5

/** A cell that is kept from starting as long as this is open. */
export interface HeldCell extends AsyncDisposable {
  readonly source: OfflineSource
  readonly checked: string
}

export interface HoldWish {
  readonly from: string
  readonly to: string
  readonly skip: readonly string[]
  readonly signal: AbortSignal
}

/**
 * Opens the cell in a directory for a backup of it.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE` when there is no cell, or it cannot be read; `REG_CELL_RUNS`; `REG_CONFLICT` when the two places overlap
 */
export async function holdCell({from, to, skip, signal}: HoldWish): Promise<HeldCell> {
  const kind = await readDirKind(from)
  if (kind.kind !== 'registry' && kind.kind !== 'synapse') throw noCell(from, reasonOf(kind))
  const dir = await realpath(from)
  await assertNoOverlap(dir, to)
  if (await isBackup(dir, kind)) {
    throw new RegistryError('REG_BACKUP_SOURCE', `${from} is a backup itself, and no cell ever ran on it`, {
      info: {path: from},
      hints: [
        `copy it: cp -a ${shellWord(from)} ${shellWord(to)}`,
        `restore it: registry restore ${shellWord(from)} DIR`,
      ],
    })
  }
  const {state, checked} = await checkRunning(dir, kind)
  if (state !== 'stopped') throw runs(from, state, checked)
  await using stack = new AsyncDisposableStack()
  if (kind.kind === 'registry') stack.use(await lockCellDir(dir, {purpose: 'a backup'}))
  else {
    const hold = holdGuid(join(dir, 'cell.guid'))
    if (!hold) throw runs(from, 'running', 'cell.guid is locked')
    stack.use(hold)
  }
  const open = kind.kind === 'registry' ? registrySource : synapseSource
  const source = await open(dir, {iden: kind.iden, skip, signal})
  const held = stack.move()
  return {source, checked, [Symbol.asyncDispose]: () => held.disposeAsync()}
}

function reasonOf(kind: Exclude<DirKind, {kind: 'registry' | 'synapse'}>): string {
  switch (kind.kind) {
    case 'absent':
      return 'there is no such directory'
    case 'empty':
      return 'it is empty'
    case 'strange':
      return kind.reason
  }
}

function noCell(path: string, reason: string): RegistryError {
  return new RegistryError('REG_BACKUP_SOURCE', `${path} is not the directory of a cell: ${reason}`, {
    info: {path, reason},
  })
}

function runs(path: string, state: 'running' | 'unknown', checked: string): RegistryError {
  const may = state === 'running' ? 'runs' : 'may run'
  return new RegistryError('REG_CELL_RUNS', `the cell on ${path} ${may}: ${checked}`, {
    info: {path, state, checked},
    hints: [`back it up as it runs: registry livebackup ${shellWord(`cell://${resolve(path)}`)}`, 'stop it first'],
  })
}

async function assertNoOverlap(dir: string, to: string): Promise<void> {
  const place = await realPlace(to)
  const isWithin = (inner: string, outer: string) => `${inner}/`.startsWith(`${outer}/`)
  if (!isWithin(place, dir) && !isWithin(dir, place)) return
  const text = isWithin(place, dir) ? `${to} lies in the directory that is to be backed up` : `${dir} lies in ${to}`
  throw new RegistryError('REG_CONFLICT', text, {
    info: {from: dir, to: place},
    hints: ['give a place outside of it, best on another disk'],
  })
}

/**
 * Makes sure that a backup of it fits where it should be.
 *
 * @throws RegistryError `REG_DISK_LOW`
 */
export async function assertRoomFor({dir, bytes}: Pick<OfflineSource, 'dir' | 'bytes'>, to: string): Promise<void> {
  const path = await nearestFolder(dirname(resolve(to)))
  await assertRoom({path, bytes, minFreePercent: await keptPercent(dir, path)})
}

/** Gives how many percent of the volume have to stay free that a backup is written to: with less the cell on it does not start. */
export async function keptPercent(dir: string, to: string): Promise<number> {
  const [source, target] = await Promise.all([stat(dir), stat(await nearestFolder(resolve(to)))])
  return source.dev === target.dev ? KEPT_PERCENT : 0
}

async function nearestFolder(path: string): Promise<string> {
  return (await exists(path)) ? path : await nearestFolder(dirname(path))
}
