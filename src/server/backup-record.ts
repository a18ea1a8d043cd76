/**
 * What a server remembers of its backups: the file `backup.state.json` of the data directory. It is about this directory only: not in the log, and in no
 * backup.
 */
import {readFile} from 'node:fs/promises'
import {messageOf, RegistryError} from '../base/errors.ts'
import {writeFileAtomic} from '../base/files.ts'
import type {Value} from '../wire/msgpack/value.ts'

/** The last backup that was begun. Times in epoch milliseconds. */
interface LastRun {
  readonly startMs: number
  readonly endMs: number
  /** Of the last that succeeded. */
  readonly durationMs: number | null
  /** Bytes that it takes on the disk. */
  readonly bytes: number | null
  /** Why it failed, in the peers' shape; null when it did not. */
  readonly failure: Readonly<Record<string, Value>> | null
}

/** A place of the log, and when it was known to be there. */
export interface KeptPlace {
  /** Every entry below it is kept. */
  readonly index: number
  readonly atMs: number
}

export interface BackupState {
  readonly run: LastRun | null
  /** When a backup was last sent to its end. */
  readonly sentMs: number | null
  /** The last backup of this moment that somebody fetched to its end, and that is not here. */
  readonly streamed: KeptPlace | null
  /** How far who follows the log has it. */
  readonly followed: KeptPlace | null
}

const NOTHING: BackupState = {run: null, sentMs: null, streamed: null, followed: null}

/** Keeps what is remembered in a file. What cannot be read is forgotten: it is no data of the cell. */
export class BackupRecord {
  readonly #path: string
  #state: BackupState
  #writing: Promise<void> = Promise.resolve()

  private constructor(path: string, state: BackupState) {
    this.#path = path
    this.#state = state
  }

  static async open(path: string): Promise<BackupRecord> {
    try {
      return new BackupRecord(path, {...NOTHING, ...stateOf(JSON.parse(await readFile(path, 'utf8')))})
    } catch {
      return new BackupRecord(path, NOTHING)
    }
  }

  get state(): BackupState {
    return this.#state
  }

  /** Remembers from now on; `save` brings it to the disk. */
  set(changed: Partial<BackupState>): void {
    this.#state = {...this.#state, ...changed}
  }

  /** Throws what the system says. */
  save(): Promise<void> {
    const write = () => writeFileAtomic(this.#path, `${JSON.stringify(this.#state)}\n`)
    this.#writing = this.#writing.then(write, write)
    return this.#writing
  }
}

/** Makes of an error what the peers keep of one. */
export function packFailure(error: unknown): Readonly<Record<string, Value>> {
  const name = error instanceof RegistryError ? (error.telepath ?? 'SynErr') : 'SynErr'
  const mesg = messageOf(error)
  return {err: name, errmsg: `${name}: mesg='${mesg}'`, errinfo: {mesg}}
}

function stateOf(value: unknown): Partial<BackupState> {
  const {run, sentMs, streamed, followed} = objectOf(value)
  return {
    run: runOf(run),
    sentMs: numberOf(sentMs),
    streamed: placeOf(streamed),
    followed: placeOf(followed),
  }
}

function runOf(value: unknown): LastRun | null {
  const {startMs, endMs, durationMs, bytes, failure} = objectOf(value)
  if (typeof startMs !== 'number' || typeof endMs !== 'number') return null
  const {err, errmsg, errinfo} = objectOf(failure)
  const mesg = objectOf(errinfo)['mesg']
  const isFailure = typeof err === 'string' && typeof errmsg === 'string' && typeof mesg === 'string'
  return {
    startMs,
    endMs,
    durationMs: numberOf(durationMs),
    bytes: numberOf(bytes),
    failure: isFailure ? {err, errmsg, errinfo: {mesg}} : null,
  }
}

function placeOf(value: unknown): KeptPlace | null {
  const {index, atMs} = objectOf(value)
  return typeof index === 'number' && typeof atMs === 'number' ? {index, atMs} : null
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? {...value} : {}
}
