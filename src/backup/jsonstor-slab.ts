/** What the files of a stopped JSONStor hold. Seen at Synapse 2.256: `jsonstor:paths` leads from paths to idens, `jsonstor:items` from those to objects. */
import {createHash} from 'node:crypto'
import {join} from 'node:path'
import {RegistryError} from '../base/errors.ts'
import {decode} from '../wire/msgpack/decode.ts'
import {encode} from '../wire/msgpack/encode.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {openLmdb} from './lmdb.ts'
import {CELL_SLAB, type OpenSlab} from './synapse-facts.ts'

const PATHS = 'jsonstor:paths'
const ITEMS = 'jsonstor:items'
/** Between the parts of a path. */
const SEPARATOR = '\0'
/** Bytes of a character. */
const UTF8_MAX = 4
/** So much of the hash of an object is kept: chance does not alter it to the same, and millions have room. */
const DIGEST_BYTES = 8

/** Objects whose paths begin with the same character: that is how all of them are listed. */
export interface JsonstorPart {
  readonly prefix: string
  /** Where its digests are. */
  readonly from: number
  readonly count: number
}

/** All objects of a JSONStor, in the order of their paths. */
export interface JsonstorObjects {
  readonly parts: readonly JsonstorPart[]
  /** Tells whether the object at a place is this one; `tail` are the parts of its path behind the first. */
  isSame(at: number, tail: readonly string[], object: Value): boolean
}

/** Counts and hashes. Blocks and throws as `synapseCensus`. */
export function jsonstorCensus(dir: string, open: OpenSlab): Record<string, number | string> {
  using slab = open(join(dir, CELL_SLAB))
  const objectsHash = createHash('sha256')
  let objects = 0
  for (const [iden, value] of slab.entries(ITEMS)) {
    objects += 1
    objectsHash.update(iden).update(value)
  }
  const pathsHash = createHash('sha256')
  let paths = 0
  for (const [path, iden] of slab.entries(PATHS)) {
    paths += 1
    pathsHash.update(path).update(iden)
  }
  return {paths, objects, 'objects.sha256': objectsHash.digest('hex'), 'paths.sha256': pathsHash.digest('hex')}
}

/** Reads all objects by their paths, and keeps a digest of each. Blocks and throws as `synapseCensus`. */
export function readJsonstor(dir: string): JsonstorObjects {
  using slab = openLmdb(join(dir, CELL_SLAB))
  const digests = Buffer.alloc((slab.databases().get(PATHS)?.entries ?? 0) * DIGEST_BYTES)
  const parts: {prefix: string; from: number; count: number}[] = []
  let at = 0
  for (const [path, iden] of slab.entries(PATHS)) {
    const [prefix = ''] = path.subarray(0, UTF8_MAX).toString()
    const last = parts.at(-1)
    if (last?.prefix === prefix) last.count += 1
    else parts.push({prefix, from: at, count: 1})
    const object = objectIn(slab.get(ITEMS, iden))
    // One that is missing, or is no object, keeps the digest of none.
    if (object !== undefined) digestOf(tailOf(path), object).copy(digests, at * DIGEST_BYTES)
    at += 1
  }
  const digestAt = (place: number) => digests.subarray(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES)
  return {parts, isSame: (place, tail, object) => digestOf(tail, object).equals(digestAt(place))}
}

function tailOf(path: Buffer): readonly string[] {
  return path.toString().split(SEPARATOR).slice(1)
}

function objectIn(bytes: Buffer | undefined): Value {
  try {
    return bytes && decode(bytes)
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}

function digestOf(tail: readonly string[], object: Value): Buffer {
  const hash = createHash('sha256').update(encode([tail, object]))
  return hash.digest().subarray(0, DIGEST_BYTES)
}
