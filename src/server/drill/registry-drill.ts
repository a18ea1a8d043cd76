/** What is asked of a restored registry of ours. */
import {join} from 'node:path'
import type {WorkOptions} from '../../backup/copy-files.ts'
import {readArchivedLog} from '../../backup/followed.ts'
import type {ManifestLog} from '../../backup/manifest.ts'
import type {FollowedBackup} from '../../backup/open-backup.ts'
import type {ProofCheck} from '../../backup/proofs.ts'
import {programPath} from '../../base/package-root.ts'
import {fieldsOf} from '../../client/admin-values.ts'
import {verifyStoreFile} from '../../store/adopt.ts'
import {type Census, storeCensus} from '../../store/census.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import type {Callable} from '../../wire/telepath/caller.ts'
import {replayInto} from '../replay.ts'
import {compare, compareFacts} from './checks.ts'
import type {DrillSubject, PreparedDrill} from './subject.ts'

/** Longest wait for an answer: the log of a million entries takes a while. */
const ANSWER_MS = 600_000

/** How many users there are. A first start makes root, and one in safemode cannot. */
const USERS = 'records.auth:user'
const NEVER_SERVED = 'the registry was never served: it has no user root yet, whom a drill would ask as'

/** Before the start: the file of the store against the manifest. */
async function checkFile(
  path: string,
  {manifest, signal}: Pick<DrillSubject, 'manifest' | 'signal'>,
  what = 'store',
): Promise<{checks: ProofCheck[]; census: Census}> {
  const census = await storeCensus(path, signal)
  const nextOffset = Number(census['log.index'])
  await verifyStoreFile(path, {nextOffset, lastHash: String(census['log.hash'])})
  const checks = [compare(`${what}: every page and entry`, 'whole', 'whole')]
  if (manifest === undefined) return {checks, census}
  const isCounted = Object.keys(manifest.census).length > 0
  checks.push(...compareFacts(what, {...manifest.census, ...logFacts(manifest.log)}, census, !isCounted))
  return {checks, census}
}

function logFacts({epoch, index, hash}: ManifestLog): Census {
  const facts = {'log.index': index, 'log.epoch': epoch, 'log.hash': hash}
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== null)) as Census
}

/** With the service: what it says against the file, and the file again, for a registry in safemode alters nothing. */
async function checkService(cell: Callable, before: Census, subject: DrillSubject): Promise<readonly ProofCheck[]> {
  const {signal, manifest} = subject
  const options = {signal, timeoutMs: ANSWER_MS}
  const info = fieldsOf(fieldsOf(await cell.call('getCellInfo', options), 'getCellInfo')['cell'] ?? null, 'cell')
  const registry = fieldsOf(await cell.call('getRegistryInfo', options), 'getRegistryInfo')
  const log = fieldsOf(await cell.call('checkLog', options), 'checkLog')
  const after = await storeCensus(storeOf(subject), signal)
  return [
    compare('service: iden', manifest?.cell.iden ?? subject.iden, asFact(info['iden'])),
    compare('service: log.index', Number(before['log.index']), asFact(info['nexsindx'])),
    compare('service: services', Number(before['services']), servicesOf(registry)),
    compare('service: chain of the log', 'whole', log['damage'] === null ? 'whole' : JSON.stringify(log['damage'])),
    compare('service: state against the log', 'the same', differencesOf(log)),
    compare('store after the start: state.sha256', String(before['state.sha256']), String(after['state.sha256'])),
  ]
}

/** The base of what is followed: its store against its manifest, and then with the archived log, of which every entry is applied. */
export async function bringUp(
  {followed, manifest}: FollowedBackup,
  {dir, signal, progress}: {readonly dir: string} & WorkOptions,
): Promise<readonly ProofCheck[]> {
  const path = storeOf({dir})
  const {checks} = await checkFile(path, {manifest, signal}, 'base')
  const {index, hash} = followed.bases.at(-1) ?? followed.bases[0]
  const {nextOffset, lastHash, damage} = followed
  progress.phase('applying the archived log', undefined)
  const last = {offset: nextOffset - 1}
  const head = await replayInto(path, readArchivedLog(followed.path, {offset: index, hash}), {
    last,
    signal,
    onApplied: (count) => progress.add(count),
  })
  // What comes before it was good; a log that is not whole is not proven.
  if (damage !== undefined) throw damage
  return [
    ...checks,
    compare('archived log: entries behind the base', nextOffset - index, head.nextOffset - index),
    compare('archived log: hash of the newest entry', lastHash, head.lastHash),
  ]
}

function storeOf({dir}: Pick<DrillSubject, 'dir'>): string {
  return join(dir, 'registry.db')
}

/** Reads the file of a registry, and says how it is started. @throws RegistryError `REG_STORE_DAMAGED`, `REG_STORE_FAILED`, `REG_STORE_NEWER` */
export async function prepareRegistry(subject: DrillSubject): Promise<PreparedDrill> {
  const {checks, census} = await checkFile(storeOf(subject), subject)
  return {
    checks,
    command: [process.execPath, programPath(), 'serve', subject.dir],
    variables: {},
    unasked: census[USERS] === undefined ? NEVER_SERVED : undefined,
    ask: (cell) => checkService(cell, census, subject),
  }
}

function servicesOf({registry}: Readonly<Record<string, Value>>): number | string | null {
  const counts = fieldsOf(fieldsOf(registry ?? null, 'registry')['counts'] ?? null, 'counts')
  return asFact(counts['services'])
}

function differencesOf({differing, differingRecords}: Readonly<Record<string, Value>>): string {
  const odd = [...listOf(differing).map((seq) => `service ${String(seq)}`), ...listOf(differingRecords).map(String)]
  return odd.length === 0 ? 'the same' : odd.join(', ')
}

function listOf(value: Value | undefined): readonly Value[] {
  return Array.isArray(value) ? value : []
}

function asFact(value: Value | undefined): number | string | null {
  return typeof value === 'number' || typeof value === 'string' ? value : null
}
