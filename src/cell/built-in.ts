import type {AuthChange} from '../auth/change.ts'
import type {Role, User} from '../auth/model.ts'
import type {AuthState} from '../auth/state.ts'
import {guidOf} from './idens.ts'

/** The administrator that every cell has. */
export const ROOT_NAME = 'root'
/** The role of every user that is added. */
export const ALL_NAME = 'all'

/** Root as he is at first: without a password, and without roles, as the peer has him. */
export function builtInUser(cellIden: string): User {
  return {
    iden: guidOf(seedOf(cellIden), 'auth', 'user', ROOT_NAME),
    name: ROOT_NAME,
    email: null,
    rules: [],
    roles: [],
    isAdmin: true,
    isLocked: false,
    isArchived: false,
  }
}

/** The role all as it is at first. */
export function builtInRole(cellIden: string): Role {
  return {iden: guidOf(seedOf(cellIden), 'auth', 'role', ALL_NAME), name: ALL_NAME, rules: []}
}

/** Only the built-in two come from it; the inaugural ones come from the cell's iden itself. */
function seedOf(cellIden: string): string {
  return guidOf(cellIden, 'hive', 'auth')
}

/** Gives what is to be changed so that both exist and root is what he must be, however that was lost. */
export function* corrections(state: AuthState, cellIden: string): Iterable<AuthChange> {
  if (state.roleByName(ALL_NAME) === undefined) yield {kind: 'role:add', role: builtInRole(cellIden)}
  const root = state.userByName(ROOT_NAME)
  if (root === undefined) {
    yield {kind: 'user:add', user: builtInUser(cellIden), shadow: null}
    return
  }
  const {iden, isAdmin, isLocked, isArchived} = root
  if (isArchived) yield {kind: 'user:archived', iden, isArchived: false}
  if (isLocked) yield {kind: 'user:locked', iden, isLocked: false}
  if (!isAdmin) yield {kind: 'user:admin', iden, isAdmin: true, gate: null}
}
