/**
 * Counts and hashes what the files of a stopped Synapse service have, to be compared with what the restored service says. Seen at Synapse 2.256.
 *
 *     axon       blobs, bytes; blobs.sha256 is the hash over names and sizes in order
 *     jsonstor   paths, objects; objects.sha256 is the hash over them in the order of their idens, paths.sha256 that over paths and their idens
 *     cryotank   tanks, items; items.sha256 is the hash over the names of tanks in order, each with the offsets and bytes of its items
 *     aha        services: how many names there are
 *     cortex     layers, nodes (of all layers); forms.NAME, how many there are of a form, as the service keeps count
 */
import {createHash} from 'node:crypto'
import {existsSync, readdirSync} from 'node:fs'
import {join} from 'node:path'
import {jsonstorCensus} from './jsonstor-slab.ts'
import {openLmdb} from './lmdb.ts'
import {CELL_SLAB, type OpenSlab, unpacked} from './synapse-facts.ts'

const IDEN = /^[0-9a-f]{32}$/
/** What the paths of its services begin with. */
const AHA_SERVICES = Buffer.from('aha\0services\0')

type Census = Record<string, number | string>

/**
 * Takes the census of a service of that type; an empty one of a type that is not known here, or where the files for it were left out. Blocks as long as it reads: for commands and for threads of
 * their own.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE` when a file of it is damaged
 */
export function synapseCensus(dir: string, type: string | null, open: OpenSlab = openLmdb): Readonly<Census> {
  switch (type) {
    case 'axon':
      return axonCensus(dir, open)
    case 'jsonstor':
      return jsonstorCensus(dir, open)
    case 'cryotank':
      return cryotankCensus(dir, open)
    case 'aha':
      return ahaCensus(dir, open)
    case 'cortex':
      return cortexCensus(dir, open)
    default:
      return {}
  }
}

function axonCensus(dir: string, open: OpenSlab): Census {
  if (!existsSync(join(dir, 'axon.lmdb', 'data.mdb'))) return {}
  using slab = open(join(dir, 'axon.lmdb', 'data.mdb'))
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

function cryotankCensus(dir: string, open: OpenSlab): Census {
  using cell = open(join(dir, CELL_SLAB))
  const hash = createHash('sha256')
  const census = {tanks: 0, items: 0}
  for (const [name, value] of cell.entries('cryo:names')) {
    census.tanks += 1
    hash.update(name)
    const known = unpacked(value)
    const iden = Array.isArray(known) ? known[0] : undefined
    if (typeof iden !== 'string' || !IDEN.test(iden)) continue
    const path = join(dir, 'tanks', iden, 'tank.lmdb', 'data.mdb')
    if (!existsSync(path)) continue
    using tank = open(path)
    for (const [offset, item] of tank.entries('items')) {
      census.items += 1
      hash.update(offset).update(item)
    }
  }
  return {...census, 'items.sha256': hash.digest('hex')}
}

/** Whether a service is online is not the same after a start; its name is. */
function ahaCensus(dir: string, open: OpenSlab): Census {
  const path = join(dir, 'slabs', 'jsonstor', 'data.mdb')
  if (!existsSync(path)) return {}
  using slab = open(path)
  let services = 0
  for (const [name] of slab.entries('aha:paths')) if (name.indexOf(AHA_SERVICES) === 0) services += 1
  return {services}
}

function cortexCensus(dir: string, open: OpenSlab): Census {
  const folder = join(dir, 'layers')
  const slabs = existsSync(folder)
    ? readdirSync(folder).map((iden) => join(folder, iden, 'layer_v2.lmdb', 'data.mdb'))
    : []
  const census: Census = {layers: 0, nodes: 0}
  const forms = new Map<string, number>()
  for (const path of slabs.filter((slab) => existsSync(slab))) {
    using slab = open(path)
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
