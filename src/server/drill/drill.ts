/**
 * Proves a backup by restoring it: lays it out in a scratch directory, takes away what could lead it to others, starts the real service on it, and
 * compares what that says with what the manifest says.
 */
import {mkdir} from 'node:fs/promises'
import {join} from 'node:path'
import {historyOf} from '../../backup/followed.ts'
import type {ForeignBackup} from '../../backup/foreign.ts'
import {layOut} from '../../backup/lay-out.ts'
import type {Manifest} from '../../backup/manifest.ts'
import {totalsOf} from '../../backup/manifest.ts'
import type {Backup} from '../../backup/open-backup.ts'
import type {Progress} from '../../backup/progress.ts'
import {
  addProof,
  type Proof,
  type ProofCheck,
  type ProofResult,
  type ProofSubject,
  subjectDigest,
} from '../../backup/proofs.ts'
import type {Clock} from '../../base/clock.ts'
import {messageOf, RegistryError, systemCode} from '../../base/errors.ts'
import {packageVersion} from '../../base/package-root.ts'
import {isOlder} from '../../base/versions.ts'
import {readDirKind} from '../../cell/dir-kind.ts'
import {assertNoService} from '../../cell/running.ts'
import {compare} from './checks.ts'
import {ServiceEnded, ServiceLate, startDrilled, whyBroken} from './drilled-cell.ts'
import {findPython} from './find-python.ts'
import {makeHarmless} from './harmless.ts'
import {bringUp, prepareRegistry} from './registry-drill.ts'
import {findSandbox, type Sandbox} from './sandbox.ts'
import {Scratch} from './scratch.ts'
import type {DrillSubject, PreparedDrill} from './subject.ts'
import {DRILLED_TYPES, prepareSynapse, writtenBy} from './synapse-drill.ts'

export interface DrillOptions {
  readonly identities?: readonly string[] | undefined
  /** A Python with Synapse; undefined: the one on the PATH. */
  readonly python: string | undefined
  /** Absolute; scratch directories are made there. */
  readonly scratch: string
  /** Whether the scratch directory stays. */
  readonly isKept: boolean
  /** How long the service may take until it answers. */
  readonly startMs: number
  readonly clock: Pick<Clock, 'wallMs'>
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** What a drill found out, and where what it restored lies, when that was kept. */
export interface DrillReport extends Proof {
  readonly path: string
  readonly kept: string | null
}

/** Free space that stays on the volume of the scratch directory, percent. */
const MIN_FREE_PERCENT = 5

/**
 * Drills a backup and records what came of it.
 *
 * @throws RegistryError when there was nothing to find out: `REG_BACKUP_INVALID`, `REG_DISK_LOW`, `REG_DIR_UNUSABLE` (also when the proof cannot be kept), `REG_USAGE`; the reason of the
 * signal
 */
export async function runDrill(backup: Backup | ForeignBackup, options: DrillOptions): Promise<DrillReport> {
  if (backup.kind === 'foreign') await assertNoService(backup.path)
  const begunMs = performance.now()
  await using scratch = await Scratch.make(options.scratch, options.isKept)
  const drill = new Drill(backup, options, scratch.path)
  const outcome = await drill.run()
  const proof: Proof = {
    at: new Date(options.clock.wallMs()).toISOString(),
    ...outcome,
    backup: subjectDigest(subjectOf(backup)),
    by: packageVersion(),
    seconds: Math.round((performance.now() - begunMs) / 100) / 10,
    protections: drill.protections,
    checks: drill.checks,
  }
  await record(backup.path, proof)
  return {...proof, path: backup.path, kept: options.isKept ? scratch.path : null}
}

/** Of what is followed the proof stays true when another base is taken. */
function subjectOf(backup: Backup | ForeignBackup): ProofSubject {
  switch (backup.kind) {
    case 'foreign':
      return undefined
    case 'followed':
      return {history: historyOf(backup.followed)}
    default:
      return backup.manifest
  }
}

/** What was found out is told also where it cannot be kept, as on a volume that is read-only. */
async function record(path: string, proof: Proof): Promise<void> {
  try {
    await addProof(path, proof)
  } catch (error) {
    throw systemCode(error) === undefined ? error : unkept(path, proof, error)
  }
}

function unkept(path: string, {result, reason}: Proof, cause: unknown): RegistryError {
  const text = `the drill ends as ${result}: ${reason}; but this cannot be kept beside ${path}: ${messageOf(cause)}`
  return new RegistryError('REG_DIR_UNUSABLE', text, {
    info: {path, result, reason},
    hints: ['drill a copy of it, in a directory that can be written to', 'run it as the user whose backup it is'],
    cause,
  })
}

interface Outcome {
  readonly result: ProofResult
  readonly reason: string
}

/** That the drill cannot find out more is told by this; it is neither a proof nor a failure. */
class NotDrilled extends Error {}

interface Subject extends DrillSubject {
  readonly kind: 'registry' | 'synapse'
}

class Drill {
  readonly #backup: Backup | ForeignBackup
  readonly #options: DrillOptions
  readonly #dir: string
  readonly #home: string
  readonly protections: string[] = []
  readonly checks: ProofCheck[] = []

  constructor(backup: Backup | ForeignBackup, options: DrillOptions, scratch: string) {
    this.#backup = backup
    this.#options = options
    this.#dir = join(scratch, 'cell')
    this.#home = join(scratch, 'home')
  }

  async run(): Promise<Outcome> {
    const broken = await this.#drill().then(
      () => undefined,
      (error: unknown) => {
        this.#options.signal.throwIfAborted()
        return outcomeOf(error)
      },
    )
    const wrong = this.checks.filter(({isRight}) => !isRight)
    const [first] = wrong
    // What is known to be wrong is so, whatever else could not be found out.
    if (broken !== undefined && (broken.result === 'failed' || first === undefined)) return broken
    if (first === undefined)
      return {result: 'proven', reason: `all ${this.checks.length} comparisons are right${this.#doubt()}`}
    const more = wrong.length === 1 ? '' : `, and ${wrong.length - 1} more`
    const reason = `${first.what} is ${first.found}, expected ${first.expected}${more}`
    return {result: 'failed', reason}
  }

  /** What was not compared. */
  #doubt(): string {
    return this.#backup.kind === 'foreign'
      ? '; with what was backed up nothing can be compared: it has no manifest'
      : ''
  }

  async #drill(): Promise<void> {
    const {signal, progress} = this.#options
    const subject = await this.#layOut()
    const sandbox = await findSandbox(signal)
    await mkdir(this.#home, {mode: 0o700})
    await this.#protect(subject, sandbox)
    progress.phase('reading the files', undefined)
    const prepared = await this.#prepare(subject, sandbox)
    this.checks.push(...prepared.checks)
    if (prepared.unasked !== undefined) throw new NotDrilled(prepared.unasked)
    progress.phase('starting the service', undefined)
    await this.#ask(prepared, sandbox)
  }

  async #layOut(): Promise<Subject> {
    const {signal, progress, identities} = this.#options
    const more = {room: {minFreePercent: MIN_FREE_PERCENT}, ...(identities === undefined ? {} : {identities})}
    const {files, manifest} = await layOut(this.#backup, this.#dir, {progress, signal, ...more})
    if (manifest !== undefined) {
      this.checks.push(compare('files: size and hash of each', filesText(manifest.files), filesText(files)))
    }
    if (this.#backup.kind === 'followed') {
      this.checks.push(...(await bringUp(this.#backup, {dir: this.#dir, progress, signal})))
      return this.#subject(undefined)
    }
    return this.#subject(manifest)
  }

  async #subject(manifest: Manifest | undefined): Promise<Subject> {
    const {signal} = this.#options
    const kind = await readDirKind(this.#dir)
    if (kind.kind === 'registry') return {...kind, type: 'registry', dir: this.#dir, manifest, signal}
    if (kind.kind !== 'synapse')
      throw new ServiceEnded(`it restores to no cell${'reason' in kind ? `: ${kind.reason}` : ''}`)
    const type = kind.type ?? manifest?.cell.type ?? null
    return {...kind, type, dir: this.#dir, manifest, signal}
  }

  async #protect({dir, kind, type}: Subject, sandbox: Sandbox) {
    const {taken, unread} = await makeHarmless(dir, kind === 'synapse' && type === 'aha' ? 'aha' : kind)
    this.protections.push(
      sandbox.protection,
      taken.length === 0
        ? 'no option had to be taken from its configuration'
        : `without the options ${taken.join(', ')}`,
      ...unread.map((name) => `nothing of ${name}, which cannot be read`),
      kind === 'registry'
        ? 'safemode: it takes no changes and calls no other member'
        : 'safemode: no cron jobs, triggers or services of its own begin',
      kind === 'registry' ? 'no listener but its UNIX socket' : 'a Telepath listener on loopback only, no HTTPS',
      'nothing of the environment of who called, and a home directory of its own',
    )
  }

  async #prepare(subject: DrillSubject & {readonly kind: string}, sandbox: Sandbox): Promise<PreparedDrill> {
    if (subject.kind === 'registry') return await prepareRegistry(subject)
    const {type} = subject
    if (type === null || !DRILLED_TYPES.includes(type)) {
      throw new NotDrilled(`how a service of type ${type ?? 'unknown'} is started is not known here`)
    }
    const {signal, python} = this.#options
    const found = await findPython(python, {sandbox, cwd: this.#home, signal})
    if (found.kind === 'none') throw new NotDrilled(found.reason)
    const written = writtenBy(subject)
    if (isOlder(found.version, written)) throw new NotDrilled(tooOld(found, written))
    const expected = written === null ? found.version : `${written} or newer`
    this.checks.push({what: 'service: Synapse that starts it', expected, found: found.version, isRight: true})
    return prepareSynapse(subject, found.python)
  }

  async #ask(prepared: PreparedDrill, sandbox: Sandbox): Promise<void> {
    const {signal, startMs, progress} = this.#options
    const command = [...sandbox.inside, ...prepared.command]
    const {variables} = prepared
    await using drilled = await startDrilled({command, variables, dir: this.#dir, home: this.#home, startMs, signal})
    progress.phase('asking the service', undefined)
    try {
      this.checks.push(...(await prepared.ask(drilled.cell)))
    } catch (error) {
      throw whyBroken(error, drilled.process)
    }
  }
}

/** Synapse refuses what a newer one wrote: that says nothing of the backup. */
function tooOld({python, version}: {python: string; version: string}, written: string | null): string {
  return `Synapse ${written} wrote it, and ${python} has ${version}, which does not start on it: give a newer one with --python PATH`
}

const filesText = (files: Manifest['files']): string => `${totalsOf(files).files} files, ${totalsOf(files).bytes} bytes`

/** Errors that say something about the backup or the restored service. */
const FAILURES: ReadonlySet<string> = new Set([
  'REG_BACKUP_DAMAGED',
  'REG_BACKUP_SOURCE',
  'REG_STORE_DAMAGED',
  'REG_STORE_NEWER',
])
/** Errors that keep a drill from beginning: to be mended, and drilled again. */
const REFUSALS: ReadonlySet<string> = new Set([
  'REG_BACKUP_INVALID',
  'REG_DISK_LOW',
  'REG_DIR_UNUSABLE',
  'REG_USAGE',
  'REG_CONFLICT',
])

/** A database that newer software wrote is none that is damaged. */
function isOfNewer({code, info}: RegistryError): boolean {
  return code === 'REG_STORE_NEWER' && typeof info['known'] === 'number'
}

function outcomeOf(error: unknown): Outcome {
  const reason = messageOf(error)
  if (error instanceof NotDrilled || error instanceof ServiceLate) return {result: 'inconclusive', reason}
  if (error instanceof ServiceEnded) return {result: 'failed', reason}
  if (error instanceof RegistryError && isOfNewer(error)) return {result: 'inconclusive', reason}
  if (!(error instanceof RegistryError) || REFUSALS.has(error.code)) throw error
  if (FAILURES.has(error.code)) return {result: 'failed', reason}
  // The service runs and answers something else, or not in time.
  return {result: error.code === 'REG_TIMED_OUT' ? 'inconclusive' : 'failed', reason}
}
