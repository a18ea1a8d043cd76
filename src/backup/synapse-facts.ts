/** What the files of a stopped Synapse service say of it. Seen at Synapse 2.256; what is elsewhere at another version is null. */
import {existsSync, readdirSync} from 'node:fs'
import {join} from 'node:path'
import {Decoder} from '../wire/msgpack/decode.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {type Lmdb, openLmdb} from './lmdb.ts'

/** Where every Synapse service has its users and settings, below its data directory. */
export const CELL_SLAB = 'slabs/cell.lmdb/data.mdb'
const LOG_DIR = 'slabs/nexuslog'
const INDEX_SLAB = 'slabs/nexus.lmdb/data.mdb'
const LOG_NAME = /^seqn([0-9a-f]{16})\.lmdb$/
const INFO_BYTES_MAX = 65_536

/** Databases of the cell slab that one kind of service has. Embedded ones lie in directories of their own. */
const DATABASES_OF: Readonly<Record<string, string>> = {
  cortex: 'cortex',
  'aha:servers': 'aha',
  'cryo:names': 'cryotank',
  'jsonstor:items': 'jsonstor',
}

export interface SynapseFacts {
  /** `axon`, `cortex`, `jsonstor`, `cryotank`, `aha`; null for others. */
  readonly type: string | null
  /** Of Synapse, `2.256.0`. */
  readonly version: string | null
  /** Offset that the next entry of its change log gets. */
  readonly index: number | null
}

/** Opens a slab: as `openLmdb`, or what is not in clear. */
export type OpenSlab = (path: string) => Lmdb

/** @throws RegistryError `REG_BACKUP_SOURCE` when a file of it is damaged */
export function readSynapseFacts(dir: string, open: OpenSlab = openLmdb): SynapseFacts {
  using cell = open(join(dir, CELL_SLAB))
  return {type: typeOf(dir, cell), version: versionOf(cell), index: indexOf(dir, open)}
}

function typeOf(dir: string, cell: Lmdb): string | null {
  for (const name of cell.databases().keys()) {
    const type = DATABASES_OF[name]
    if (type !== undefined) return type
  }
  return ['axon.lmdb', 'blob.lmdb'].every((slab) => existsSync(join(dir, slab, 'data.mdb'))) ? 'axon' : null
}

function versionOf(cell: Lmdb): string | null {
  const packed = cell.get('cell:info', 'synapse:version')
  const version = packed === undefined ? undefined : unpacked(packed)
  return Array.isArray(version) && version.every(Number.isSafeInteger) ? version.join('.') : null
}

/** Gives a small value that is stored packed; undefined when it is of another form than known. */
export function unpacked(bytes: Buffer): Value {
  const decoder = new Decoder({maxBytes: INFO_BYTES_MAX})
  decoder.push(bytes)
  try {
    return decoder.next()?.value
  } catch {
    return undefined
  }
}

/**
 * The newest file of the log says it by its last entry, or, as long as it is empty, by its name. Without a change log the service keeps the number
 * in a place of its own, which is not written while there is one.
 */
function indexOf(dir: string, open: OpenSlab): number | null {
  const known = [countedIndex(dir, open), loggedIndex(dir, open)].filter((index) => index !== undefined)
  return known.length === 0 ? null : Math.max(...known)
}

function countedIndex(dir: string, open: OpenSlab): number | undefined {
  const path = join(dir, INDEX_SLAB)
  if (!existsSync(path)) return undefined
  using slab = open(path)
  return asOffset(slab.get('nexs:indx', 'nexs:indx'))
}

function loggedIndex(dir: string, open: OpenSlab): number | undefined {
  const folder = join(dir, LOG_DIR)
  if (!existsSync(folder)) return undefined
  const newest = readdirSync(folder)
    .filter((name) => LOG_NAME.test(name))
    .sort()
    .at(-1)
  if (newest === undefined) return undefined
  using slab = open(join(folder, newest, 'data.mdb'))
  const last = asOffset(slab.lastKey('nexuslog'))
  return last === undefined ? Number.parseInt(LOG_NAME.exec(newest)?.[1] ?? '0', 16) : last + 1
}

function asOffset(bytes: Buffer | undefined): number | undefined {
  if (bytes?.length !== 8) return undefined
  const offset = bytes.readBigUInt64BE()
  return offset > Number.MAX_SAFE_INTEGER ? undefined : Number(offset)
}
