/** What a member passes on of its HTTPS port, done at the leader: whether or not that has such a port. */
import assert from 'node:assert/strict'
import {authorize} from '../../auth/door.ts'
import {parseJson} from '../../base/json-parse.ts'
import {actorText} from '../../registry/actor.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import type {CellParts} from '../cell-parts.ts'
import {assertAllowed, isChange} from '../https-api.ts'
import {HTTPS_CHANGES} from '../https-handlers.ts'
import {HTTPS_ROUTES, type HttpsRow} from '../https-routes.ts'
import {type HttpsCall, notPassedOn} from './forwarded-call.ts'

/** Does the call; `via` names the member that it comes through, for the log. */
export async function runForwardedHttps(
  {route, params, body, user, address}: HttpsCall,
  via: string,
  parts: CellParts,
): Promise<Value> {
  if (!isChange(route)) throw notPassedOn(route)
  const row: HttpsRow = HTTPS_ROUTES[route]
  const known = parts.users.user(user)
  authorize(parts.users, {kind: 'user', iden: user}, {kind: 'login'})
  assert(known !== undefined, 'who is allowed to log in is known')
  const need = typeof row.need === 'function' ? row.need(params, user) : row.need
  assertAllowed({userIden: user, username: known.name}, need, parts.users)
  const actor = actorText('https', known.name, address)
  parts.log.info('https.forwarded', {route, user, username: known.name, remoteip: address, via})
  const members = parseJson(body) as Readonly<Record<string, unknown>>
  return JSON.stringify((await HTTPS_CHANGES[route]({params, body: members, actor, parts})) ?? null)
}
