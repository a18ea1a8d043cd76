/** The methods of the cell for roles, gates and API keys. */
import {decideForRole} from '../auth/allow.ts'
import type {Role} from '../auth/model.ts'
import type {Need} from '../auth/need.ts'
import {readPath, readRule, readRules} from '../auth/rule.ts'
import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {done, MAX_INDEX, mustHave, ownOrOthers} from './cell-api-users.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, method, optional, required} from './cell-method.ts'
import {missing, packApiKey, packGate, packRole, packUser, reqRoleByName, reqUser} from './packed.ts'

const ADMIN: Need = {kind: 'admin'}
const WRITE = {isLogged: true, isWrite: true} as const
/** Longest life of an API key, ms. */
const MAX_KEY_MS = 100 * 365 * 86_400_000

const IDEN = required('iden')
const NAME = required('name')
const GATE = optional('gateiden')

/** Rows of the table of methods: roles and gates. */
export const ROLE_METHODS = {
  getRoleDefs: method(ADMIN, [], ({parts: {users}}) => users.roles().map((role) => packRole(users, role))),
  getRoleDef: method(ADMIN, [IDEN], (call) => packed(call, call.parts.users.role(call.text('iden')))),
  getRoleDefByName: method(ADMIN, [NAME], (call) => packed(call, call.parts.users.roleByName(call.text('name')))),
  getAuthRoles: method(ADMIN, [], ({parts: {users}}) => users.roles().map((role) => packRole(users, role))),
  getRoleInfo: method(
    (call) => {
      const role = call.parts.users.roleByName(call.text('name'))
      return role !== undefined && call.user.roles.includes(role.iden) ? {kind: 'login'} : ADMIN
    },
    [NAME],
    (call) => packed(call, reqRoleByName(call.parts.users, call.text('name'))),
    {refusal: () => 'getRoleInfo denied for non-admin and non-member'},
  ),
  addRole: method(
    ADMIN,
    [NAME, optional('iden')],
    async (call) => {
      const {users} = call.parts
      return packRole(users, await users.addRole(call.text('name'), call.optionalText('iden'), call.actor))
    },
    WRITE,
  ),
  delRole: method(ADMIN, [IDEN], (call) => done(call.parts.users.delRole(call.text('iden'), call.actor)), WRITE),
  isRoleAllowed: method(ADMIN, [IDEN, required('perm'), GATE], (call) => {
    const {users} = call.parts
    const role = users.role(call.text('iden'))
    const path = readPath(call.value('perm'))
    if (role === undefined) return false
    const decision = decideForRole(users, role, {path, gate: call.optionalText('gateiden')})
    return decision.reason.kind === 'default' ? null : decision.isAllowed
  }),
  addRoleRule: method(
    ADMIN,
    [IDEN, required('rule'), optional('indx'), GATE],
    (call) => {
      const rule = readRule(call.value('rule'))
      const index = call.optionalInteger('indx', 0, MAX_INDEX)
      const gate = call.optionalText('gateiden')
      return done(call.parts.users.addRoleRule(call.text('iden'), rule, index, gate, call.actor))
    },
    WRITE,
  ),
  setRoleRules: method(
    ADMIN,
    [IDEN, required('rules'), GATE],
    (call) => {
      const rules = readRules(call.value('rules'))
      const gate = call.optionalText('gateiden')
      return done(call.parts.users.setRoleRules(call.text('iden'), rules, gate, call.actor))
    },
    WRITE,
  ),
  delRoleRule: method(
    ADMIN,
    [IDEN, required('rule'), GATE],
    (call) => {
      const rule = readRule(call.value('rule'))
      return call.parts.users.delRoleRule(call.text('iden'), rule, call.optionalText('gateiden'), call.actor)
    },
    WRITE,
  ),
  getAuthGates: method(ADMIN, [], ({parts: {users}}) => users.gates().map(packGate)),
  getAuthGate: method(ADMIN, [IDEN], (call) => {
    const gate = call.parts.users.gate(call.text('iden'))
    return gate === undefined ? null : packGate(gate)
  }),
} as const satisfies Record<string, CellMethod>

/** Rows of the table of methods: API keys. */
export const KEY_METHODS = {
  addUserApiKey: method(
    ofUser,
    [NAME, optional('duration'), optional('useriden')],
    async (call) => {
      const {users} = call.parts
      const user = reqUser(users, call.optionalText('useriden') ?? call.user.iden)
      const durationMs = durationOf(call)
      const {text, key} = await users.addApiKey(user.iden, call.text('name'), durationMs, call.actor)
      return [text, packApiKey(key)]
    },
    {refusal: mustHave, ...WRITE},
  ),
  listUserApiKeys: method(
    ofUser,
    [optional('useriden')],
    (call) => {
      const user = reqUser(call.parts.users, call.optionalText('useriden') ?? call.user.iden)
      return call.parts.users.apiKeysOf(user.iden).map(packApiKey)
    },
    {refusal: mustHave},
  ),
  delUserApiKey: method(
    (call) => ownOrOthers(call, call.parts.users.apiKey(call.text('iden'))?.user, 'apikey'),
    [IDEN],
    async (call) => {
      const {users} = call.parts
      const iden = call.text('iden')
      if (users.apiKey(iden) === undefined) {
        missing('NoSuchIden', `User API key with iden='${iden}' does not exist.`, {iden})
      }
      await users.delApiKey(iden, call.actor)
      return true
    },
    {refusal: mustHave, ...WRITE},
  ),
  checkUserApiKey: method(ADMIN, [{name: 'key', isSecret: true}], async (call) => {
    const {users} = call.parts
    try {
      const {key, user} = await users.checkApiKey(call.text('key'))
      return [true, {kdef: packApiKey(key), udef: packUser(users, user, 'objects')}]
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'REG_DENIED') return [false, {mesg: error.message}]
      throw error
    }
  }),
} as const satisfies Record<string, CellMethod>

function ofUser(call: CellCall): Need {
  return ownOrOthers(call, call.optionalText('useriden') ?? call.user.iden, 'apikey')
}

function durationOf(call: CellCall): number | undefined {
  const value = call.value('duration')
  if (typeof value === 'number' && value < 1) {
    const text = 'Duration must be equal or greater than 1'
    throw new RegistryError('REG_BAD_REQUEST', text, {info: {name: 'duration'}})
  }
  return call.optionalInteger('duration', 1, MAX_KEY_MS)
}

function packed(call: CellCall, role: Role | undefined): Value {
  return role === undefined ? null : packRole(call.parts.users, role)
}
