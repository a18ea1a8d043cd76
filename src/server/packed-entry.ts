/** Entries of the change log in the shape that the peers' readers of theirs take. */
import {hash} from 'node:crypto'
import {parseJson} from '../base/json-parse.ts'
import type {Entry} from '../store/store.ts'
import type {Value} from '../wire/msgpack/value.ts'

type Members = Readonly<Record<string, Value>>

/**
 * Gives an entry as `[offset, [nexsiden, event, args, kwargs, meta]]`. The event is the kind of the change, its one argument the change. In
 * `meta` stands what the log knows besides. Passwords and keys are in the log only as what checks them; a one-time URL is shown as the hash of its
 * secret, and what it will tell, which may hold passwords, not at all.
 */
export function packEntry({offset, epoch, hash: chained, timeMs, actor, change}: Entry, cellIden: string): Value {
  const {v: _, kind, ...members} = parseJson(change) as Members // entries are objects: the log gives what it was given
  const argument = {kind, ...withoutSecrets(String(kind), members)}
  return [offset, [cellIden, kind, [argument], {}, {epoch, hash: chained, time: timeMs, actor}]]
}

function withoutSecrets(kind: string, members: Members): Members {
  switch (kind) {
    case 'ticket:add': {
      const {info: _, ...ticket} = members['ticket'] as Members
      return {ticket: {...ticket, iden: sealed(ticket['iden'])}, dropped: sealedAll(members['dropped'])}
    }
    case 'ticket:issue':
    case 'ticket:use':
      return {...members, iden: sealed(members['iden'])}
    case 'ticket:del':
      return {idens: sealedAll(members['idens'])}
    default:
      return members
  }
}

function sealedAll(idens: Value): Value {
  return (idens as readonly Value[]).map(sealed)
}

/** An iden is 128 random bits: a plain SHA-256 of it gives nothing away. */
function sealed(iden: Value): string {
  return `sha256:${hash('sha256', String(iden))}`
}
