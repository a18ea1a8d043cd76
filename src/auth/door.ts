/** The one door: every method of every listener passes here, with what it needs and who calls. */
import {RegistryError} from '../base/errors.ts'
import {decide, reasonText} from './allow.ts'
import type {Directory, Principal, User} from './model.ts'
import type {Need} from './need.ts'

/**
 * Lets a caller in, or throws. Who did not log in (`anonymous`, `zmq:anon`) only gets what is for anyone; a locked or deleted user gets
 * nothing at all. The words and facts are the peer's; that locked admins are refused too is stricter than the peer, whose open sessions live on.
 *
 * @throws RegistryError `REG_DENIED`
 */
export function authorize(directory: Directory, principal: Principal, need: Need): void {
  if (principal.kind !== 'user') {
    if (need.kind === 'anyone') return
    throw new RegistryError('REG_DENIED', 'A login is required.')
  }
  const user = directory.user(principal.iden)
  if (user === undefined) {
    const options = {telepath: 'NoSuchUser', info: {user: principal.iden}}
    throw new RegistryError('REG_DENIED', `No user with iden ${principal.iden}.`, options)
  }
  if (user.isLocked) throw denied(user, `User (${user.name}) is locked.`)
  switch (need.kind) {
    case 'anyone':
    case 'login':
      return
    case 'admin':
      if (user.isAdmin) return
      throw denied(user, `User is not an admin [${user.name}]`)
    case 'permission':
      assertAllowed(directory, user, need)
  }
}

function assertAllowed(directory: Directory, user: User, need: Extract<Need, {readonly kind: 'permission'}>): void {
  const decision = decide(directory, user, need)
  if (decision.isAllowed) return
  const perm = need.path.join('.')
  const gate = need.gate === undefined ? undefined : directory.gate(need.gate)
  const where = gate === undefined ? '' : ` on object ${gate.iden} (${gate.type}).`
  throw denied(user, `User must have permission ${perm}${where}`, {perm}, [reasonText(decision)])
}

function denied(
  user: User,
  text: string,
  facts: Readonly<Record<string, string>> = {},
  hints?: readonly string[],
): RegistryError {
  const info = {...facts, user: user.iden, username: user.name}
  return new RegistryError('REG_DENIED', text, hints === undefined ? {info} : {info, hints})
}
