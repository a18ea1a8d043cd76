import type {Gate, Role} from '../auth/model.ts'
import {newGuid} from '../base/ids.ts'
import type {AuthLedger} from './auth-ledger.ts'
import {ALL_NAME} from './built-in.ts'
import {RuleEdits} from './rule-edits.ts'
import {badArg, checkIden, checkName, duplicate, hitLimit, noSuchRole, quoted} from './user-checks.ts'

/** Beyond these nothing is added: everything is held in memory. */
const MAX_ROLES = 10_000
const MAX_GATES = 10_000

/** Decides changes of roles and gates, as `Users` describes them, and hands them to the ledger in the same turn. */
export class RoleEdits {
  readonly rules: RuleEdits
  readonly #ledger: AuthLedger

  constructor(ledger: AuthLedger) {
    this.rules = new RuleEdits(ledger, 'role')
    this.#ledger = ledger
  }

  async add(name: string, iden: string | undefined, actor: string): Promise<Role> {
    const {pending} = this.#ledger
    checkName(name, 'the name of a role')
    if (pending.roleByName(name) !== undefined) throw duplicateName(name)
    if (pending.roleCount >= MAX_ROLES) throw hitLimit(`no more than ${MAX_ROLES} roles can be kept`)
    if (iden !== undefined) {
      checkIden(iden)
      const isTaken = pending.role(iden) !== undefined || pending.gate(iden) !== undefined
      if (isTaken) throw duplicate('DupIden', `Role already exists for iden=${quoted(iden)}.`, {name, iden})
    }
    const role = {iden: iden ?? newGuid(), name, rules: []}
    await this.#ledger.change({kind: 'role:add', role}, actor)
    return this.#ledger.visible.role(role.iden) ?? role
  }

  async delete(iden: string, actor: string): Promise<void> {
    if (this.#required(iden).name === ALL_NAME) throw badArg('Role "all" may not be deleted.', 'iden')
    await this.#ledger.change({kind: 'role:del', iden}, actor)
  }

  async setName(iden: string, name: string, actor: string): Promise<void> {
    const role = this.#required(iden)
    checkName(name, 'the name of a role')
    const holder = this.#ledger.pending.roleByName(name)
    if (holder !== undefined && holder.iden !== iden) throw duplicateName(name)
    if (role.name === ALL_NAME && name !== ALL_NAME) throw badArg('Role "all" may not be renamed.', 'name')
    await this.#ledger.change({kind: 'role:name', iden, name}, actor)
  }

  /** As `UserBook.addGate`. */
  async addGate(iden: string, type: string, actor: string): Promise<Gate> {
    const {pending} = this.#ledger
    checkName(iden, 'the iden of a gate')
    checkName(type, 'the type of a gate')
    const isTaken = (pending.gate(iden) ?? pending.user(iden) ?? pending.role(iden)) !== undefined
    if (isTaken) throw duplicate('DupIden', `An auth gate already exists with iden: (${iden}).`, {iden})
    if (pending.gateCount >= MAX_GATES) throw hitLimit(`no more than ${MAX_GATES} gates can be kept`)
    await this.#ledger.change({kind: 'gate:add', iden, type}, actor)
    return this.#ledger.visible.gate(iden) ?? {iden, type, users: new Map(), roles: new Map()}
  }

  #required(iden: string): Role {
    const role = this.#ledger.pending.role(iden)
    if (role === undefined) throw noSuchRole(iden)
    return role
  }
}

function duplicateName(name: string): Error {
  return duplicate('DupRoleName', `Duplicate role name, name=${quoted(name)} already exists.`, {name})
}
