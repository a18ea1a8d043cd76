/** The methods of the cell for tasks, and those that only older tools call. */
import {decide} from '../auth/allow.ts'
import type {Role, User} from '../auth/model.ts'
import type {Need} from '../auth/need.ts'
import {readRule} from '../auth/rule.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {done, MAX_INDEX, permissionOf} from './cell-api-users.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, generator, method, optional, required} from './cell-method.ts'
import {missing, packRole, packUser} from './packed.ts'
import type {Task} from './tasks.ts'

const ADMIN: Need = {kind: 'admin'}
const LOGIN: Need = {kind: 'login'}
const WRITE = {isLogged: true, isWrite: true} as const
const TASK_DEL = ['task', 'del'] as const

const IDEN = required('iden')
const NAME = required('name')
const RULE = required('rule')
const GATE = optional('gateiden')
/** Whether the other services of the same cell are asked, and how long. There are none yet: both change nothing. */
const PEERS = [optional('peers', true), optional('timeout')] as const

/** Rows of the table of methods: calls that last. */
export const TASK_METHODS = {
  getTasks: generator(ADMIN, PEERS, ({parts}) => each(parts.tasks.list().map(packTask)), {isBrief: true}),
  getTask: method(ADMIN, [IDEN, ...PEERS], (call) => {
    const task = call.parts.tasks.get(call.text('iden'))
    return task === undefined ? null : packTask(task)
  }),
  killTask: method(ADMIN, [IDEN, ...PEERS], (call) => call.parts.tasks.kill(call.text('iden')), {isLogged: true}),
  ps: method(LOGIN, [], ({parts: {tasks, users}, user}) => {
    const seesAll = decide(users, user, {path: ['task', 'get']}).isAllowed
    return tasks.list().flatMap((task) => (seesAll || task.owner.iden === user.iden ? [packOldTask(task)] : []))
  }),
  kill: method(
    (call) => {
      const task = call.parts.tasks.get(call.text('iden'))
      const isOwn = task === undefined || task.owner.iden === call.user.iden
      return isOwn ? LOGIN : {kind: 'permission', path: TASK_DEL}
    },
    [IDEN],
    (call) => call.parts.tasks.kill(call.text('iden')),
    {
      refusal: ({user}, need) => `User (${user.name}) must have permission ${permissionOf(need)} or own the task`,
      isLogged: true,
    },
  ),
} as const satisfies Record<string, CellMethod>

/** Rows of the table of methods that were replaced by others; `cellauth` of the peer still calls some. */
export const OLD_METHODS = {
  getAuthInfo: method(
    ADMIN,
    [NAME],
    (call) => {
      const {users} = call.parts
      const found = userOrRole(call)
      if (found === undefined) return missing('NoSuchName', 'There is no such user or role.', {name: call.text('name')})
      return found.kind === 'user' ? packUser(users, found.user, 'names') : packRole(users, found.role)
    },
    {instead: 'getUserDefByName'},
  ),
  addAuthRule: method(
    ADMIN,
    [NAME, RULE, optional('indx'), GATE],
    (call) => {
      const {users} = call.parts
      const index = call.optionalInteger('indx', 0, MAX_INDEX)
      const [rule, gate] = [readRule(call.value('rule')), call.optionalText('gateiden')]
      const found = userOrRole(call) ?? noName(call)
      if (found.kind === 'user') return done(users.addUserRule(found.user.iden, rule, index, gate, call.actor))
      return done(users.addRoleRule(found.role.iden, rule, index, gate, call.actor))
    },
    {instead: 'addUserRule', ...WRITE},
  ),
  delAuthRule: method(
    ADMIN,
    [NAME, RULE, GATE],
    (call) => {
      const {users} = call.parts
      const [rule, gate] = [readRule(call.value('rule')), call.optionalText('gateiden')]
      const found = userOrRole(call) ?? noName(call)
      if (found.kind === 'user') return done(users.delUserRule(found.user.iden, rule, gate, call.actor))
      return done(users.delRoleRule(found.role.iden, rule, gate, call.actor))
    },
    {instead: 'delUserRule', ...WRITE},
  ),
  setAuthAdmin: method(
    ADMIN,
    [NAME, required('isadmin')],
    (call) => {
      const user = call.parts.users.userByName(call.text('name')) ?? noName(call)
      return done(call.parts.users.setUserAdmin(user.iden, call.boolean('isadmin'), undefined, call.actor))
    },
    {instead: 'setUserAdmin', ...WRITE},
  ),
  addAuthRole: method(
    ADMIN,
    [NAME],
    async (call) =>
      packRole(call.parts.users, await call.parts.users.addRole(call.text('name'), undefined, call.actor)),
    {instead: 'addRole', ...WRITE},
  ),
  // What the peer calls a name here is an iden.
  delAuthUser: method(ADMIN, [NAME], (call) => done(call.parts.users.delUser(call.text('name'), call.actor)), {
    instead: 'delUser',
    ...WRITE,
  }),
  delAuthRole: method(ADMIN, [NAME], (call) => done(call.parts.users.delRole(call.text('name'), call.actor)), {
    instead: 'delRole',
    ...WRITE,
  }),
} as const satisfies Record<string, CellMethod>

type Found = {readonly kind: 'user'; readonly user: User} | {readonly kind: 'role'; readonly role: Role}

function userOrRole(call: CellCall): Found | undefined {
  const {users} = call.parts
  const name = call.text('name')
  const user = users.userByName(name)
  if (user !== undefined) return {kind: 'user', user}
  const role = users.roleByName(name)
  return role === undefined ? undefined : {kind: 'role', role}
}

function noName(call: CellCall): never {
  const name = call.text('name')
  return missing('NoSuchName', `No user or role named ${name}.`, {name})
}

function packTask({iden, name, owner, startedMs}: Task): Value {
  const user = {user: owner.iden, username: owner.name}
  return {iden, name, info: {}, tick: startedMs, ...user, ...NO_MORE, service: null}
}

/** The form that `ps` has kept. */
function packOldTask({iden, name, owner, startedMs}: Task): Value {
  return {iden, name, info: {}, tick: startedMs, user: owner.name, kids: {}}
}

const NO_MORE = {protected: false, background: false, kids: {}} as const

async function* each(values: readonly Value[]): AsyncGenerator<Value, void> {
  yield* values
}
