/**
 * When the database was last written anew at a start, and what that won: the file `compact.state.json` of the data directory. It is about this
 * directory only: not in the log, and in no backup.
 */
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {writeFileAtomic} from '../base/files.ts'

/** A moment in epoch milliseconds, and the bytes of the database then: on the disk, and as its length. */
export type Moment = {
  readonly time: number
  readonly size: readonly [allocated: number, apparent: number]
}

/** In the shape of the peers. */
export type Compacted = {
  readonly init: Moment
  readonly fini: Moment
}

const FILE = 'compact.state.json'

/** Throws what the system says. */
export async function writeCompacted(dir: string, compacted: Compacted): Promise<void> {
  await writeFileAtomic(join(dir, FILE), `${JSON.stringify(compacted)}\n`)
}

/** What cannot be read is forgotten: it is no data of the cell. */
export async function readCompacted(dir: string): Promise<Compacted | null> {
  try {
    const {init, fini} = JSON.parse(await readFile(join(dir, FILE), 'utf8'))
    return {init: momentOf(init), fini: momentOf(fini)}
  } catch {
    return null
  }
}

function momentOf({time, size: [allocated, apparent]}: Moment): Moment {
  if (![time, allocated, apparent].every(Number.isSafeInteger)) throw new TypeError('it is no moment')
  return {time, size: [allocated, apparent]}
}
