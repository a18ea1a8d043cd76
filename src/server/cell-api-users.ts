/** The methods of the cell for users: who they are, their passwords, rules and roles. */
import {decide} from '../auth/allow.ts'
import type {User} from '../auth/model.ts'
import type {Need} from '../auth/need.ts'
import {readPath, readRule, readRules} from '../auth/rule.ts'
import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, method, optional, required} from './cell-method.ts'
import {packUser, reqRole, reqUser, reqUserByName} from './packed.ts'

const ADMIN: Need = {kind: 'admin'}
const WRITE = {isLogged: true, isWrite: true} as const
/** Largest place in a list of rules or roles that may be named. */
export const MAX_INDEX = 10_000
/** Longest life of a one-time password, ms. */
const MAX_ONEPASS_MS = 7 * 86_400_000

const IDEN = required('iden')
const USER = required('useriden')
const NAME = required('name')
const GATE = optional('gateiden')
const INDEX = optional('indx')
const PASSWD = {name: 'passwd', isSecret: true} as const

/** Rows of the table of methods: who users are. */
export const USER_METHODS = {
  getUserDefs: method(ADMIN, [], ({parts: {users}}) => users.users().map((user) => packUser(users, user, 'objects'))),
  getUserDef: method(ADMIN, [IDEN, optional('packroles', true)], (call) =>
    packed(call, call.parts.users.user(call.text('iden')), call.boolean('packroles') ? 'objects' : 'idens'),
  ),
  getUserDefByName: method(ADMIN, [NAME], (call) => packed(call, call.parts.users.userByName(call.text('name')))),
  getAuthUsers: method(ADMIN, [optional('archived', false)], (call) => {
    const {users} = call.parts
    const isWanted = call.boolean('archived') ? () => true : (user: User) => !user.isArchived
    return users.users().flatMap((user) => (isWanted(user) ? [packUser(users, user, 'idens')] : []))
  }),
  getUserInfo: method(
    (call) => (call.parts.users.userByName(call.text('name'))?.iden === call.user.iden ? {kind: 'login'} : ADMIN),
    [NAME],
    (call) => packed(call, reqUserByName(call.parts.users, call.text('name')), 'names'),
    {refusal: () => 'getUserInfo denied for non-admin and non-self'},
  ),
  addUser: method(
    ADMIN,
    [NAME, {...PASSWD, byDefault: null}, optional('email'), optional('iden')],
    async (call) => {
      const {users} = call.parts
      const made = {
        name: call.text('name'),
        passwd: call.optionalText('passwd'),
        email: call.optionalText('email'),
        iden: call.optionalText('iden'),
      }
      return packUser(users, await users.addUser(made, call.actor), 'objects')
    },
    WRITE,
  ),
  delUser: method(ADMIN, [IDEN], (call) => done(call.parts.users.delUser(call.text('iden'), call.actor)), WRITE),
  setUserEmail: method(
    ADMIN,
    [USER, required('email')],
    (call) => {
      const email = call.optionalText('email') ?? null
      return done(call.parts.users.setUserEmail(call.text('useriden'), email, call.actor))
    },
    WRITE,
  ),
  setUserLocked: method(
    ADMIN,
    [USER, required('locked')],
    (call) => done(call.parts.users.setUserLocked(call.text('useriden'), call.boolean('locked'), call.actor)),
    WRITE,
  ),
  setUserArchived: method(
    ADMIN,
    [USER, required('archived')],
    (call) => done(call.parts.users.setUserArchived(call.text('useriden'), call.boolean('archived'), call.actor)),
    WRITE,
  ),
  setUserAdmin: method(
    ADMIN,
    [IDEN, required('admin'), GATE],
    (call) => {
      const gate = call.optionalText('gateiden')
      return done(call.parts.users.setUserAdmin(call.text('iden'), call.boolean('admin'), gate, call.actor))
    },
    WRITE,
  ),
} as const satisfies Record<string, CellMethod>

/** Rows of the table of methods: passwords. */
export const PASSWORD_METHODS = {
  setUserPasswd: method(
    (call) => ownOrOthers(call, call.text('iden'), 'passwd'),
    [IDEN, PASSWD],
    (call) => {
      if (call.value('passwd') === '') throw new RegistryError('REG_BAD_REQUEST', 'Password must be a string')
      const passwd = call.optionalText('passwd') ?? null
      return done(call.parts.users.setUserPasswd(call.text('iden'), passwd, call.actor))
    },
    {refusal: mustHave, ...WRITE},
  ),
  tryUserPasswd: method(ADMIN, [NAME, PASSWD], async (call) => {
    const {users} = call.parts
    try {
      return packUser(users, await users.login(call.text('name'), call.text('passwd'), call.actor), 'idens')
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'REG_DENIED') return null
      throw error
    }
  }),
  genUserOnepass: method(
    ADMIN,
    [IDEN, optional('duration', 60_000)],
    (call) => {
      const durationMs = call.integer('duration', 1, MAX_ONEPASS_MS)
      return call.parts.users.genUserOnepass(call.text('iden'), durationMs, call.actor)
    },
    WRITE,
  ),
} as const satisfies Record<string, CellMethod>

/** Rows of the table of methods: what users may do, and which roles they have. */
export const USER_RULE_METHODS = {
  isUserAllowed: method(ADMIN, [IDEN, required('perm'), GATE, optional('default', false)], (call) => {
    const {users} = call.parts
    const user = users.user(call.text('iden'))
    const path = readPath(call.value('perm'))
    if (user === undefined) return false
    const decision = decide(users, user, {path, gate: call.optionalText('gateiden')})
    return decision.reason.kind === 'default' ? call.value('default') : decision.isAllowed
  }),
  addUserRule: method(
    ADMIN,
    [IDEN, required('rule'), INDEX, GATE],
    (call) => {
      const rule = readRule(call.value('rule'))
      const index = call.optionalInteger('indx', 0, MAX_INDEX)
      const gate = call.optionalText('gateiden')
      return done(call.parts.users.addUserRule(call.text('iden'), rule, index, gate, call.actor))
    },
    WRITE,
  ),
  setUserRules: method(
    ADMIN,
    [IDEN, required('rules'), GATE],
    (call) => {
      const rules = readRules(call.value('rules'))
      const gate = call.optionalText('gateiden')
      return done(call.parts.users.setUserRules(call.text('iden'), rules, gate, call.actor))
    },
    WRITE,
  ),
  delUserRule: method(
    ADMIN,
    [IDEN, required('rule'), GATE],
    (call) => {
      const rule = readRule(call.value('rule'))
      return call.parts.users.delUserRule(call.text('iden'), rule, call.optionalText('gateiden'), call.actor)
    },
    WRITE,
  ),
  addUserRole: method(
    ADMIN,
    [USER, required('roleiden'), INDEX],
    (call) => {
      const {users} = call.parts
      const user = reqUser(users, call.text('useriden'))
      const role = reqRole(users, call.text('roleiden'))
      return done(users.addUserRole(user.iden, role.iden, call.optionalInteger('indx', 0, MAX_INDEX), call.actor))
    },
    WRITE,
  ),
  setUserRoles: method(
    ADMIN,
    [USER, required('roleidens')],
    (call) => done(call.parts.users.setUserRoles(call.text('useriden'), call.texts('roleidens'), call.actor)),
    WRITE,
  ),
  delUserRole: method(
    ADMIN,
    [USER, required('roleiden')],
    (call) => {
      const {users} = call.parts
      const user = reqUser(users, call.text('useriden'))
      return done(users.delUserRole(user.iden, reqRole(users, call.text('roleiden')).iden, call.actor))
    },
    WRITE,
  ),
} as const satisfies Record<string, CellMethod>

/**
 * What it takes to set something of a user: of his own, each may unless a rule denies it; of others, nobody unless a rule allows it. Of an
 * administrator only another one may: with his password or key, who has the rule would be one himself (at the peer he can).
 */
export function ownOrOthers(call: CellCall, owner: string | undefined, what: 'passwd' | 'apikey'): Need {
  const isOwn = call.user.iden === owner
  const path = ['auth', isOwn ? 'self' : 'user', 'set', what]
  const {users} = call.parts
  const isOfAdmin = !isOwn && owner !== undefined && users.user(owner)?.isAdmin === true
  if (isOfAdmin && decide(users, call.user, {path}).isAllowed) return {kind: 'admin'}
  return {kind: 'permission', path, byDefault: isOwn}
}

/** The words of a refusal that the peer has for methods which ask for more than one permission. */
export function mustHave({user}: CellCall, need: Need): string {
  return `User '${user.name}' (${user.iden}) must have permission ${permissionOf(need)}`
}

/** The dotted text of the permission that is needed. */
export function permissionOf(need: Need): string {
  return need.kind === 'permission' ? need.path.join('.') : need.kind
}

/** Changes answer nil. */
export async function done(change: Promise<unknown>): Promise<null> {
  await change
  return null
}

function packed(call: CellCall, user: User | undefined, form: 'objects' | 'idens' | 'names' = 'objects'): Value {
  return user === undefined ? null : packUser(call.parts.users, user, form)
}
