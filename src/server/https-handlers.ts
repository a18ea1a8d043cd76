/** What the rows of `https-routes.ts` do, under the same names. Whoever comes here is allowed to. */
import type {Role, Rule, User} from '../auth/model.ts'
import {readRules} from '../auth/rule.ts'
import {RegistryError} from '../base/errors.ts'
import type {HealthReport} from '../cell/health.ts'
import type {Users} from '../cell/users.ts'
import type {HttpsRequest} from '../wire/https/messages.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {AhaParts} from './aha-parts.ts'
import type {HttpsLogins} from './https-login.ts'
import type {HttpsChangeName, HttpsRouteName} from './https-routes.ts'
import {SESSION_S} from './https-sessions.ts'
import type {Forwarder} from './mirroring/forwarder.ts'
import {openapiDocument} from './openapi.ts'
import {missing, packRole, packUser} from './packed.ts'
import {packEntry} from './packed-aha.ts'

/** What a request asks for, wherever it came in. */
interface HttpsWork {
  /** Elements of the path that the route names. */
  readonly params: Readonly<Record<string, string>>
  /** The body, which fits the schema of the row; empty where the row has none. */
  readonly body: Readonly<Record<string, unknown>>
  /** Who asks, for the change log: `https/visi/10.0.0.7`. */
  readonly actor: string
  readonly parts: Pick<HttpsParts, 'users' | 'aha'>
}

/** A request that was let in. */
export interface HttpsCall extends HttpsWork {
  readonly request: HttpsRequest
  /** Headers of the answer. */
  readonly headers: Record<string, string>
  readonly parts: HttpsParts
}

/** What the handlers work with. */
export interface HttpsParts {
  readonly users: Users
  readonly logins: HttpsLogins
  readonly health: () => Promise<HealthReport>
  readonly isActive: () => boolean
  /** Throws where another member took the lead from this one. */
  readonly assertCurrent: () => void
  /** Undefined when the cell is no AHA. */
  readonly aha?: Pick<AhaParts, 'services' | 'provisioning'> | undefined
  /** Has the leader make changes; undefined when there is none but this one. */
  readonly forwarder?: Pick<Forwarder, 'isNeeded' | 'run'> | undefined
}

type Handler = (call: HttpsCall) => unknown
type Change = (work: HttpsWork) => unknown

const ONEPASS_MS = 600_000
const COOKIE = 'Path=/; Secure; HttpOnly; SameSite=Strict'

const READS: Readonly<Record<Exclude<HttpsRouteName, HttpsChangeName>, Handler>> = {
  robots: () => 'User-agent: *\nDisallow: /\n',
  openapi: ({parts}) => openapiDocument(parts.aha !== undefined),
  active: ({parts}) => ({active: parts.isActive()}),
  healthcheck: ({parts}) => parts.health(),
  login: async ({request, body, headers, parts}) => {
    const {user, token} = await parts.logins.open(request, String(body['user']), String(body['passwd']))
    headers['set-cookie'] = `sess=${token}; Max-Age=${SESSION_S}; ${COOKIE}`
    return packUser(parts.users, user, 'objects')
  },
  logout: ({request, headers, parts}) => {
    parts.logins.close(request)
    headers['set-cookie'] = `sess=; Max-Age=0; ${COOKIE}`
    return true
  },
  users: ({request, parts: {users}}) => {
    const withArchived = readArchived(request.query['archived'])
    const shown = users.users().filter((user) => withArchived || !user.isArchived)
    return shown.map((user) => packUser(users, user, 'objects'))
  },
  roles: ({parts: {users}}) => users.roles().map((role) => packRole(users, role)),
  user: (call) => packedUser(call, pathUser(call).iden),
  role: (call) => packedRole(call, pathRole(call).iden),
  ahaServices: ({body, parts: {aha, assertCurrent}}) => {
    assertCurrent()
    return aha?.services.list(textIn(body, 'network')).map(packEntry)
  },
}

/** Those that alter the state of the cell: the leader does them, for its mirrors too. */
export const HTTPS_CHANGES: Readonly<Record<HttpsChangeName, Change>> = {
  editUser: async (call) => {
    const {iden} = pathUser(call)
    await editUser(call, iden)
    return packedUser(call, iden)
  },
  passwd: async (call) => {
    const {body, actor, parts} = call
    const {iden} = pathUser(call, (name) => `User does not exist: ${name}`)
    await parts.users.setUserPasswd(iden, String(body['passwd']), actor)
    return packedUser(call, iden)
  },
  editRole: async (call) => {
    const {body, actor, parts} = call
    const {iden} = pathRole(call)
    const rules = rulesIn(body)
    if (rules !== undefined) await parts.users.setRoleRules(iden, rules, textIn(body, 'gate'), actor)
    return packedRole(call, iden)
  },
  addUser,
  addRole,
  delRole: async ({body, actor, parts: {users}}) => {
    const name = String(body['name'])
    const role = users.roleByName(name) ?? missing('NoSuchRole', `The role ${name} does not exist!`)
    await users.delRole(role.iden, actor)
    return null
  },
  grant,
  grantByGet: grant,
  revoke,
  revokeByGet: revoke,
  provisionService: async ({body, actor, parts: {aha}}) => {
    const provinfo = (body['provinfo'] ?? null) as Value // of JSON
    return {url: await aha?.provisioning.addService(String(body['name']), provinfo, actor)}
  },
  onepass: ({body, actor, parts: {users}}) => {
    const iden = String(body['user'])
    if (users.user(iden) === undefined) missing('NoSuchUser', 'The user iden does not exist.', {user: iden})
    const {duration} = body
    return users.genUserOnepass(iden, typeof duration === 'number' ? duration : ONEPASS_MS, actor)
  },
}

export const HTTPS_HANDLERS: Readonly<Record<HttpsRouteName, Handler>> = {...READS, ...HTTPS_CHANGES}

/** The members one after another; the first that is refused ends it, and those before it stay altered. */
async function editUser({body, actor, parts: {users}}: HttpsWork, iden: string): Promise<void> {
  const rules = rulesIn(body)
  const gate = textIn(body, 'gate')
  const {locked, admin, archived} = body
  const name = textIn(body, 'name')
  const email = textIn(body, 'email')
  if (name !== undefined) await users.setUserName(iden, name, actor)
  if (email !== undefined) await users.setUserEmail(iden, email, actor)
  if (typeof locked === 'boolean') await users.setUserLocked(iden, locked, actor)
  if (rules !== undefined) await users.setUserRules(iden, rules, gate, actor)
  if (typeof admin === 'boolean') await users.setUserAdmin(iden, admin, gate, actor)
  if (typeof archived === 'boolean') await users.setUserArchived(iden, archived, actor)
}

/** Everything that can be wrong is found before the user is there: unlike at the peer, what fails leaves no half of one behind. */
async function addUser(call: HttpsWork): Promise<unknown> {
  const {body, actor, parts} = call
  const {users} = parts
  const name = String(body['name'])
  const rules = rulesIn(body)
  if (users.userByName(name) !== undefined) throw duplicate('DupUser', `A user named ${name} already exists.`)
  const {iden} = await users.addUser({name, passwd: textIn(body, 'passwd'), email: textIn(body, 'email')}, actor)
  if (body['admin'] === true) await users.setUserAdmin(iden, true, undefined, actor)
  if (rules !== undefined && rules.length > 0) await users.setUserRules(iden, rules, undefined, actor)
  return packedUser(call, iden)
}

async function addRole(call: HttpsWork): Promise<unknown> {
  const {body, actor, parts} = call
  const {users} = parts
  const name = String(body['name'])
  const rules = rulesIn(body)
  if (users.roleByName(name) !== undefined) throw duplicate('DupRole', `A role named ${name} already exists.`)
  const {iden} = await users.addRole(name, undefined, actor)
  if (rules !== undefined && rules.length > 0) await users.setRoleRules(iden, rules, undefined, actor)
  return packedRole(call, iden)
}

async function grant(call: HttpsWork): Promise<unknown> {
  const {user, role} = membersOf(call)
  if (!user.roles.includes(role.iden)) {
    await call.parts.users.addUserRole(user.iden, role.iden, undefined, call.actor)
  }
  return packedUser(call, user.iden)
}

async function revoke(call: HttpsWork): Promise<unknown> {
  const {user, role} = membersOf(call)
  if (user.roles.includes(role.iden)) await call.parts.users.delUserRole(user.iden, role.iden, call.actor)
  return packedUser(call, user.iden)
}

function membersOf({body, parts: {users}}: HttpsWork): {readonly user: User; readonly role: Role} {
  const userIden = String(body['user'])
  const roleIden = String(body['role'])
  return {
    user: users.user(userIden) ?? missing('NoSuchUser', `User iden ${userIden} not found.`, {user: userIden}),
    role: users.role(roleIden) ?? missing('NoSuchRole', `Role iden ${roleIden} not found.`),
  }
}

function pathUser({params, parts: {users}}: HttpsWork, words = (name: string) => `User ${name} does not exist.`): User {
  const iden = params['iden'] ?? ''
  return users.user(iden) ?? missing('NoSuchUser', words(iden), {user: iden})
}

function pathRole({params, parts: {users}}: HttpsWork): Role {
  const iden = params['iden'] ?? ''
  return users.role(iden) ?? missing('NoSuchRole', `Role ${iden} does not exist.`)
}

/** As it is now; it may have been deleted meanwhile. */
function packedUser({parts: {users}}: HttpsWork, iden: string): unknown {
  const user = users.user(iden) ?? missing('NoSuchUser', `User ${iden} does not exist.`, {user: iden})
  return packUser(users, user, 'idens')
}

function packedRole({parts: {users}}: HttpsWork, iden: string): unknown {
  return packRole(users, users.role(iden) ?? missing('NoSuchRole', `Role ${iden} does not exist.`))
}

function readArchived(value: unknown): boolean {
  if (value === undefined || value === '0') return false
  if (value === '1') return true
  const text = 'The parameter "archived" must be 0 or 1 if specified.'
  throw new RegistryError('REG_BAD_REQUEST', text, {telepath: 'BadHttpParam'})
}

/** Undefined for null, which is as good as absent. */
function textIn(body: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = body[name]
  return typeof value === 'string' ? value : undefined
}

function rulesIn({rules}: Readonly<Record<string, unknown>>): readonly Rule[] | undefined {
  return rules === undefined || rules === null ? undefined : readRules(rules)
}

function duplicate(telepath: 'DupUser' | 'DupRole', text: string): RegistryError {
  return new RegistryError('REG_CONFLICT', text, {telepath})
}
