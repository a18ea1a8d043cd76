/** Work on a whole database file, in a thread of its own: it takes as long as the file is large, and nobody else waits for it. */
import {readdir, rm} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'
import {Worker} from 'node:worker_threads'
import {messageOf, RegistryError} from '../base/errors.ts'
import {createPrivateFile, moveFile} from '../base/files.ts'
import {newGuid} from '../base/ids.ts'
import {workerUrl} from '../base/package-root.ts'
import {asStoreError} from './sqlite-errors.ts'
import {DONE, decodeFailure, decodeHead, type Flat, numberAt} from './sqlite-messages.ts'
import type {StoreHead} from './store.ts'
import {syncWhileWritten} from './sync-while-written.ts'

/** What is done to the file at `path`. All but the last two give its head. */
export type FileTask =
  /** Copies one moment of the file at `from`, which may be in use, to `path`, an empty file. Bringing it to the disk is for the caller. */
  | {readonly kind: 'copy'; readonly from: string; readonly path: string}
  /** Gives the file an iden of its own. */
  | {readonly kind: 'adopt'; readonly path: string; readonly iden: string}
  /** Verifies the file and every entry in it, and that it ends as expected. */
  | {readonly kind: 'verify'; readonly path: string; readonly nextOffset: number; readonly lastHash: string}
  /** Reads a record, and alters nothing. */
  | {readonly kind: 'record'; readonly path: string; readonly table: string; readonly key: string}
  /** Counts and hashes what is in it. */
  | {readonly kind: 'census'; readonly path: string}

/** Runs a task that gives the head of the file; when `signal` aborts, until the thread can be stopped. */
export function runFileTask(
  task: Exclude<FileTask, {kind: 'census' | 'record'}>,
  signal?: AbortSignal,
): Promise<StoreHead> {
  return runTask(task, decodeHead, signal)
}

/** Runs a task to its end and gives what `decode` makes of its answer; when `signal` aborts, until the thread can be stopped. */
export function runTask<T>(task: FileTask, decode: (answer: Flat) => T, signal?: AbortSignal): Promise<T> {
  const {path, kind} = task
  const {promise, resolve, reject} = Promise.withResolvers<T>()
  const worker = new Worker(workerUrl('store/sqlite-task-worker'), {name: kind, execArgv: [], workerData: task})
  let answer: Flat | undefined
  let failure: unknown
  const stop = () => void worker.terminate()
  worker.on('message', (message: Flat) => {
    answer = message
  })
  worker.on('error', (error) => {
    failure = error
  })
  worker.on('exit', (status) => {
    signal?.removeEventListener('abort', stop)
    if (signal?.aborted === true) reject(signal.reason)
    else if (answer !== undefined && numberAt(answer, 1) === DONE) resolve(decode(answer))
    else if (answer !== undefined) reject(decodeFailure(answer))
    else {
      const reason = failure === undefined ? `it ended with ${status}` : messageOf(failure)
      const message = `the thread that should ${kind} ${path} died: ${reason}`
      reject(new RegistryError('REG_STORE_FAILED', message, {info: {place: path}, cause: failure}))
    }
  })
  if (signal?.aborted === true) stop()
  signal?.addEventListener('abort', stop)
  return promise
}

/**
 * Copies one moment of the database file at `from`, which may be in use, to `path`: for the owner alone, whole or not at all. When the promise
 * resolves the copy survives a crash.
 */
export async function copyFile(from: string, path: string, signal?: AbortSignal): Promise<StoreHead> {
  const temporary = join(dirname(path), `.${basename(path)}.${newGuid()}.tmp`)
  try {
    createPrivateFile(temporary)
    const head = await syncWhileWritten(temporary, () => runFileTask({kind: 'copy', from, path: temporary}, signal))
    await moveFile(temporary, path)
    return head
  } catch (error) {
    for (const ending of ['', '-journal']) await rm(temporary + ending, {force: true})
    if (signal?.aborted === true) throw error
    throw asStoreError(error, 'copy', from)
  }
}

/** What `copyFile` gives a copy for a name, and SQLite its journal, until it is whole. */
const LEFT_COPY = /^\..+\.[0-9a-f]{32}\.tmp(-journal)?$/

/** Removes the copies in a directory that were not finished, as those of a process that was killed. Nobody else may be making one there. */
export async function removeLeftCopies(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []) // where there is no directory, there is none of them
  for (const name of names) if (LEFT_COPY.test(name)) await rm(join(folder, name), {force: true})
}
