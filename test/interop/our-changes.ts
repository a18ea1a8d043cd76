// What our registry wrote to its change log, read from its file beside it: by processes other than the registry's own, that is.
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {type AhaChange, decodeAhaChange} from '../../src/registry/aha-change.ts'

/** Where the log of a registry ends now. */
export function endOfLog(dir: string): number {
  return withDatabase(
    dir,
    (database) => database.prepare('SELECT next_offset AS next FROM head').get()?.['next'] as number,
  )
}

/**
 * The changes of AHA's services from a place in the log on, in the words of the peer: `svc:add 00.axon ready`. Tests rotate no log: all of it
 * is in the first segment.
 */
export function changesSince(dir: string, offset: number): readonly string[] {
  const rows = withDatabase(dir, (database) =>
    database.prepare('SELECT change FROM log_1 WHERE offset >= ? ORDER BY offset').all(offset),
  )
  const texts = rows.map((row) => row['change'] as string).filter((text) => text.includes('"kind":"aha:svc:'))
  return texts.map((text) => lineOf(decodeAhaChange(text)))
}

function lineOf(change: AhaChange): string {
  switch (change.kind) {
    case 'aha:svc:add':
      return `svc:add ${change.entry.name} ${change.entry.info['ready'] ? 'ready' : 'not ready'}`
    case 'aha:svc:mod':
      return `svc:mod ${shortOf(change.full)} ${change.isReady ? 'ready' : 'not ready'}`
    case 'aha:svc:down':
      return `svc:down ${shortOf(change.full)}`
    case 'aha:svc:del':
      return `svc:del ${shortOf(change.full)}`
  }
}

const shortOf = (full: string) => full.split('.').slice(0, -2).join('.')

function withDatabase<T>(dir: string, read: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(join(dir, 'registry.db'), {readOnly: true})
  try {
    return read(database)
  } finally {
    database.close()
  }
}
