/** A backup of a real Synapse service: a gzip tar without a manifest. It gets one from what came, and from what the service says of itself. */
import {basename} from 'node:path'
import type {ArchiveLimits} from '../backup/archive-plan.ts'
import {unpackArchive} from '../backup/archive-read.ts'
import type {WorkOptions} from '../backup/copy-files.ts'
import type {Manifest, ManifestCell} from '../backup/manifest.ts'
import {synapseCensus} from '../backup/synapse-census.ts'
import {readSynapseFacts, type SynapseFacts} from '../backup/synapse-facts.ts'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {packageVersion} from '../base/package-root.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {fieldsOf, oddAnswer} from './admin-values.ts'

export interface ForeignWish extends WorkOptions {
  readonly name: string
  /** An empty directory. */
  readonly to: string
  readonly timeoutMs: number
  readonly limits: ArchiveLimits
  readonly clock: Pick<Clock, 'wallMs'>
}

const METHOD = 'iterNewBackupArchive'

/**
 * Has a service make a backup and unpacks it. The service keeps nothing of it.
 *
 * @throws RegistryError `REG_BAD_REQUEST` when it cannot do that; `REG_BACKUP_INVALID` for an archive that holds what it should not, or another cell; as a
 * call
 */
export async function fetchForeign(
  cell: Callable,
  {name, to, timeoutMs, limits, clock, progress, signal}: ForeignWish,
): Promise<Manifest> {
  if (!cell.info.methods.has(METHOD)) throw tooOld()
  const about = cellOf(fieldsOf(await cell.call('getCellInfo', {signal}), 'getCellInfo'))
  const madeAt = new Date(clock.wallMs()).toISOString()
  progress.phase('the service makes a backup', undefined)
  const items = cell.stream(METHOD, {kwargs: {name, remove: true}, timeoutMs, signal})
  const {files, directories} = await unpackArchive(bytesOf(items), to, {limits, isForeign: true, progress, signal})
  progress.phase('counting', undefined)
  const {type, index} = factsOf(to)
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
    census: censusOf(to, type ?? about.type),
  }
}

async function* bytesOf(items: AsyncIterable<Value>): AsyncGenerator<Uint8Array, void> {
  for await (const item of items) {
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
function factsOf(dir: string): Pick<SynapseFacts, 'type' | 'index'> {
  try {
    return readSynapseFacts(dir)
  } catch {
    return {type: null, index: null} // of a version whose files are others
  }
}

/** Of what came, and not of the service, which goes on. */
function censusOf(dir: string, type: string | null): Manifest['census'] {
  try {
    return synapseCensus(dir, type)
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
