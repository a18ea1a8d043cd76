import type {AuthChange} from '../auth/change.ts'
import type {Users} from '../cell/users.ts'
import {packGate, packRole, packUser} from './packed.ts'

/** What watchers learn of a change, in the shape that the peers send. */
export interface AuthEvent {
  readonly event: string
  readonly info: Readonly<Record<string, unknown>>
  /** The object that it is about, when rules or admin of one are altered. */
  readonly gates?: readonly unknown[]
}

/**
 * Gives the events of a change that can be seen already. Of passwords, one-time ones too, there is only that they changed. Roles of a user
 * are told as a whole (`role:set`), also where the peers tell the one that was granted or revoked. Nothing is told of API keys.
 */
export function eventsOf(change: AuthChange, users: Users): readonly AuthEvent[] {
  switch (change.kind) {
    case 'several':
      return change.changes.flatMap((one) => eventsOf(one, users))
    case 'user:add':
      return [{event: change.kind, info: packUser(users, change.user, 'idens')}]
    case 'role:add':
      return [{event: change.kind, info: packRole(users, change.role)}]
    case 'user:del':
    case 'role:del':
      return [{event: change.kind, info: {iden: change.iden}}]
    case 'user:name':
    case 'role:name':
      return [{event: change.kind, info: {iden: change.iden, valu: change.name}}]
    case 'role:rules':
      return [{event: 'role:info', info: rulesInfo(change), ...gatesOf(change, users)}]
    case 'gate:add':
    case 'key:add':
    case 'key:name':
    case 'key:del':
      return []
    default:
      return [{event: 'user:info', info: userInfo(change, users), ...('gate' in change ? gatesOf(change, users) : {})}]
  }
}

type UserChange = Extract<
  AuthChange,
  {
    readonly kind: `user:${'email' | 'admin' | 'locked' | 'archived' | 'rules' | 'roles' | 'passwd' | 'onepass'}`
  }
>

function userInfo(change: UserChange, users: Users): Readonly<Record<string, unknown>> {
  const {iden} = change
  switch (change.kind) {
    case 'user:email':
      return {iden, name: 'email', valu: change.email}
    case 'user:admin':
      return {iden, name: 'admin', valu: change.isAdmin}
    case 'user:locked':
      return {iden, name: 'locked', valu: change.isLocked}
    case 'user:archived':
      return {iden, name: 'archived', valu: change.isArchived}
    case 'user:rules':
      return rulesInfo(change)
    case 'user:roles':
      return {iden, name: 'role:set', roles: packedRoles(change.roles, users)}
    case 'user:passwd':
      return {iden, name: 'passwd'}
    case 'user:onepass':
      return {iden, name: 'onepass'}
  }
}

function rulesInfo({iden, rules}: {readonly iden: string; readonly rules: unknown}): Readonly<Record<string, unknown>> {
  return {iden, name: 'rules', valu: rules}
}

function packedRoles(idens: readonly string[], users: Users): readonly unknown[] {
  return idens.flatMap((iden) => {
    const role = users.role(iden)
    return role === undefined ? [] : [packRole(users, role)]
  })
}

function gatesOf({gate}: {readonly gate: string | null}, users: Users): Pick<AuthEvent, 'gates'> {
  const found = gate === null ? undefined : users.gate(gate)
  return found === undefined ? {} : {gates: [packGate(found)]}
}
