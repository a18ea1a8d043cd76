/** From the table of routes to the routes of the server: who may, what is logged, how results and errors are told. */

import {authorize} from '../auth/door.ts'
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import {parseJson} from '../base/json-parse.ts'
import type {Users} from '../cell/users.ts'
import {actorText} from '../registry/actor.ts'
import type {BodyProblem, HttpsAnswer, HttpsRequest, HttpsRoute} from '../wire/https/messages.ts'
import {notAuthenticated} from './https-errors.ts'
import {HTTPS_CHANGES, HTTPS_HANDLERS, type HttpsCall, type HttpsParts} from './https-handlers.ts'
import type {HttpsLogin} from './https-login.ts'
import {isForeign} from './https-origin.ts'
import {HTTPS_ROUTES, type HttpsChangeName, type HttpsRouteName, type HttpsRow} from './https-routes.ts'
import {sayingPart} from './mirroring/done-in-part.ts'

/** A user who has logged in. */
type Who = Pick<HttpsLogin, 'userIden' | 'username'>

/** Who was let in; undefined for nobody in particular. */
export type Admitted = HttpsLogin | undefined

export interface HttpsApiOptions {
  readonly parts: HttpsParts
  readonly isBehindProxy: boolean
}

/** Makes the routes. */
export function httpsRoutes(options: HttpsApiOptions): readonly HttpsRoute<Admitted>[] {
  const rows = Object.entries(HTTPS_ROUTES) as readonly (readonly [HttpsRouteName, HttpsRow])[]
  const isAha = options.parts.aha !== undefined
  return rows
    .filter(([, row]) => isAha || !row.isOfAha)
    .map(([name, row]) => ({
      method: row.method,
      path: row.path,
      body: row.body,
      isBodyOptional: row.isBodyOptional,
      isForStrangers: isForStrangers(row),
      refuseBody: (problem) => badBody(row, problem),
      admit: (request) => admit(row, request, options),
      handle: async (request, login, body) => {
        const headers: Record<string, string> = {}
        const members = (body ?? {}) as HttpsCall['body']
        const actor = actorText('https', login?.username ?? 'anonymous', request.remoteAddress)
        const call = {request, params: request.params, body: members, actor, headers, parts: options.parts}
        return answer(row, await handle(name, call, login), headers)
      },
    }))
}

/** Here, or by the leader when this is a mirror. */
async function handle(name: HttpsRouteName, call: HttpsCall, login: Admitted): Promise<unknown> {
  const {forwarder} = call.parts
  const own = async () => await HTTPS_HANDLERS[name](call)
  if (!isChange(name) || forwarder === undefined) return await own()
  if (login === undefined || !forwarder.isNeeded) return await sayingPart(own)
  const {body, request} = call
  const params = {...call.params} // those of the router have no prototype
  const address = request.remoteAddress
  const {userIden: user} = login
  const forwarded = {via: 'https', route: name, params, body: JSON.stringify(body), user, address} as const
  const here = async () => JSON.stringify((await sayingPart(async () => await HTTPS_CHANGES[name](call))) ?? null)
  return parseJson(String(await forwarder.run(forwarded, here)))
}

/** Tells whether a route alters the state of the cell. */
export function isChange(name: string): name is HttpsChangeName {
  return Object.hasOwn(HTTPS_CHANGES, name)
}

/** Refuses what comes from a page of another place. */
export function assertOwnPage(request: HttpsRequest, isBehindProxy: boolean): void {
  if (!isForeign(request, isBehindProxy)) return
  throw new RegistryError('REG_DENIED', 'Pages of another origin may not ask for this.')
}

function isForStrangers({need}: HttpsRow): boolean {
  return typeof need !== 'function' && need.kind === 'anyone'
}

/** The body is not read yet: whoever is refused has sent it in vain. */
async function admit(row: HttpsRow, request: HttpsRequest, options: HttpsApiOptions): Promise<Admitted> {
  const {parts, isBehindProxy} = options
  if (row.alters) assertOwnPage(request, isBehindProxy)
  if (isForStrangers(row)) return undefined
  const login = await parts.logins.find(request)
  if (login === undefined) throw notAuthenticated()
  const need = typeof row.need === 'function' ? row.need(request.params, login.userIden) : row.need
  assertAllowed(login, need, parts.users)
  return login
}

/**
 * The one door, with the words that the peer has here.
 *
 * @throws RegistryError `REG_DENIED`
 */
export function assertAllowed(login: Who, need: Need, users: Users): void {
  try {
    authorize(users, {kind: 'user', iden: login.userIden}, need)
  } catch (error) {
    throw error instanceof RegistryError ? denied(login, need, error) : error
  }
}

function denied(login: Who, need: Need, cause: RegistryError): RegistryError {
  return new RegistryError('REG_DENIED', refusalText(login, need), {cause})
}

function refusalText({userIden, username}: Who, need: Need): string {
  if (need.kind !== 'permission') return `User ${userIden} (${username}) is not an admin.`
  const perm = need.path.join('.')
  if (need.byDefault) return `User (${username}) is denied the permission ${perm}`
  return `User (${username}) must have permission ${perm}`
}

function answer({result, media}: HttpsRow, value: unknown, headers: Readonly<Record<string, string>>): HttpsAnswer {
  if (media === 'text/plain') return {status: 200, body: value, isText: true, headers}
  return {status: 200, body: result === undefined ? value : {status: 'ok', result: value}, headers}
}

function badBody({called}: HttpsRow, {text, missing}: BodyProblem): RegistryError {
  if (called !== undefined && missing !== undefined) {
    const words = `The ${called} API requires a "${missing}" argument.`
    return new RegistryError('REG_BAD_REQUEST', words, {telepath: 'MissingField'})
  }
  return new RegistryError('REG_BAD_REQUEST', text, {telepath: 'SchemaViolation'})
}
