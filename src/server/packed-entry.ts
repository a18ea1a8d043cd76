/** Entries of the change log in the shape that the peers' readers of theirs take. */
import {hash} from 'node:crypto'
import {parseJson} from '../base/json-parse.ts'
import type {Entry} from '../store/store.ts'
import type {Value} from '../wire/msgpack/value.ts'

type Members = Readonly<Record<string, Value>>

/**
 * Gives an entry as `[offset, [nexsiden, event, args, kwargs, meta]]`. The event is the kind of the change, its one argument the change. In
 * `meta` stands what the log knows besides. Passwords and keys are in the log only as what checks them; a one-time URL is shown as the hash of its
 * secret, and what it will tell not at all, whichever version the entry is of: version 1 has both in clear.
 */
export function packEntry({offset, epoch, hash: chained, timeMs, actor, change}: Entry, cellIden: string): Value {
  const {v: _, kind, ...members} = parseJson(change) as Members // entries are objects: the log gives what it was given
  const argument = {kind, ...withoutSecrets(String(kind), members)}
  return [offset, [cellIden, kind, [argument], {}, {epoch, hash: chained, time: timeMs, actor}]]
}

function withoutSecrets(kind: string, members: Members): Members {
  switch (kind) {
    case 'ticket:add': {
      const {info: _, sealed: __, iden, idenSha256, ...ticket} = members['ticket'] as Members
      const dropped = iden === undefined ? marked(members['dropped']) : hashed(members['dropped'])
      return {ticket: {...ticket, iden: nameOf(iden, idenSha256)}, dropped}
    }
    case 'ticket:issue':
    case 'ticket:use': {
      const {iden, idenSha256, ...others} = members
      return {...others, iden: nameOf(iden, idenSha256)}
    }
    case 'ticket:del':
      return {idens: members['tickets'] === undefined ? hashed(members['idens']) : marked(members['tickets'])}
    default:
      return members
  }
}

function nameOf(iden: Value, idenSha256: Value): string {
  return `sha256:${iden === undefined ? String(idenSha256) : hash('sha256', String(iden))}`
}

function hashed(idens: Value): Value {
  return (idens as readonly Value[]).map((iden) => nameOf(iden, undefined))
}

function marked(hashes: Value): Value {
  return (hashes as readonly Value[]).map((idenSha256) => nameOf(undefined, idenSha256))
}
