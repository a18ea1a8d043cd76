/** What is known of a copy that is being fetched, in a file beside it: with it an interrupted one goes on, after a kill too. */
import {readFile} from 'node:fs/promises'
import {systemCode} from '../../base/errors.ts'
import {parseJson} from '../../base/json-parse.ts'
import {isObject} from '../../registry/service.ts'
import type {SnapshotStart} from './snapshots.ts'

/** A copy that has begun to come. */
export interface CopyNote extends SnapshotStart {
  /** It was checked, and is a store of its own. */
  readonly isReady: boolean
}

export function encodeCopyNote(note: CopyNote): string {
  return `${JSON.stringify({version: 1, ...note})}\n`
}

/** Reads a note; undefined for none, and for one that is not as it should be: then the copy is fetched anew. Throws what the system says. */
export async function readCopyNote(path: string): Promise<CopyNote | undefined> {
  try {
    return decode(parseJson(await readFile(path, 'utf8')))
  } catch (error) {
    if (error instanceof SyntaxError || systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

function decode(value: unknown): CopyNote | undefined {
  if (!isObject(value) || value['version'] !== 1 || !isObject(value['head'])) return undefined
  const {id, sizeBytes, sha256, isReady} = value
  const {nextOffset, epoch, lastHash, firstOffset} = value['head']
  const areTexts = typeof id === 'string' && typeof sha256 === 'string' && typeof lastHash === 'string'
  if (!areTexts || !isCount(sizeBytes) || typeof isReady !== 'boolean') return undefined
  if (!isCount(nextOffset) || !isCount(epoch) || !isCount(firstOffset)) return undefined
  return {id, sizeBytes, sha256, isReady, head: {nextOffset, epoch, lastHash, firstOffset}}
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
