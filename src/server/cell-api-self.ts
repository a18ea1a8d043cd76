/** The methods of the cell that are about itself: what it is, how it does, who is there, and its end. */
import {decide} from '../auth/allow.ts'
import type {Need} from '../auth/need.ts'
import {readPath} from '../auth/rule.ts'
import {RegistryError} from '../base/errors.ts'
import {parseJson} from '../base/json-parse.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, generator, method, optional, required} from './cell-method.ts'
import type {CellParts, Session} from './cell-parts.ts'
import {isActive} from './mirroring/role.ts'
import {missing, packUser} from './packed.ts'

const ADMIN: Need = {kind: 'admin'}
const LOGIN: Need = {kind: 'login'}
/** Most lines of the log that can be asked for; no more are kept. */
const MAX_LINES = 1000
const AHA = {type: 'ahacell', classes: ['synapse.lib.aha.AhaApi', 'synapse.lib.cell.CellApi']} as const
const PLAIN = {type: 'cell', classes: ['synapse.lib.cell.CellApi']} as const

/** Says what a cell is for the peers' tools: its type, and the classes of what it answers with, the most specific first. */
export function kindOf({aha}: {readonly aha?: unknown}): typeof AHA | typeof PLAIN {
  return aha === undefined ? PLAIN : AHA
}

/** What the peers' clients may use beyond the plain protocol: only what is there. */
export function featuresOf({aha}: Pick<CellParts, 'aha'>): Readonly<Record<string, number>> {
  return {tasks: 1, shutdowndrain: 1, ...(aha === undefined ? {} : {callpeers: 1, getAhaSvcsByIden: 1})}
}

/** Rows of the table of methods: what the cell is and how it does. */
export const CELL_METHODS = {
  getCellInfo: method(LOGIN, [], ({parts}) => ({...parts.info(), features: featuresOf(parts)})),
  getCellIden: method(LOGIN, [], ({parts}) => parts.cellIden),
  getCellType: method(LOGIN, [], ({parts}) => kindOf(parts).type),
  getCellRunId: method(LOGIN, [], ({parts}) => parts.runId),
  isCellActive: method(LOGIN, [], ({parts}) => isActive(parts.mirroring.roles.role)),
  getSystemInfo: method(ADMIN, [], ({parts}) => parts.systemInfo()),
  getHealthCheck: method({kind: 'permission', path: ['health']}, [], async ({parts}) => {
    await parts.backups.lookAgain(0)
    const {iden, components, status} = parts.health()
    return {iden, components: components.map((component) => ({...component})), status}
  }),
  getReloadableSystems: method(ADMIN, [], ({parts}) => [...parts.reloads.keys()]),
  reload: method(ADMIN, [optional('subsystem')], reload, {isLogged: true}),
  shutdown: method(ADMIN, [optional('timeout'), optional('drain', true)], shutdown, {
    isLogged: true,
    isUnawaited: true,
  }),
  logs: method(ADMIN, [optional('last', 100)], (call) =>
    call.parts.logs.last(call.integer('last', 0, MAX_LINES)).map(record),
  ),
  watch: generator(
    ADMIN,
    [optional('last', 100)],
    (call) => records(call.parts.logs.follow(call.integer('last', 0, MAX_LINES), call.signal)),
    {isUnawaited: true} as const,
  ),
} as const satisfies Record<string, CellMethod>

/** Rows of the table of methods: who is there, and what they may. */
export const SESSION_METHODS = {
  getCellUser: method(LOGIN, [], ({parts, user}) => packUser(parts.users, user, 'idens')),
  setCellUser: method(ADMIN, [required('iden')], setCellUser, {
    refusal: () => 'setCellUser() caller must be admin.',
    isLogged: true,
  }),
  getDmonSessions: method(ADMIN, [], ({parts, sessions}) =>
    [...sessions].map((session) => packSession(parts, session)),
  ),
  allowed: method(LOGIN, [required('perm'), optional('default')], (call) => {
    const decision = decide(call.parts.users, call.user, {path: readPath(call.value('perm'))})
    return decision.reason.kind === 'default' ? call.value('default') : decision.isAllowed
  }),
  getPermDefs: method(LOGIN, [], () => PERMISSIONS),
  getPermDef: method(LOGIN, [required('perm')], (call) => {
    const asked = readPath(call.value('perm')).join('.')
    return PERMISSIONS.find(({perm}) => perm.join('.') === asked) ?? null
  }),
} as const satisfies Record<string, CellMethod>

/** The permissions that methods ask for, for people who write rules. */
const PERMISSIONS = [
  {perm: ['health'], desc: 'Ask how the service does.', default: false},
  {perm: ['auth', 'self', 'set', 'passwd'], desc: 'Set the own password.', default: true},
  {perm: ['auth', 'user', 'set', 'passwd'], desc: 'Set the passwords of other users.', default: false},
  {perm: ['auth', 'self', 'set', 'apikey'], desc: 'Add, list and delete own API keys.', default: true},
  {perm: ['auth', 'user', 'set', 'apikey'], desc: 'The same for other users.', default: false},
  {perm: ['aha', 'service', 'get'], desc: 'Look services up; followed by a network, those of it.', default: false},
  {
    perm: ['aha', 'service', 'add'],
    desc: 'Register services; followed by a network and a name, those.',
    default: false,
  },
  {perm: ['aha', 'service', 'del'], desc: 'Remove services; followed by a network and a name, those.', default: false},
  {perm: ['aha', 'ca', 'get'], desc: 'Get the certificates of authorities.', default: false},
  {perm: ['aha', 'ca', 'gen'], desc: 'Make authorities.', default: false},
  {perm: ['aha', 'csr', 'host'], desc: 'Get certificates for hosts signed.', default: false},
  {perm: ['aha', 'csr', 'user'], desc: 'Get certificates for users signed, but admins.', default: false},
  {perm: ['task', 'get'], desc: 'See the tasks of other users.', default: false},
  {perm: ['task', 'del'], desc: 'Kill the tasks of other users.', default: false},
] as const

/** Takes over what changed outside: of one part, or of all. One that fails does not keep the others from it. */
async function reload(call: CellCall): Promise<Value> {
  const {reloads, log} = call.parts
  const wanted = call.optionalText('subsystem')
  const names = wanted === undefined || wanted === '' ? [...reloads.keys()] : [wanted]
  const results: Record<string, Value> = {}
  for (const name of names) {
    const run = reloads.get(name) ?? missing('NoSuchName', `No reload system named ${name}`, {name})
    try {
      results[name] = [true, await run()]
    } catch (error) {
      log.error('reload.failed', {part: name, error})
      results[name] = [false, errorValue(error)]
    }
  }
  return results
}

/**
 * Ends the server when the tasks are done, or at once when they are not to be waited for. True when it ends; false when they were not
 * done in time, and then it goes on.
 */
async function shutdown(call: CellCall): Promise<boolean> {
  const {tasks, log, stop} = call.parts
  const timeoutMs = call.timeoutMs('timeout')
  const isDrained = call.boolean('drain')
  log.warning('shutdown.asked', {timeoutMs, drain: isDrained, tasks: tasks.list().length})
  if (!isDrained) {
    for (const {iden, isAwaited} of tasks.list()) if (isAwaited) tasks.kill(iden)
  }
  if (!(await tasks.drained(timeoutMs))) {
    log.warning('shutdown.given-up', {timeoutMs, tasks: tasks.list().length})
    return false
  }
  setImmediate(stop) // the answer leaves first
  return true
}

function setCellUser(call: CellCall): Value {
  const iden = call.text('iden')
  const user = call.parts.users.user(iden)
  if (user === undefined) return missing('NoSuchUser', `Unable to set cell user iden to ${iden}`, {user: iden})
  if (user.isLocked) {
    const info = {user: user.iden, username: user.name}
    throw new RegistryError('REG_DENIED', `User (${user.name}) is locked.`, {info})
  }
  call.session.userIden = user.iden
  return true
}

function packSession(parts: CellParts, {peer, userIden}: Session): Value {
  const {users} = parts
  const user = users.user(userIden)
  const version = peer.address.includes(':') ? 'ipv6' : 'ipv4'
  return {
    items: new Map([[null, kindOf(parts).classes[0]]]),
    conninfo: {
      family: peer.family,
      ...(peer.family === 'unix' ? {addr: peer.address} : {addr: [peer.address, peer.port], ipver: version}),
    },
    ...(user === undefined ? {} : {user: {iden: user.iden, name: user.name}}),
  }
}

function errorValue(error: unknown): Value {
  if (!(error instanceof RegistryError)) return ['SynErr', {mesg: 'The reload failed; the log says why.'}]
  return [error.telepath, {mesg: error.message}]
}

function record(line: string): Value {
  return parseJson(line) as Value
}

async function* records(lines: AsyncIterable<string>): AsyncGenerator<Value, void> {
  for await (const line of lines) yield record(line)
}
