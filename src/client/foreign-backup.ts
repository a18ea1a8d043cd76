/** A backup of a real Synapse service: a gzip tar without a manifest. It gets one from what came, and from what the service says of itself. */
import {basename, relative} from 'node:path'
import type {ArchiveLimits} from '../backup/archive-plan.ts'
import {type Unpacked, unpackArchive} from '../backup/archive-read.ts'
import type {WorkOptions} from '../backup/copy-files.ts'
import {openLmdb} from '../backup/lmdb.ts'
import type {Manifest, ManifestCell} from '../backup/manifest.ts'
import {synapseCensus} from '../backup/synapse-census.ts'
import {type OpenSlab, readSynapseFacts, type SynapseFacts} from '../backup/synapse-facts.ts'
import type {Veil} from '../backup/veil.ts'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {packageVersion} from '../base/package-root.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {fieldsOf, oddAnswer} from './admin-values.ts'
import {BackupWatch} from './backup-watch.ts'

export interface ForeignWish extends WorkOptions {
  readonly name: string
  /** An empty directory. */
  readonly to: string
  readonly timeoutMs: number
  readonly limits: ArchiveLimits
  /** Behind which it is unpacked; in clear without. */
  readonly veil?: Veil | undefined
  readonly clock: Pick<Clock, 'wallMs'>
}

const METHOD = 'iterNewBackupArchive'

/**
 * Has a service make a backup and unpacks it. The service keeps nothing of it.
 *
 * @throws RegistryError `REG_BAD_REQUEST` when it cannot do that; `REG_BACKUP_INVALID` for an archive that holds what it should not, or another cell; as a
 * call
 */
export async function fetchForeign(cell: Callable, wish: ForeignWish): Promise<Manifest> {
  const {name, to, clock, progress, signal, veil} = wish
  if (!cell.info.methods.has(METHOD)) throw tooOld()
  const about = cellOf(fieldsOf(await cell.call('getCellInfo', {signal}), 'getCellInfo'))
  const madeAt = new Date(clock.wallMs()).toISOString()
  const {files, directories} = await unpackFrom(cell, wish)
  progress.phase('counting', undefined)
  const open: OpenSlab = (path) => openLmdb(path, veil && ((bytes, at) => veil.turned(relative(to, path), bytes, at)))
  const {type, index} = factsOf(to, open)
  return {
    name: basename(name),
    madeAt,
    madeBy: packageVersion(),
    how: 'live',
    cell: {...about, type: type ?? about.type},
    log: {epoch: null, index, hash: null},
    skipped: [],
    directories,
    files,
    census: censusOf(to, type ?? about.type, open),
  }
}

/** The service makes it, packs it and sends it; of the last it does not say how much there will be, but how large the backup became. */
async function unpackFrom(
  cell: Callable,
  {name, to, timeoutMs, limits, veil, progress, signal}: ForeignWish,
): Promise<Unpacked> {
  await using watch = await BackupWatch.begin(cell, {progress, signal})
  const items = cell.stream(METHOD, {kwargs: {name, remove: true}, timeoutMs, signal})
  const chunks = bytesOf(items, () => watch[Symbol.asyncDispose]())
  return await unpackArchive(chunks, to, {
    ...{limits, isForeign: true, veil, expectedBytes: () => watch.bytes},
    ...{progress, signal},
  })
}

async function* bytesOf(items: AsyncIterable<Value>, onBegun: () => Promise<void>): AsyncGenerator<Uint8Array, void> {
  let isBegun = false
  for await (const item of items) {
    if (!isBegun) await onBegun()
    isBegun = true
    if (!(item instanceof Uint8Array)) throw oddAnswer(METHOD, 'it is not bytes')
    yield item
  }
}

function cellOf(info: Readonly<Record<string, Value>>): ManifestCell {
  const {iden, type, verstring, aha} = fieldsOf(info['cell'], 'cell')
  const {name, network} = fieldsOf(aha ?? {}, 'aha')
  if (typeof iden !== 'string') throw oddAnswer('getCellInfo', 'it does not say which cell it is')
  const full = typeof name === 'string' && typeof network === 'string' ? `${name}.${network}` : null
  return {kind: 'synapse', iden, type: textOf(type), name: full, version: textOf(verstring)}
}

/** The index that the service says would be of another moment. */
function factsOf(dir: string, open: OpenSlab): Pick<SynapseFacts, 'type' | 'index'> {
  try {
    return readSynapseFacts(dir, open)
  } catch {
    return {type: null, index: null} // of a version whose files are others
  }
}

/** Of what came, and not of the service, which goes on. */
function censusOf(dir: string, type: string | null, open: OpenSlab): Manifest['census'] {
  try {
    return synapseCensus(dir, type, open)
  } catch {
    return {} // of a version whose files are others: that it starts is for a drill to prove
  }
}

function textOf(value: Value): string | null {
  return typeof value === 'string' ? value : null
}

function tooOld(): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', 'this service cannot send a backup', {
    hints: ['make one that stays there: registry livebackup URL', 'stop it, and: registry backup SRC DST'],
  })
}
