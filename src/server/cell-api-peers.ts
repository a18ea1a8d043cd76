/** The methods of AHA that call a leader and its mirrors for somebody: what `aha.mirror` and the lists of tasks of all of them come from. */
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {ahaOf} from './aha-parts.ts'
import type {PeerCall} from './aha-peers.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, generator, optional, type Param, required} from './cell-method.ts'

const ADMIN: Need = {kind: 'admin'}
const MAX_METHOD = 256
/** What is called may hold passwords. */
const TODO: Param = {name: 'todo', isSecret: true}
const PARAMS = [required('iden'), TODO, optional('timeout'), optional('skiprun')]

/** Rows of the table of methods: calls that AHA makes as `root` of the network. */
export const PEER_METHODS = {
  callAhaPeerApi: generator(ADMIN, PARAMS, (call) => ask(call, false), {isLogged: true}),
  callAhaPeerGenr: generator(ADMIN, PARAMS, (call) => ask(call, true), {isLogged: true}),
} as const satisfies Record<string, CellMethod>

function ask(call: CellCall, isStream: boolean): AsyncIterable<Value> {
  const timeoutMs = call.timeoutMs('timeout')
  const wanted: PeerCall = {
    iden: call.text('iden'),
    ...todoOf(call.value('todo')),
    // None at all would be no limit.
    timeoutMs: timeoutMs === undefined ? undefined : Math.max(timeoutMs, 1),
    skipRun: call.optionalText('skiprun'),
    isStream,
  }
  return ahaOf(call.parts).peers.call(wanted, call.signal)
}

/** `[method, [arguments], {named arguments}]`. */
function todoOf(value: Value): Pick<PeerCall, 'method' | 'args' | 'kwargs'> {
  const [method, args, kwargs, ...more]: readonly Value[] = Array.isArray(value) ? value : []
  const isName = typeof method === 'string' && method.length <= MAX_METHOD
  if (!isName || !Array.isArray(args) || !isRecord(kwargs) || more.length > 0) {
    throw new RegistryError('REG_BAD_REQUEST', 'todo must be a method, its arguments, and its named arguments')
  }
  return {method, args, kwargs}
}

function isRecord(value: Value): value is {readonly [key: string]: Value} {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
