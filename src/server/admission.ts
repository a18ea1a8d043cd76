/** What a one-time URL makes of a data directory before anything is opened: the configuration that holds then. */
import {RegistryError} from '../base/errors.ts'
import type {Log} from '../base/log.ts'
import type {CellDir} from '../cell/dirs.ts'
import type {ConfSources} from '../config/layers.ts'
import type {LoadedConf} from '../config/load.ts'
import type {LiveName} from '../config/options.ts'
import {checkProvisioned, writeProvisioned} from '../config/provisioned.ts'
import {CertDir} from '../pki/cert-dir.ts'
import {hasStore} from './mirroring/copy-store.ts'
import type {GivenConf} from './self-provision.ts'

export interface AdmissionParts {
  readonly cellDir: CellDir
  readonly log: Log
  readonly sources: ConfSources
  readonly signal: AbortSignal | undefined
}

/** Where a clone listens is decided at its own machine, unless nobody did. */
const LISTENERS = ['dmon:listen', 'provision:listen'] as const satisfies LiveName[]

/**
 * Redeems the URL of `clone` or `aha:provision`, unless that was done before, or in safemode. True when the configuration is to be read again.
 *
 * @throws RegistryError as `cloneSelf` and `provisionSelf`; a new directory is a new one then
 */
export async function admit(parts: AdmissionParts, loaded: LoadedConf): Promise<boolean> {
  const {clone, 'aha:provision': urls, safemode} = loaded.conf
  if (safemode) return false
  const {cellDir} = parts
  try {
    if (clone !== null) return await admitClone(parts, loaded, clone)
    return urls !== null && (await admitService(parts, urls))
  } catch (error) {
    if (cellDir.isNew) await cellDir.forget()
    throw error
  }
}

async function admitService(
  {cellDir, log, sources, signal}: AdmissionParts,
  urls: readonly string[],
): Promise<boolean> {
  const {provisionSelf} = await import('./self-provision.ts')
  const {path: dir, guid, certsPath} = cellDir
  const check = (given: GivenConf) => checkProvisioned(sources, given, guid)
  const write = (given: GivenConf) => writeProvisioned(dir, given)
  return await provisionSelf({dir, certs: new CertDir(certsPath), log, check, write}, urls, signal)
}

async function admitClone(parts: AdmissionParts, {origins, conf}: LoadedConf, url: string): Promise<boolean> {
  const {cellDir, log, sources, signal} = parts
  const {cloneSelf} = await import('./mirroring/self-clone.ts')
  const {path: dir, storePath, certsPath} = cellDir
  const own = LISTENERS.filter((name) => origins[name].kind !== 'default')
  const check = (given: GivenConf, cellIden: string) => checkProvisioned(sources, without(given, own), cellIden)
  const write = (given: GivenConf) => writeProvisioned(dir, without(given, own))
  const adopt = (cellIden: string) => cellDir.adopt(cellIden)
  const certs = new CertDir(certsPath)
  const isNewer = await cloneSelf({dir, storePath, certs, log, check, adopt, write}, url, signal)
  if (!isNewer && conf.mirror === null && !(await hasStore(storePath))) throw lostMirror(dir)
  return isNewer
}

/** It would begin as an empty registry of its own. */
function lostMirror(dir: string): RegistryError {
  const text = `${dir} was to become a copy of another registry and has no store yet, and mirror is set no more: cell.yaml was changed meanwhile`
  return new RegistryError('REG_CONFIG_INVALID', text, {
    info: {dir, option: 'mirror'},
    hints: ['set mirror to the URL of the leader again', 'or take a new directory with a new URL: registry clone NAME'],
  })
}

function without({conf, aha}: GivenConf, names: readonly string[]): GivenConf {
  return {aha, conf: Object.fromEntries(Object.entries(conf).filter(([name]) => !names.includes(name)))}
}
