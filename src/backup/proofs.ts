/**
 * What drills found out about a backup: kept beside its files, never in them, and of one backup only. A file of proofs that came to lie beside another
 * backup says nothing of it.
 */
import {createHash} from 'node:crypto'
import {readFile, stat} from 'node:fs/promises'
import {join} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {writeFileAtomic} from '../base/files.ts'
import type {Manifest} from './manifest.ts'
import {manifestPieces} from './manifest-write.ts'
import {PROOFS_FILE} from './tree.ts'

/** The end of its name beside an archive: `FILE.proofs.json`. */
const ARCHIVE_ENDING = '.proofs.json'

/** Format 1: the first. A reader refuses higher ones. */
const FORMAT = 1
/** The newest are kept, and the newest of those that say proven. */
const PROOFS_MAX = 50
/** Longer files are not ours. */
const BYTES_MAX = 8 * 1024 * 1024

const RESULTS = ['proven', 'failed', 'inconclusive'] as const

export type ProofResult = (typeof RESULTS)[number]

/** One comparison of a drill: what the backup says, and what was found in the restored service. */
export interface ProofCheck {
  readonly what: string
  readonly expected: string
  readonly found: string
  readonly isRight: boolean
}

/** What one drill found out. */
export interface Proof {
  /** When it ended; ISO 8601, UTC. */
  readonly at: string
  readonly result: ProofResult
  /** Why, in one sentence. */
  readonly reason: string
  /** Which backup: `subjectDigest` of it; null for one without a manifest. */
  readonly backup: string | null
  /** Version of this software. */
  readonly by: string
  readonly seconds: number
  /** What kept the drill from reaching anything else, one sentence each. */
  readonly protections: readonly string[]
  readonly checks: readonly ProofCheck[]
}

/** What a proof is of: a backup; a history that is followed, of which it is true as far as it was kept then; or one without a manifest. */
export type ProofSubject = Manifest | {readonly history: string} | undefined

/** Names a backup by what is in it, and a history by its name; 64 hex digits. Null for one without a manifest. */
export function subjectDigest(subject: ProofSubject): string | null {
  if (subject === undefined) return null
  return 'history' in subject ? digestOf(`history ${subject.history}`) : backupDigest(subject)
}

/** Names a backup by what is in it; 64 hex digits. */
export function backupDigest(manifest: Manifest): string {
  const hash = createHash('sha256')
  for (const piece of manifestPieces(manifest)) hash.update(piece)
  return hash.digest('hex')
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Tells where the proofs of a backup are: in its directory, or beside its archive. Throws what the system says. */
export async function proofsPath(backupPath: string): Promise<string> {
  const isDirectory = (await stat(backupPath)).isDirectory()
  return isDirectory ? join(backupPath, PROOFS_FILE) : `${backupPath}${ARCHIVE_ENDING}`
}

/**
 * Reads all proofs that lie at a backup, oldest first; none when there was no drill.
 *
 * @throws RegistryError `REG_BACKUP_INVALID` when the file is not ours, or altered; what the system says
 */
export async function readProofs(backupPath: string): Promise<readonly Proof[]> {
  const path = await proofsPath(backupPath)
  try {
    if ((await stat(path)).size > BYTES_MAX) throw invalid(path, `it has more than ${BYTES_MAX} bytes`)
    return decode(await readFile(path, 'utf8'), path)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}

/** Gives the newest proof among them of that backup; with `result` the newest that says so. */
export function newestProof(proofs: readonly Proof[], subject: ProofSubject, result?: ProofResult): Proof | undefined {
  const digest = subjectDigest(subject)
  return proofs.findLast((proof) => proof.backup === digest && (result === undefined || proof.result === result))
}

/**
 * Adds a proof to those of a backup; when the promise resolves it survives a crash. Of two that are added at the same moment one may be lost.
 *
 * @throws RegistryError `REG_BACKUP_INVALID`; what the system says
 */
export async function addProof(backupPath: string, proof: Proof): Promise<void> {
  const path = await proofsPath(backupPath)
  const proofs = [...(await readProofs(backupPath)), proof]
  const spare = proofs.slice(0, -PROOFS_MAX)
  const proven = proofs.findLast(({result}) => result === 'proven')
  const kept = proofs.filter((one) => one === proven || !spare.includes(one))
  await writeFileAtomic(path, `${JSON.stringify({format: FORMAT, proofs: kept}, undefined, 1)}\n`)
}

function decode(text: string, path: string): readonly Proof[] {
  try {
    const body = objectAt(JSON.parse(text), 'it')
    if (body['format'] !== FORMAT) throw new TypeError(`its format is ${String(body['format'])}, known is ${FORMAT}`)
    return listAt(body['proofs'], 'proofs').map((proof, at) => proofAt(proof, `proofs[${at}]`))
  } catch (error) {
    throw invalid(path, messageOf(error), error)
  }
}

function invalid(path: string, reason: string, cause?: unknown): RegistryError {
  return new RegistryError('REG_BACKUP_INVALID', `${path} has no proofs of drills: ${reason}`, {
    info: {place: path, reason},
    hints: ['move that file away', 'registry backup drill BACKUP'],
    cause,
  })
}

function proofAt(value: unknown, where: string): Proof {
  const proof = objectAt(value, where)
  const result = RESULTS.find((one) => one === proof['result'])
  if (result === undefined) throw new TypeError(`${where}.result is none of ${RESULTS.join(', ')}`)
  const {backup, seconds} = proof
  if (typeof seconds !== 'number') throw new TypeError(`${where}.seconds is no number`)
  return {
    at: textAt(proof['at'], `${where}.at`, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    result,
    reason: textAt(proof['reason'], `${where}.reason`),
    backup: backup === null ? null : textAt(backup, `${where}.backup`, /^[0-9a-f]{64}$/),
    by: textAt(proof['by'], `${where}.by`),
    seconds,
    protections: listAt(proof['protections'], `${where}.protections`).map((one, at) =>
      textAt(one, `${where}.protections[${at}]`),
    ),
    checks: listAt(proof['checks'], `${where}.checks`).map((check, at) => checkAt(check, `${where}.checks[${at}]`)),
  }
}

function checkAt(value: unknown, where: string): ProofCheck {
  const {what, expected, found, isRight} = objectAt(value, where)
  if (typeof isRight !== 'boolean') throw new TypeError(`${where}.isRight is neither true nor false`)
  return {
    what: textAt(what, `${where}.what`),
    expected: textAt(expected, `${where}.expected`),
    found: textAt(found, `${where}.found`),
    isRight,
  }
}

function objectAt(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${where} is no object`)
  return {...value}
}

function listAt(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${where} is no list`)
  return value
}

function textAt(value: unknown, where: string, form = /^[^\0]*$/): string {
  if (typeof value !== 'string' || !form.test(value)) throw new TypeError(`${where} is not what it should be`)
  return value
}
