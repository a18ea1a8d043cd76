/** An archive of a Synapse service that has no manifest, as their own API streams it. It is read through twice: to see what it is, and to unpack it. */
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {RegistryError, systemCode} from '../base/errors.ts'
import {makePrivateDir} from '../base/files.ts'
import {readArchiveFile} from './archive-file.ts'
import {ForeignPlan} from './archive-plan.ts'
import {type OpenOptions, unpackArchive} from './archive-read.ts'
import {OpenArchive} from './archive-source.ts'
import {writeFault} from './file-faults.ts'
import {assertRoom} from './free-space.ts'
import type {LayOutOptions} from './lay-out.ts'
import {MANIFEST_FILE} from './manifest.ts'
import {CELL_SLAB, readSynapseFacts} from './synapse-facts.ts'
import {isNeverPart, readTree} from './tree.ts'

/** What an archive without a manifest holds. */
export interface ForeignArchive {
  readonly topName: string
  readonly iden: string
  /** Null when it is not known. */
  readonly type: string | null
  /** Of Synapse; null when it is not known. */
  readonly version: string | null
  /** As they are read. */
  readonly bytes: number
  /** About so many that are no holes. */
  readonly allocated: number
  /** Files and directories. */
  readonly members: number
}

const GUID = 'cell.guid'
/** Longer ones are not looked into: of those the type is not known. */
const SLAB_MAX = 256 << 20
const BLOCK = 4096
const EMPTY = new Uint8Array(BLOCK)

/**
 * Reads an archive without a manifest; gives undefined for one that has one.
 *
 * @throws RegistryError `REG_BACKUP_INVALID` when it is none of a Synapse service; as `unpackArchive`
 */
export async function readForeignArchive(
  path: string,
  {identities = [], signal}: OpenOptions & {readonly signal: AbortSignal},
): Promise<ForeignArchive | undefined> {
  await using archive = await OpenArchive.open(readArchiveFile(path), {identities, isForeign: true})
  if (archive.manifest !== undefined) return undefined
  const scratch = await mkdtemp(join(tmpdir(), 'registry-archive-'))
  try {
    const look = new Look(scratch)
    const plan = new ForeignPlan({bytes: Number.POSITIVE_INFINITY, files: Number.POSITIVE_INFINITY})
    for await (const member of archive.members(plan)) {
      signal.throwIfAborted()
      if (member.path === MANIFEST_FILE) throw repacked(path)
      await look.take(member.path, member.content)
    }
    return {topName: archive.topName, ...look.result(path)}
  } finally {
    await rm(scratch, {recursive: true, force: true})
  }
}

/**
 * Unpacks it into the new directory `to`, as `layOut` does; gives how many files there are.
 *
 * @throws RegistryError as `layOut`
 */
export async function layOutForeign(
  path: string,
  {bytes, allocated, members}: ForeignArchive,
  to: string,
  {room, identities, progress, signal}: LayOutOptions,
): Promise<number> {
  if (room !== undefined) await assertRoom({path: to, bytes: allocated, ...room})
  try {
    await mkdir(to, {mode: 0o700})
  } catch (error) {
    throw writeFault(error, to)
  }
  const limits = {bytes, files: members}
  await unpackArchive(readArchiveFile(path), to, {limits, isForeign: true, identities, progress, signal})
  const leave = (item: string, isDirectory: boolean) =>
    isNeverPart('synapse', item, isDirectory) ? 'always' : undefined
  const {files, left} = await readTree(to, {leave, signal})
  for (const item of left) await rm(join(to, item.path), {recursive: true})
  return files.length
}

/** What is seen while it is read through. */
class Look {
  readonly #scratch: string
  #guid = ''
  #bytes = 0
  #allocated = 0
  #members = 0

  constructor(scratch: string) {
    this.#scratch = scratch
  }

  /** What tells the type of a service is put down, so that it can be opened. */
  async take(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    this.#members += 1
    const pieces: Uint8Array[] = []
    let size = 0
    for await (const piece of content) {
      size += piece.length
      this.#allocated += filledBytes(piece)
      const isWanted = (path === GUID || path === CELL_SLAB) && size <= SLAB_MAX
      if (isWanted) pieces.push(Buffer.from(piece))
      else pieces.length = 0
    }
    this.#bytes += size
    if (path === GUID) this.#guid = Buffer.concat(pieces).toString().trim()
    const isNamed = path === 'axon.lmdb/data.mdb' || path === 'blob.lmdb/data.mdb'
    if (!(isNamed || path === CELL_SLAB)) return
    await makePrivateDir(dirname(join(this.#scratch, path)))
    await writeFile(join(this.#scratch, path), Buffer.concat(pieces), {mode: 0o600})
  }

  result(path: string): Omit<ForeignArchive, 'topName'> {
    if (!/^[0-9a-f]{32}$/.test(this.#guid)) throw noService(path)
    const sums = {bytes: this.#bytes, allocated: this.#allocated, members: this.#members}
    return {iden: this.#guid, ...factsIn(this.#scratch), ...sums}
  }
}

function factsIn(scratch: string): Pick<ForeignArchive, 'type' | 'version'> {
  try {
    const {type, version} = readSynapseFacts(scratch)
    return {type, version}
  } catch (error) {
    if (error instanceof RegistryError || systemCode(error) === 'ENOENT') return {type: null, version: null}
    throw error
  }
}

function filledBytes(piece: Uint8Array): number {
  let filled = 0
  for (let at = 0; at < piece.length; at += BLOCK) {
    const block = piece.subarray(at, at + BLOCK)
    if (Buffer.compare(block, EMPTY.subarray(0, block.length)) !== 0) filled += BLOCK
  }
  return filled
}

function noService(path: string): RegistryError {
  const reason = `it has neither ${MANIFEST_FILE} nor the ${GUID} of a service`
  return new RegistryError('REG_BACKUP_INVALID', `${path} is no backup: ${reason}`, {info: {place: path, reason}})
}

function repacked(path: string): RegistryError {
  const reason = `${MANIFEST_FILE} is not its first member: another tool packed it`
  return new RegistryError('REG_BACKUP_INVALID', `${path} is no archive of a backup: ${reason}`, {
    info: {place: path, reason},
    hints: [`unpack it, and restore the directory: tar -xf ${path}`],
  })
}
