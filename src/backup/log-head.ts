/**
 * How far an archived log was kept, in a file of its own: `head.json` in the directory of a history. The chain of hashes proves what is there, and this what
 * is not there any more: entries at the end that are gone leave an archive that is whole by itself. It is written when the entries are on the disk, at
 * most once a second, so that it is never ahead of them. What was kept before there was such a file has none.
 */
import {createHash} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {RegistryError, systemCode} from '../base/errors.ts'
import {writeFileAtomic} from '../base/files.ts'
import {parseJson} from '../base/json-parse.ts'
import type {ArchivePlace} from './log-segment.ts'

const FORMAT = 1
export const HEAD_FILE = 'head.json'

/** Up to where entries were kept. */
export interface LogHead {
  readonly nextOffset: number
  /** Name of the file with the newest of them. */
  readonly segment: string
}

/** Writes how far it is kept: it survives a crash when the promise resolves. Throws what the system says. */
export async function writeLogHead(history: string, {nextOffset, segment}: LogHead): Promise<void> {
  const facts = {format: FORMAT, nextOffset, segment}
  await writeFileAtomic(join(history, HEAD_FILE), `${JSON.stringify({...facts, sha256: digestOf(facts)})}\n`)
}

/** Reads it; undefined when there is none, `altered` when it is not as it was written. Throws what the system says. */
export async function readLogHead(history: string): Promise<LogHead | 'altered' | undefined> {
  try {
    return decode(await readFile(join(history, HEAD_FILE), 'utf8'))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Says that entries are gone from the end of an archive, if that is so. `head` was read before the end was. */
export function lostEnd(
  history: string,
  head: LogHead | 'altered' | undefined,
  {nextOffset}: Pick<ArchivePlace, 'nextOffset'>,
): RegistryError | undefined {
  if (head === undefined || head === 'altered' || head.nextOffset <= nextOffset) return undefined
  const path = join(history, 'log', head.segment)
  const reason = `it ends before entry ${nextOffset}, and entries up to ${head.nextOffset - 1} had been kept`
  const text = `the archived log of ${history} is not whole: ${reason}`
  return new RegistryError('REG_BACKUP_DAMAGED', text, {info: {path, offset: nextOffset, reason}})
}

function decode(text: string): LogHead | 'altered' {
  const {format, nextOffset, segment, sha256} = objectIn(text)
  if (typeof nextOffset !== 'number' || typeof segment !== 'string') return 'altered'
  return sha256 === digestOf({format, nextOffset, segment}) ? {nextOffset, segment} : 'altered'
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const value = parseJson(text)
    return typeof value === 'object' && value !== null ? {...value} : {}
  } catch {
    return {} // it says nothing then
  }
}

function digestOf(facts: object): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex')
}
