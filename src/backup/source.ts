/** What a backup of a stopped cell is made of: files that are taken as they lie, and files that have to be made first. */

import {rm, stat} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'
import {RegistryError} from '../base/errors.ts'
import {makePrivateDir, writeFileAtomic} from '../base/files.ts'
import {storeCensus} from '../store/census.ts'
import {copyFile as copyStore} from '../store/sqlite-task.ts'
import {type CellConf, readCellConf} from './cell-conf.ts'
import {hashFile, type WorkOptions} from './copy-files.ts'
import {changedSource} from './file-faults.ts'
import {openLmdb} from './lmdb.ts'
import {canCompact, compactLmdb} from './lmdb-compact.ts'
import type {ManifestCell, ManifestFile, ManifestLog} from './manifest.ts'
import {synapseCensus} from './synapse-census.ts'
import {readSynapseFacts} from './synapse-facts.ts'
import {isNeverPart, readTree, skipGlobs, type Tree, type TreeFile} from './tree.ts'

const BLOCK_BYTES = 512
const STORE = 'registry.db'
const GUID = 'cell.guid'
const SLAB_FILE = 'data.mdb'
const NO_MDB_COPY =
  'slabs were copied as they are, with what is deleted in them: install mdb_copy (package lmdb-utils) for smaller backups'
const MAY_BE_KILLED =
  'a service that was killed rather than stopped had up to 0.2 s of changes in memory only: those are not in its files'

export interface SourceOptions {
  readonly iden: string
  readonly skip: readonly string[]
  readonly signal: AbortSignal
}

/** A stopped cell, as it is found. Whoever opens it sees to it that the cell does not start meanwhile. */
export interface OfflineSource {
  readonly dir: string
  readonly cell: ManifestCell
  readonly tree: Tree
  /** About how many bytes the backup will have on the disk. */
  readonly bytes: number
  /** About how many of them are made first, in a place of their own. */
  readonly madeBytes: number
  /** Makes the files that cannot be taken as they lie, below `scratch`. */
  prepare(scratch: string, work: WorkOptions): Promise<Prepared>
  /** @throws RegistryError `REG_BACKUP_SOURCE` when something wrote to the cell since it was opened */
  assertUnchanged(): void
}

export interface Prepared {
  /** Those that were made; each lies at its place below `scratch`. */
  readonly made: readonly ManifestFile[]
  /** Those that are to be taken from the cell. */
  readonly asIs: readonly TreeFile[]
  /** Of some of them only the beginning. */
  readonly usedBytes: ReadonlyMap<string, number>
  readonly log: ManifestLog
  readonly census: Readonly<Record<string, number | string>>
  /** For people. */
  readonly notes: readonly string[]
}

/**
 * Opens a directory of a registry.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE`
 */
export async function registrySource(dir: string, options: SourceOptions): Promise<OfflineSource> {
  const {conf, tree} = await look(dir, 'registry', options, [GUID, STORE])
  const asIs = tree.files.filter(({path}) => path !== STORE)
  return {
    dir,
    cell: {kind: 'registry', iden: options.iden, type: 'registry', name: conf.name, version: null},
    tree,
    bytes: sumOf(tree.files.map(({allocated}) => allocated)),
    madeBytes: sumOf(tree.files.filter(({path}) => path === STORE).map(({allocated}) => allocated)),
    async prepare(scratch, work) {
      const from = join(dir, STORE)
      work.progress.phase('copying the database', undefined)
      const {epoch, nextOffset, lastHash} = await copyStore(from, join(scratch, STORE), work.signal)
      const hashing = madeAt(scratch, STORE, work)
      const [made, census] = await Promise.all([hashing, storeCensus(join(scratch, STORE), work.signal)])
      const log = {epoch, index: nextOffset, hash: lastHash}
      return {made: [made], asIs, usedBytes: new Map(), log, census, notes: []}
    },
    assertUnchanged() {}, // it is locked
  }
}

/**
 * Opens a directory of a Synapse service. Its cell.guid is not opened from now on.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE`, also for a slab that is damaged
 */
export async function synapseSource(dir: string, options: SourceOptions): Promise<OfflineSource> {
  const {conf, tree} = await look(dir, 'synapse', options, [GUID, 'slabs', 'slabs/cell.lmdb'])
  const {type, version, index} = readSynapseFacts(dir)
  const slabs = slabsOf(dir, tree)
  const used = ({path, allocated}: TreeFile) => Math.min(allocated, slabs.get(path)?.usedBytes ?? allocated)
  return {
    dir,
    cell: {kind: 'synapse', iden: options.iden, type, name: conf.name, version},
    tree,
    bytes: sumOf(tree.files.map(used)),
    madeBytes: (await canCompact()) ? sumOf(tree.files.filter(({path}) => slabs.has(path)).map(used)) : 0,
    async prepare(scratch, work) {
      await writeFileAtomic(join(scratch, GUID), options.iden)
      const {compacted, notes} = await compactAll(dir, scratch, [...slabs.keys()], work)
      const made = [await madeAt(scratch, GUID, work), ...compacted]
      const paths = new Set(made.map(({path}) => path))
      return {
        made,
        asIs: tree.files.filter(({path}) => !paths.has(path)),
        usedBytes: new Map(Array.from(slabs, ([path, {usedBytes}]) => [path, usedBytes])),
        log: {epoch: null, index, hash: null},
        // Of what was left out nothing can be said later.
        census: tree.left.some(({reason}) => reason === 'asked') ? {} : synapseCensus(dir, type),
        notes: [...notes, MAY_BE_KILLED],
      }
    },
    assertUnchanged() {
      for (const [path, before] of slabs) {
        using slab = openLmdb(join(dir, path))
        if (slab.txnid !== before.txnid) throw changedSource(join(dir, path), 'something wrote to it')
      }
    },
  }
}

async function look(
  dir: string,
  kind: 'registry' | 'synapse',
  {skip, signal}: SourceOptions,
  needed: readonly string[],
): Promise<{conf: CellConf; tree: Tree}> {
  const isSkipped = skipGlobs(skip)
  const lost = needed.find((path) => isSkipped(path))
  if (lost !== undefined) {
    throw new RegistryError('REG_BACKUP_SOURCE', `${lost} cannot be left out: without it a backup is of no use`, {
      info: {path: lost, skip},
      hints: ['give --skip a pattern that does not match it'],
    })
  }
  const conf = await readCellConf(dir)
  // What the cell itself lies in is no directory of backups, whatever its configuration says.
  const shelf = needed.some((path) => `${path}/`.startsWith(`${conf.backupDir}/`)) ? undefined : conf.backupDir
  const leave = (path: string, isDirectory: boolean) => {
    if (isNeverPart(kind, path, isDirectory) || path === shelf) return 'always'
    return isSkipped(path) ? 'asked' : undefined
  }
  return {conf, tree: await readTree(dir, {leave, signal})}
}

interface SlabFacts {
  readonly usedBytes: number
  readonly txnid: number
}

function slabsOf(dir: string, tree: Tree): ReadonlyMap<string, SlabFacts> {
  const slabs = new Map<string, SlabFacts>()
  for (const {path} of tree.files) {
    if (basename(path) !== SLAB_FILE) continue
    using slab = openLmdb(join(dir, path))
    slabs.set(path, {usedBytes: slab.usedBytes, txnid: slab.txnid})
  }
  return slabs
}

/** Compacts all slabs, or none: one that does not work out is copied as it is. */
async function compactAll(
  dir: string,
  scratch: string,
  paths: readonly string[],
  work: WorkOptions,
): Promise<{compacted: readonly ManifestFile[]; notes: readonly string[]}> {
  if (!(await canCompact())) return {compacted: [], notes: [NO_MDB_COPY]}
  const compacted: ManifestFile[] = []
  const notes: string[] = []
  for (const path of paths) {
    work.progress.phase(`compacting ${dirname(path)}`, undefined)
    const to = join(scratch, dirname(path))
    await makePrivateDir(to)
    const reason = await compactLmdb(join(dir, dirname(path)), to, work.signal)
    if (reason === undefined) compacted.push(await madeAt(scratch, path, work))
    else {
      await rm(join(to, SLAB_FILE), {force: true})
      notes.push(`${path} was copied as it is: ${reason}`)
    }
  }
  return {compacted, notes}
}

async function madeAt(scratch: string, path: string, work: WorkOptions): Promise<ManifestFile> {
  const place = join(scratch, path)
  const {blocks} = await stat(place)
  return {path, allocated: blocks * BLOCK_BYTES, ...(await hashFile(place, work))}
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}
