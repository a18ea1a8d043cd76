/** Compacts LMDB environments by the program of LMDB itself, where it is installed. */
import {spawn} from 'node:child_process'
import {chmod} from 'node:fs/promises'
import {text} from 'node:stream/consumers'
import {messageOf} from '../base/errors.ts'
import {PRIVATE_FILE_MODE} from '../base/files.ts'
import {type Lmdb, openLmdb} from './lmdb.ts'

const PROGRAM = 'mdb_copy'
/** A later one writes another format. */
const KNOWN = /^LMDB 0\.9\./

/** Says whether `mdb_copy` is there, and writes the format that Synapse reads. */
export async function canCompact(): Promise<boolean> {
  try {
    const {status, said} = await run(['-V'])
    return status === 0 && KNOWN.test(said)
  } catch {
    return false // it is not installed
  }
}

/**
 * Copies the environment in the directory `from` into the directory `to`, without the room of what was deleted, and compares how many entries each
 * database has. Gives the reason when that did not work; then `to` may hold a part.
 */
export async function compactLmdb(from: string, to: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const {status, said} = await run(['-c', from, to], signal)
    if (status !== 0) return `${PROGRAM} ended with ${status}: ${said.trim()}`
    // It makes the file for whomever the umask lets.
    await chmod(`${to}/data.mdb`, PRIVATE_FILE_MODE)
    return isSame(from, to) ? undefined : `${PROGRAM} left something out`
  } catch (error) {
    signal.throwIfAborted()
    return messageOf(error)
  }
}

function isSame(from: string, to: string): boolean {
  using before = openLmdb(`${from}/data.mdb`)
  using after = openLmdb(`${to}/data.mdb`)
  return countsOf(before) === countsOf(after)
}

function countsOf(lmdb: Lmdb): string {
  return JSON.stringify(Array.from(lmdb.databases(), ([name, {entries}]) => [name, entries]))
}

async function run(args: readonly string[], signal?: AbortSignal): Promise<{status: number | null; said: string}> {
  const child = spawn(PROGRAM, args, {stdio: ['ignore', 'pipe', 'pipe'], ...(signal ? {signal} : {})})
  const {promise, resolve, reject} = Promise.withResolvers<number | null>()
  child.once('error', reject).once('close', resolve)
  const [status, ...said] = await Promise.all([promise, text(child.stdout), text(child.stderr)])
  return {status, said: said.join('')}
}
