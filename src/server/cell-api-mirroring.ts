/** The methods of the cell for who follows its change log: its mirrors and what they tell, and archives. Our own, which no peer has. */
import type {Need} from '../auth/need.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {feedArchive} from './archive-feed.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, generator, method, optional, required} from './cell-method.ts'
import {withCode} from './mirroring/feed-errors.ts'
import {packFeedStart, packFeedStep, readFollowTold, readFollowWish} from './mirroring/feed-messages.ts'

const ADMIN: Need = {kind: 'admin'}

/** Rows of the table of methods: who follows the change log. */
export const MIRRORING_METHODS = {
  followLog: generator(ADMIN, [required('about')], feed, {isUnawaited: true} as const),
  followAck: method(ADMIN, [required('told')], told),
  archiveLog: generator(ADMIN, [optional('from')], archive, {isUnawaited: true} as const),
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
  const {entries, changes, mirroring, clock, cellIden} = call.parts
  const ports = {entries, changes, roles: mirroring.roles, clock, cellIden}
  try {
    yield* feedArchive(ports, call.optionalInteger('from', 0, Number.MAX_SAFE_INTEGER), call.signal)
  } catch (error) {
    throw withCode(error)
  }
}
