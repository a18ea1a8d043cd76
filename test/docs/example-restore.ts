// What the examples of `restore` find in the user's home: a backup of a registry whose log is there from its first entry on.
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import {lockCellDir} from '../../src/cell/dirs.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {backUp} from '../support/cell-backup.ts'

const TIMES = ['2026-11-21T11:58:00Z', '2026-11-21T11:59:30Z']

/** Makes the backup anew, and nothing where it goes to. */
export async function prepareRestore(home: string): Promise<void> {
  const source = join(home, 'source')
  const made = join(home, 'backups', '20261121120000')
  for (const path of [source, made, join(home, 'lab')]) await rm(path, {recursive: true, force: true})
  {
    await using cell = await lockCellDir(source)
    await using store = new SqliteStore(cell.storePath)
    await store.open()
    for (const [seq, time] of TIMES.entries()) await store.append([registered(seq, Date.parse(time))])
  }
  await backUp(source, made, new Date('2026-11-21T12:00:00Z'))
}

function registered(seq: number, timeMs: number) {
  const info = JSON.stringify({id: `cam-${seq}`, name: 'cam', type: 'camera', host: '127.0.0.1', port: 5000})
  const effect = {kind: 'put', instance: {seq, service: info, lastHeartbeatS: timeMs / 1000}} as const
  const change = `{"v":1,"kind":"register","seq":${seq},"ttl":30,"info":${info}}`
  return {timeMs, actor: 'zmq:anon/006b8b4567', change, effect}
}
