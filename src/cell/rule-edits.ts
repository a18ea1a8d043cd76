import type {Gate, Rule} from '../auth/model.ts'
import {isSameRule, readRule, readRules} from '../auth/rule.ts'
import type {AuthLedger} from './auth-ledger.ts'
import {noSuchGate, noSuchRole, noSuchUser} from './user-checks.ts'

/** Decides changes of the rules of users, or of roles: each has a list of its own, and one in each gate. */
export class RuleEdits {
  readonly #ledger: AuthLedger
  readonly #holder: 'user' | 'role'

  constructor(ledger: AuthLedger, holder: 'user' | 'role') {
    this.#ledger = ledger
    this.#holder = holder
  }

  async set(iden: string, rules: readonly Rule[], gate: string | undefined, actor: string): Promise<void> {
    this.#ownRules(iden)
    const kind = `${this.#holder}:rules` as const
    await this.#ledger.change({kind, iden, rules: readRules(rules), gate: this.#gate(gate)?.iden ?? null}, actor)
  }

  async add(
    iden: string,
    rule: Rule,
    index: number | undefined,
    gate: string | undefined,
    actor: string,
  ): Promise<void> {
    await this.set(iden, insertAt(this.#rules(iden, gate), readRule(rule), index), gate, actor)
  }

  /** Tells whether the rule was there. */
  async delete(iden: string, rule: Rule, gate: string | undefined, actor: string): Promise<boolean> {
    const rules = this.#rules(iden, gate)
    const at = rules.findIndex((one) => isSameRule(one, rule))
    if (at < 0) return false
    await this.set(iden, rules.toSpliced(at, 1), gate, actor)
    return true
  }

  #rules(iden: string, gateIden: string | undefined): readonly Rule[] {
    const own = this.#ownRules(iden)
    const gate = this.#gate(gateIden)
    if (gate === undefined) return own
    return (this.#holder === 'user' ? gate.users : gate.roles).get(iden)?.rules ?? []
  }

  #ownRules(iden: string): readonly Rule[] {
    const {pending} = this.#ledger
    if (this.#holder === 'role') return (pending.role(iden) ?? fail(noSuchRole(iden))).rules
    return (pending.user(iden) ?? fail(noSuchUser(iden))).rules
  }

  #gate(iden: string | undefined): Gate | undefined {
    return iden === undefined ? undefined : (this.#ledger.pending.gate(iden) ?? fail(noSuchGate(iden)))
  }
}

/** Puts an item in before `index`, as a list of Python does: from the end when it is negative, and never out of bounds; without one, at the end. */
export function insertAt<T>(list: readonly T[], item: T, index: number | undefined): readonly T[] {
  return list.toSpliced(index ?? list.length, 0, item)
}

function fail(error: Error): never {
  throw error
}
