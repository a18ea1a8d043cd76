/** The methods of the cell for who follows its change log: its mirrors and what they tell, and archives. Our own, which no peer has. */
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {feedArchive} from './archive-feed.ts'
import {readArchiverAbout, readArchiverTold} from './archiver-messages.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, generator, method, optional, required} from './cell-method.ts'
import {withCode} from './mirroring/feed-errors.ts'
import {packFeedStart, packFeedStep, readFollowTold, readFollowWish} from './mirroring/feed-messages.ts'

const ADMIN: Need = {kind: 'admin'}

/** Rows of the table of methods: who follows the change log. */
export const MIRRORING_METHODS = {
  followLog: generator(ADMIN, [required('about')], feed, {isUnawaited: true} as const),
  followAck: method(ADMIN, [required('told')], told),
  archiveLog: generator(ADMIN, [optional('from'), optional('about')], archive, {isUnawaited: true} as const),
  archiveAck: method(ADMIN, [required('told')], archived),
} as const satisfies Record<string, CellMethod>

async function* feed(call: CellCall): AsyncGenerator<Value, void> {
  const {session, signal, parts} = call
  const place = {sessionId: session.id, address: session.peer.address}
  try {
    const wish = readFollowWish(call.value('about'))
    for await (const item of parts.mirroring.feed.follow(wish, place, signal)) {
      yield 'entries' in item ? packFeedStep(item) : packFeedStart(item)
    }
  } catch (error) {
    throw withCode(error)
  }
}

function told(call: CellCall): Value {
  call.parts.mirroring.feed.ack(readFollowTold(call.value('told')), call.session.id)
  return true
}

async function* archive(call: CellCall): AsyncGenerator<Value, void> {
  const {entries, changes, mirroring, clock, cellIden, archivers} = call.parts
  const ports = {entries, changes, roles: mirroring.roles, clock, cellIden}
  const from = call.optionalInteger('from', 0, Number.MAX_SAFE_INTEGER)
  const about = call.optional('about', (value) => readArchiverAbout(value, 'about'))
  // Who has more than there is follows nothing here.
  const isKnown = from !== undefined && from <= changes.nextOffset && about !== undefined
  try {
    using _ = isKnown ? archivers.attach(about, call.session.id, from) : undefined
    yield* feedArchive(ports, from, call.signal)
  } catch (error) {
    throw withCode(error)
  }
}

/** It comes from anywhere in the log; only who has all of it is as good as a backup of this moment. */
async function archived(call: CellCall): Promise<Value> {
  const {archivers, backups, changes, clock} = call.parts
  const {archiver, index, isAll} = readArchiverTold(call.value('told'))
  if (index > changes.nextOffset) throw new RegistryError('REG_BAD_REQUEST', 'told.index must not be beyond the log')
  archivers.ack(archiver, call.session.id, index)
  if (isAll) await backups.noteFollowed({index, atMs: clock.wallMs()})
  return true
}
