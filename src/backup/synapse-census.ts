/**
 * Counts and hashes what the files of a stopped Synapse service have, to be compared with what the restored service says. Seen at Synapse 2.256.
 *
 *     axon       blobs, bytes; blobs.sha256 is the hash over names and sizes in order
 *     jsonstor   paths, objects; objects.sha256 is the hash over them in the order of their idens
 *     cortex     layers, nodes (of all layers); forms.NAME, how many there are of a form, as the service keeps count
 */
import {createHash} from 'node:crypto'
import {existsSync, readdirSync} from 'node:fs'
import {join} from 'node:path'
import {openLmdb} from './lmdb.ts'

/** Bytes of a character. */
const UTF8_MAX = 4

type Census = Record<string, number | string>

/**
 * Takes the census of a service of that type; an empty one of a type that is not known here, or where the files for it were left out. Blocks as long as it reads: for commands and for threads of
 * their own.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE` when a file of it is damaged
 */
export function synapseCensus(dir: string, type: string | null): Readonly<Census> {
  switch (type) {
    case 'axon':
      return axonCensus(dir)
    case 'jsonstor':
      return jsonstorCensus(dir)
    case 'cortex':
      return cortexCensus(dir)
    default:
      return {}
  }
}

function axonCensus(dir: string): Census {
  if (!existsSync(join(dir, 'axon.lmdb', 'data.mdb'))) return {}
  using slab = openLmdb(join(dir, 'axon.lmdb', 'data.mdb'))
  const hash = createHash('sha256')
  let blobs = 0
  let bytes = 0
  for (const [name, size] of slab.entries('sizes')) {
    blobs += 1
    bytes += countOf(size)
    hash.update(name).update(size)
  }
  return {blobs, bytes, 'blobs.sha256': hash.digest('hex')}
}

function jsonstorCensus(dir: string): Census {
  using slab = openLmdb(join(dir, 'slabs', 'cell.lmdb', 'data.mdb'))
  const hash = createHash('sha256')
  let objects = 0
  for (const [iden, value] of slab.entries('jsonstor:items')) {
    objects += 1
    hash.update(iden).update(value)
  }
  const paths = slab.databases().get('jsonstor:paths')?.entries ?? 0
  return {paths, objects, 'objects.sha256': hash.digest('hex')}
}

/** Gives the characters that the paths of a stopped JSONStor begin with, each once. Blocks and throws as `synapseCensus`. */
export function jsonstorPrefixes(dir: string): readonly string[] {
  using slab = openLmdb(join(dir, 'slabs', 'cell.lmdb', 'data.mdb'))
  const prefixes = new Set<string>()
  for (const [path] of slab.entries('jsonstor:paths')) {
    const [first] = path.subarray(0, UTF8_MAX).toString()
    if (first !== undefined) prefixes.add(first)
  }
  return [...prefixes].sort()
}

function cortexCensus(dir: string): Census {
  const folder = join(dir, 'layers')
  const slabs = existsSync(folder)
    ? readdirSync(folder).map((iden) => join(folder, iden, 'layer_v2.lmdb', 'data.mdb'))
    : []
  const census: Census = {layers: 0, nodes: 0}
  const forms = new Map<string, number>()
  for (const path of slabs.filter((slab) => existsSync(slab))) {
    using slab = openLmdb(path)
    census['layers'] = Number(census['layers']) + 1
    census['nodes'] = Number(census['nodes']) + (slab.databases().get('bybuidv3')?.entries ?? 0)
    for (const [form, count] of slab.entries('count:forms')) {
      const name = form.toString()
      forms.set(name, (forms.get(name) ?? 0) + countOf(count))
    }
  }
  for (const [form, count] of [...forms].sort()) if (count > 0) census[`forms.${form}`] = count
  return census
}

/** Numbers stand in eight bytes, the highest first. */
function countOf(bytes: Buffer): number {
  return bytes.length === 8 ? Number(bytes.readBigInt64BE()) : 0
}
