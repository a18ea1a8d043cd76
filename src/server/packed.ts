/** Users, roles, gates and keys in the shape that the peers' tools read. */
import type {ApiKey, Gate, Role, Rule, User} from '../auth/model.ts'
import {RegistryError} from '../base/errors.ts'
import type {Users} from '../cell/users.ts'
import type {Value} from '../wire/msgpack/value.ts'

export type Packed = Readonly<Record<string, Value>>

/** A user, with his roles as objects, as idens or by name. */
export function packUser(users: Users, user: User, form: 'objects' | 'idens' | 'names'): Packed {
  return {
    type: 'user',
    iden: user.iden,
    name: user.name,
    rules: packRules(user.rules),
    roles: packRoles(users, user, form),
    admin: user.isAdmin,
    email: user.email,
    locked: user.isLocked,
    archived: user.isArchived,
    authgates: packMemberships(users.gates(), (gate) => gate.users.get(user.iden)),
  }
}

export function packRole(users: Users, role: Role): Packed {
  return {
    type: 'role',
    iden: role.iden,
    name: role.name,
    rules: packRules(role.rules),
    authgates: packMemberships(users.gates(), (gate) => gate.roles.get(role.iden)),
  }
}

export function packGate(gate: Gate): Packed {
  return {iden: gate.iden, type: gate.type, users: packMembers(gate.users), roles: packMembers(gate.roles)}
}

export function packApiKey({iden, name, user, createdMs, updatedMs, expiresMs}: ApiKey): Packed {
  const packed = {iden, name, user, created: createdMs, updated: updatedMs}
  return expiresMs === undefined ? packed : {...packed, expires: expiresMs}
}

/** @throws RegistryError `REG_NOT_FOUND`, in Telepath `NoSuchUser` */
export function reqUser(users: Users, iden: string): User {
  return users.user(iden) ?? missing('NoSuchUser', `No user with iden ${iden}.`, {user: iden})
}

/** @throws RegistryError as `reqUser` */
export function reqUserByName(users: Users, name: string): User {
  return users.userByName(name) ?? missing('NoSuchUser', `No user named ${name}.`, {username: name})
}

/** @throws RegistryError `REG_NOT_FOUND`, in Telepath `NoSuchRole` */
export function reqRole(users: Users, iden: string): Role {
  return users.role(iden) ?? missing('NoSuchRole', `No role with iden ${iden}.`)
}

/** @throws RegistryError as `reqRole` */
export function reqRoleByName(users: Users, name: string): Role {
  return users.roleByName(name) ?? missing('NoSuchRole', `No role named ${name}.`)
}

/** @throws RegistryError `REG_NOT_FOUND` by its name in Telepath */
export function missing(telepath: string, text: string, info: Readonly<Record<string, string>> = {}): never {
  throw new RegistryError('REG_NOT_FOUND', text, {telepath, info})
}

function packRules(rules: readonly Rule[]): Value {
  return rules
}

function packRoles(users: Users, user: User, form: 'objects' | 'idens' | 'names'): readonly Value[] {
  if (form === 'idens') return user.roles
  return user.roles.flatMap((iden) => {
    const role = users.role(iden)
    if (role === undefined) return []
    return [form === 'names' ? role.name : packRole(users, role)]
  })
}

type Member = {readonly rules: readonly Rule[]; readonly isAdmin: boolean}

function packMemberships(gates: readonly Gate[], memberOf: (gate: Gate) => Member | undefined): Packed {
  const packed: Record<string, Value> = {}
  for (const gate of gates) {
    const member = memberOf(gate)
    if (member === undefined) continue
    const rules = member.rules.length > 0 ? {rules: member.rules} : {}
    packed[gate.iden] = member.isAdmin ? {...rules, admin: true} : rules
  }
  return packed
}

function packMembers(members: ReadonlyMap<string, Member>): readonly Value[] {
  return [...members].map(([iden, {rules, isAdmin}]) => ({iden, rules, admin: isAdmin}))
}
