import type {Role, Shadow, User} from '../auth/model.ts'
import {newGuid} from '../base/ids.ts'
import type {AuthLedger} from './auth-ledger.ts'
import {ALL_NAME, ROOT_NAME} from './built-in.ts'
import {insertAt, RuleEdits} from './rule-edits.ts'
import {
  badArg,
  checkIden,
  checkName,
  duplicate,
  hitLimit,
  normEmail,
  noSuchGate,
  noSuchRole,
  noSuchUser,
  quoted,
} from './user-checks.ts'
import type {NewUser} from './users.ts'

/** Beyond it no user is added, whatever `max:users` says: everything is held in memory. */
const MAX_USERS = 100_000

/** Decides changes of users, as `Users` describes them, and hands them to the ledger in the same turn. */
export class UserEdits {
  readonly rules: RuleEdits
  readonly #ledger: AuthLedger
  /** Users besides root that are not locked; 0 is no limit. */
  readonly #maxUsers: number

  constructor(ledger: AuthLedger, maxUsers: number) {
    this.rules = new RuleEdits(ledger, 'user')
    this.#ledger = ledger
    this.#maxUsers = maxUsers
  }

  /** Throws what `add` would throw before it is called: so that no hash is made in vain. */
  checkNew({name, email, iden}: NewUser): void {
    const {pending} = this.#ledger
    checkName(name, 'the name of a user')
    this.#checkLimit()
    if (pending.userCount >= MAX_USERS) throw hitLimit(`no more than ${MAX_USERS} users can be kept`)
    if (pending.userByName(name) !== undefined) throw duplicateName(name)
    this.#checkEmail(normEmail(email), undefined)
    if (iden === undefined) return
    checkIden(iden)
    if (pending.user(iden) !== undefined || pending.gate(iden) !== undefined) {
      throw duplicate('DupIden', 'User already exists for the iden.', {name, iden})
    }
  }

  async add(user: NewUser, shadow: Shadow | null, actor: string): Promise<User> {
    this.checkNew(user)
    const all = this.#ledger.pending.roleByName(ALL_NAME)
    const made: User = {
      iden: user.iden ?? newGuid(),
      name: user.name,
      email: normEmail(user.email),
      rules: [],
      roles: all === undefined ? [] : [all.iden],
      isAdmin: false,
      isLocked: false,
      isArchived: false,
    }
    await this.#ledger.change({kind: 'user:add', user: made, shadow}, actor)
    return this.#ledger.visible.user(made.iden) ?? made
  }

  async delete(iden: string, actor: string): Promise<void> {
    if (this.#isRoot(this.#required(iden))) throw badArg('User "root" may not be deleted.', 'iden')
    await this.#ledger.change({kind: 'user:del', iden}, actor)
  }

  async setName(iden: string, name: string, actor: string): Promise<void> {
    const user = this.#required(iden)
    checkName(name, 'the name of a user')
    const holder = this.#ledger.pending.userByName(name)
    if (holder !== undefined && holder.iden !== iden) throw duplicateName(name)
    if (this.#isRoot(user) && name !== ROOT_NAME) throw badArg('Cannot change the name of the root user.', 'name')
    await this.#ledger.change({kind: 'user:name', iden, name}, actor)
  }

  async setEmail(iden: string, text: string | null, actor: string): Promise<void> {
    this.#required(iden)
    const email = normEmail(text)
    this.#checkEmail(email, iden)
    await this.#ledger.change({kind: 'user:email', iden, email}, actor)
  }

  async setAdmin(iden: string, isAdmin: boolean, gate: string | undefined, actor: string): Promise<void> {
    const user = this.#required(iden)
    if (this.#isRoot(user) && !isAdmin) throw badArg('Cannot remove admin from root user.', 'admin')
    await this.#ledger.change({kind: 'user:admin', iden, isAdmin, gate: this.#gate(gate)}, actor)
  }

  async setLocked(iden: string, isLocked: boolean, actor: string): Promise<void> {
    const user = this.#required(iden)
    if (this.#isRoot(user) && isLocked) throw badArg('Cannot lock admin root user.', 'locked')
    if (!isLocked && user.isArchived) {
      throw badArg('Cannot unlock archived user.', 'locked', {user: iden, username: user.name})
    }
    if (!isLocked && user.isLocked) this.#checkLimit()
    await this.#ledger.change({kind: 'user:locked', iden, isLocked}, actor)
  }

  async setArchived(iden: string, isArchived: boolean, actor: string): Promise<void> {
    const user = this.#required(iden)
    if (this.#isRoot(user) && isArchived) throw badArg('Cannot archive root user.', 'archived')
    if (!isArchived && user.isArchived) this.#checkLimit()
    await this.#ledger.change({kind: 'user:archived', iden, isArchived}, actor)
  }

  async addRole(iden: string, role: string, index: number | undefined, actor: string): Promise<void> {
    const {roles} = this.#required(iden)
    this.#requiredRole(role)
    const granted = roles.includes(role) ? roles : insertAt(roles, role, index)
    await this.#ledger.change({kind: 'user:roles', iden, roles: granted}, actor)
  }

  async setRoles(iden: string, idens: readonly string[], actor: string): Promise<void> {
    const user = this.#required(iden)
    const roles = [...new Set(idens)]
    const names = roles.map((role) => this.#requiredRole(role).name)
    // Root and the users of services never had it; what they have may be set again.
    const isSame = roles.length === user.roles.length && roles.every((role, index) => role === user.roles[index])
    if (!isSame && !names.includes(ALL_NAME)) throw badArg('Role "all" must be in the list of roles set.', 'roles')
    await this.#ledger.change({kind: 'user:roles', iden, roles}, actor)
  }

  async delRole(iden: string, role: string, actor: string): Promise<void> {
    const {roles} = this.#required(iden)
    if (this.#requiredRole(role).name === ALL_NAME) throw badArg('Role "all" may not be revoked.', 'role')
    await this.#ledger.change({kind: 'user:roles', iden, roles: roles.filter((one) => one !== role)}, actor)
  }

  #required(iden: string): User {
    const user = this.#ledger.pending.user(iden)
    if (user === undefined) throw noSuchUser(iden)
    return user
  }

  #requiredRole(iden: string): Role {
    const role = this.#ledger.pending.role(iden)
    if (role === undefined) throw noSuchRole(iden)
    return role
  }

  #gate(iden: string | undefined): string | null {
    if (iden === undefined) return null
    if (this.#ledger.pending.gate(iden) === undefined) throw noSuchGate(iden)
    return iden
  }

  #isRoot(user: User): boolean {
    return user.name === ROOT_NAME
  }

  #checkEmail(email: string | null, iden: string | undefined): void {
    const holder = email === null ? undefined : this.#ledger.pending.userByEmail(email)
    if (email === null || holder === undefined || holder.iden === iden) return
    throw duplicate('DupUserEmail', `Duplicate email, email=${quoted(email)} already exists.`, {email})
  }

  #checkLimit(): void {
    if (this.#maxUsers === 0) return
    const active = this.#ledger.pending.users().filter((user) => !user.isLocked && !this.#isRoot(user)).length
    if (active >= this.#maxUsers) throw hitLimit(`Cell at maximum number of users (${this.#maxUsers}).`)
  }
}

function duplicateName(name: string): Error {
  return duplicate('DupUserName', `Duplicate username, name=${quoted(name)} already exists.`, {name})
}
