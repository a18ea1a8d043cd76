/** The way of a call to the row of its method: the caller is let in, the arguments get their names, and the log hears of it. */
import {authorize} from '../auth/door.ts'
import type {User} from '../auth/model.ts'
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import type {Users} from '../cell/users.ts'
import type {Call} from '../wire/telepath/share.ts'
import {type CallContext, CellCall} from './cell-call.ts'
import {bind, type CellMethod, loggable} from './cell-method.ts'
import {assertCurrent} from './mirroring/role.ts'

/** A call that was let in. */
export interface Entered {
  readonly context: CallContext
  readonly call: CellCall
  readonly bound: ReturnType<typeof bind>
}

/**
 * Lets a call in, with the user of the session as he is now. `via` is the member of the cell that the call came to, when it is another one.
 *
 * @throws RegistryError `REG_DENIED`; `REG_BAD_REQUEST` for the arguments
 */
export function enter(
  row: CellMethod,
  asked: Pick<Call, 'method' | 'args' | 'kwargs' | 'signal'>,
  at: Omit<CallContext, 'user'>,
  via?: string,
): Entered {
  const {users} = at.parts
  if (row.isLookup) assertCurrent(at.parts.mirroring.roles.role)
  const user = admit(users, row, at.session.userIden)
  // The peer looks at the caller before it looks at the arguments; where what is needed depends on these, it cannot.
  const title = `CellApi.${asked.method}`
  const bound = bind(title, row.params, asked.args, asked.kwargs)
  const context = {...at, user}
  const call = new CellCall(context, asked, bound)
  admitWith(users, row, call)
  if (row.isLogged || row.instead !== undefined) note(row, title, bound, call, via)
  return {context, call, bound}
}

/** Lets the caller in as far as that does not depend on the arguments, and gives who he is. */
export function admit(users: Users, {need, refusal}: CellMethod, userIden: string): User {
  const first: Need = typeof need === 'function' || refusal !== undefined ? {kind: 'login'} : need
  authorize(users, {kind: 'user', iden: userIden}, first)
  return users.user(userIden) as User // authorize found him
}

function admitWith(users: Users, {need, refusal}: CellMethod, call: CellCall): void {
  if (typeof need !== 'function' && refusal === undefined) return
  const wanted = typeof need === 'function' ? need(call) : need
  try {
    authorize(users, {kind: 'user', iden: call.user.iden}, wanted)
  } catch (error) {
    throw refusal === undefined ? error : reworded(error, refusal(call, wanted))
  }
}

function note(row: CellMethod, title: string, bound: Entered['bound'], {parts, user}: CellCall, via?: string): void {
  const log = parts.log.with({user: user.iden, username: user.name})
  const through = via === undefined ? {} : {via}
  if (row.isLogged) log.info('api.called', {api: title, args: loggable(row.params, bound), ...through})
  if (row.instead !== undefined) log.warnOnce(title, 'api.deprecated', {api: title, instead: row.instead})
}

function reworded(error: unknown, text: string): unknown {
  if (!(error instanceof RegistryError)) return error
  return new RegistryError(error.code, text, {info: error.info, hints: error.hints, cause: error})
}
