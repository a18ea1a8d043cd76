/** The methods of the cell that are about its live backups: those of the peers, and two of our own. */
import type {Need} from '../auth/need.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {StreamItem} from './backups.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, generator, method, optional, required} from './cell-method.ts'

const ADMIN: Need = {kind: 'admin'}
const LOGGED = {isLogged: true, isUnawaited: true} as const

/** Rows of the table of methods: backups. A stop of the server ends one: it waits for none. */
export const BACKUP_METHODS = {
  runBackup: method(ADMIN, [optional('name'), optional('wait', true)], run, LOGGED),
  getBackups: method(ADMIN, [], ({parts}) => parts.backups.list()),
  delBackup: method(ADMIN, [required('name')], remove, {isLogged: true}),
  getBackupInfo: method(ADMIN, [], ({parts}) => parts.backups.info()),
  iterBackupArchive: generator(
    ADMIN,
    [required('name')],
    (call) => call.parts.backups.archive(call.text('name'), call.signal),
    LOGGED,
  ),
  iterNewBackupArchive: generator(
    ADMIN,
    [optional('name'), optional('remove', false)],
    (call) =>
      call.parts.backups.archiveNew({name: call.optionalText('name'), isRemoved: call.boolean('remove')}, call.signal),
    LOGGED,
  ),
  streamBackup: generator(ADMIN, [optional('name')], stream, LOGGED),
  noteBackupFollowed: method(ADMIN, [required('index')], noteFollowed),
} as const satisfies Record<string, CellMethod>

async function run(call: CellCall): Promise<Value> {
  const {backups} = call.parts
  const name = call.optionalText('name')
  if (call.boolean('wait')) return await backups.run(name, call.signal)
  const begun = await backups.begin(name, NEVER)
  begun.done.catch(() => undefined) // getBackupInfo says why
  return begun.name
}

/** Nobody waits for it, so nobody ends it but the stop of the server. */
const NEVER = new AbortController().signal

async function remove(call: CellCall): Promise<Value> {
  await call.parts.backups.remove(call.text('name'))
  return null
}

async function* stream(call: CellCall): AsyncGenerator<Value, void> {
  for await (const item of call.parts.backups.stream(call.optionalText('name'), call.signal)) yield packItem(item)
}

async function noteFollowed(call: CellCall): Promise<Value> {
  const {backups, clock, changes} = call.parts
  const index = call.integer('index', 0, changes.nextOffset)
  await backups.noteFollowed({index, atMs: clock.wallMs()})
  return true
}

/** What travels: `{manifest}`, the archive in pieces, `{bytes, sha256}`. */
function packItem(item: StreamItem): Value {
  switch (item.kind) {
    case 'begin':
      return {manifest: item.manifest}
    case 'piece':
      return item.bytes
    case 'end':
      return {bytes: item.bytes, sha256: item.sha256}
  }
}
