import type {Gate, Role, Rule} from '../auth/model.ts'
import {isSameRule, readRule, readRules} from '../auth/rule.ts'
import {newGuid} from '../base/ids.ts'
import type {AuthLedger} from './auth-ledger.ts'
import {ALL_NAME} from './built-in.ts'
import {badArg, checkIden, checkName, duplicate, hitLimit, noSuchGate, noSuchRole, quoted} from './user-checks.ts'

/** Beyond these nothing is added: everything is held in memory. */
const MAX_ROLES = 10_000
const MAX_GATES = 10_000

/** Decides changes of roles and gates, as `Users` describes them, and hands them to the ledger in the same turn. */
export class RoleEdits {
  readonly #ledger: AuthLedger

  constructor(ledger: AuthLedger) {
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

  async setRules(iden: string, rules: readonly Rule[], gate: string | undefined, actor: string): Promise<void> {
    this.#required(iden)
    const change = {kind: 'role:rules', iden, rules: readRules(rules), gate: this.#gate(gate)?.iden ?? null} as const
    await this.#ledger.change(change, actor)
  }

  async addRule(
    iden: string,
    rule: Rule,
    index: number | undefined,
    gate: string | undefined,
    actor: string,
  ): Promise<void> {
    await this.setRules(iden, insertAt(this.#rules(iden, gate), readRule(rule), index), gate, actor)
  }

  async delRule(iden: string, rule: Rule, gate: string | undefined, actor: string): Promise<boolean> {
    const rules = this.#rules(iden, gate)
    const at = rules.findIndex((one) => isSameRule(one, rule))
    if (at < 0) return false
    await this.setRules(iden, rules.toSpliced(at, 1), gate, actor)
    return true
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

  #gate(iden: string | undefined): Gate | undefined {
    if (iden === undefined) return undefined
    const gate = this.#ledger.pending.gate(iden)
    if (gate === undefined) throw noSuchGate(iden)
    return gate
  }

  #rules(iden: string, gateIden: string | undefined): readonly Rule[] {
    const role = this.#required(iden)
    const gate = this.#gate(gateIden)
    return gate === undefined ? role.rules : (gate.roles.get(iden)?.rules ?? [])
  }
}

/** Puts an item in before `index`, as a list of Python does: from the end when it is negative, and never out of bounds; without one, at the end. */
export function insertAt<T>(list: readonly T[], item: T, index: number | undefined): readonly T[] {
  return list.toSpliced(index ?? list.length, 0, item)
}

function duplicateName(name: string): Error {
  return duplicate('DupRoleName', `Duplicate role name, name=${quoted(name)} already exists.`, {name})
}
