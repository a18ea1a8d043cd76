import type {AuthChange} from '../auth/change.ts'
import type {ApiKey, Gate, Role, Rule, User} from '../auth/model.ts'
import type {PasswordPolicy} from '../auth/policy.ts'
import {type Clock, systemClock} from '../base/clock.ts'
import type {Log} from '../base/log.ts'
import type {Secret} from '../base/secret.ts'
import {ApiKeys} from './api-keys.ts'
import {AuthLedger, type LedgerPorts} from './auth-ledger.ts'
import {builtInUser, corrections, ROOT_NAME} from './built-in.ts'
import {firstChange, type Inaugural} from './inaugural.ts'
import {Logins, type LoginsElsewhere} from './logins.ts'
import {Passwords} from './passwords.ts'
import {RoleEdits} from './role-edits.ts'
import {UserEdits} from './user-edits.ts'
import type {NewUser, Users} from './users.ts'

export interface UserBookPorts extends Omit<LedgerPorts, 'clock'> {
  readonly log: Pick<Log, 'warning' | 'error'>
  readonly clock?: Clock
  /** For tests, which cannot wait for whole hashes. */
  readonly passwords?: Passwords
}

export interface UserBookOptions {
  readonly cellIden: string
  readonly policy: PasswordPolicy
  /** Users besides root that are not locked; 0 is no limit. */
  readonly maxUsers: number
  /** `auth:passwd`: what root's password is at each start; no policy applies to it. */
  readonly rootPasswd?: Secret | undefined
  /** Only for a directory that was made just now. */
  readonly inaugural?: Inaugural | undefined
  /** Another member of the cell takes the changes: nothing is written until `lead` is called. */
  readonly isFollowing?: boolean | undefined
}

/** Actor of what the cell does by itself at its start. */
const CELL_ACTOR = 'cell'

/**
 * Opens the users of a cell. In a store without users, root, the role all and the inaugural ones are made, all or none. Root is set right at
 * each start, or when this member begins to lead. Nothing is written when nothing is to be changed.
 *
 * @throws RegistryError `REG_STORE_DAMAGED`, and why changes are refused when one is needed
 */
export async function openUserBook(ports: UserBookPorts, options: UserBookOptions): Promise<UserBook> {
  const listeners = new Set<Listener>()
  const ledger = await AuthLedger.open({...ports, clock: ports.clock ?? systemClock}, (change, offset) => {
    for (const listener of listeners) listener(change, offset)
  })
  if (options.isFollowing !== true) await setRight(ledger, options)
  const rootIden = ledger.visible.userByName(ROOT_NAME)?.iden ?? builtInUser(options.cellIden).iden
  const passwords = ports.passwords ?? new Passwords()
  const logins = new Logins({ledger, passwords, log: ports.log}, options.policy, rootIden)
  const setPasswd = async (): Promise<void> => {
    if (options.rootPasswd !== undefined) await logins.ensurePasswd(rootIden, options.rootPasswd.reveal(), CELL_ACTOR)
  }
  if (options.isFollowing !== true) await setPasswd()
  const keys = new ApiKeys({ledger, passwords})
  const lead = async (): Promise<void> => {
    await setRight(ledger, options)
    await setPasswd()
  }
  return new UserBook({ledger, logins, keys, listeners, lead}, rootIden, options.maxUsers)
}

/** Hears of each change when it can be seen. */
type Listener = (change: AuthChange, offset: number) => void

interface Parts {
  readonly ledger: AuthLedger
  readonly logins: Logins
  readonly keys: ApiKeys
  readonly listeners: Set<Listener>
  readonly lead: () => Promise<void>
}

/** The users, roles, gates and keys of a cell. Each method is described in `Users`. Made by `openUserBook`. */
export class UserBook implements Users {
  readonly rootIden: string
  /** Sets right what the start of a leader does. To be called when this member begins to lead. Throws as `openUserBook`. */
  readonly lead: () => Promise<void>
  readonly #ledger: AuthLedger
  readonly #logins: Logins
  readonly #keys: ApiKeys
  readonly #listeners: Set<Listener>
  readonly #userEdits: UserEdits
  readonly #roleEdits: RoleEdits

  constructor({ledger, logins, keys, listeners, lead}: Parts, rootIden: string, maxUsers: number) {
    this.rootIden = rootIden
    this.lead = lead
    this.#ledger = ledger
    this.#logins = logins
    this.#keys = keys
    this.#listeners = listeners
    this.#userEdits = new UserEdits(ledger, maxUsers)
    this.#roleEdits = new RoleEdits(ledger)
    this.#listeners.add((change) => {
      const iden = change.kind === 'user:locked' ? change.iden : barredBy(change)
      if (iden !== undefined) logins.forgetFailures(iden)
    })
  }

  user(iden: string): User | undefined {
    return this.#ledger.visible.user(iden)
  }

  userByName(name: string): User | undefined {
    return this.#ledger.visible.userByName(name)
  }

  users(): readonly User[] {
    return this.#ledger.visible.users()
  }

  role(iden: string): Role | undefined {
    return this.#ledger.visible.role(iden)
  }

  roleByName(name: string): Role | undefined {
    return this.#ledger.visible.roleByName(name)
  }

  roles(): readonly Role[] {
    return this.#ledger.visible.roles()
  }

  gate(iden: string): Gate | undefined {
    return this.#ledger.visible.gate(iden)
  }

  gates(): readonly Gate[] {
    return this.#ledger.visible.gates()
  }

  async addUser(user: NewUser, actor: string): Promise<User> {
    this.#userEdits.checkNew(user)
    const shadow = user.passwd === undefined ? null : await this.#logins.shadowFor(user.passwd, [])
    return this.#userEdits.add(user, shadow, actor)
  }

  delUser(iden: string, actor: string): Promise<void> {
    return this.#userEdits.delete(iden, actor)
  }

  setUserName(iden: string, name: string, actor: string): Promise<void> {
    return this.#userEdits.setName(iden, name, actor)
  }

  setUserEmail(iden: string, email: string | null, actor: string): Promise<void> {
    return this.#userEdits.setEmail(iden, email, actor)
  }

  setUserAdmin(iden: string, isAdmin: boolean, gate: string | undefined, actor: string): Promise<void> {
    return this.#userEdits.setAdmin(iden, isAdmin, gate, actor)
  }

  setUserLocked(iden: string, isLocked: boolean, actor: string): Promise<void> {
    return this.#userEdits.setLocked(iden, isLocked, actor)
  }

  setUserArchived(iden: string, isArchived: boolean, actor: string): Promise<void> {
    return this.#userEdits.setArchived(iden, isArchived, actor)
  }

  setUserRules(iden: string, rules: readonly Rule[], gate: string | undefined, actor: string): Promise<void> {
    return this.#userEdits.rules.set(iden, rules, gate, actor)
  }

  addUserRule(...args: Parameters<Users['addUserRule']>): Promise<void> {
    return this.#userEdits.rules.add(...args)
  }

  delUserRule(iden: string, rule: Rule, gate: string | undefined, actor: string): Promise<boolean> {
    return this.#userEdits.rules.delete(iden, rule, gate, actor)
  }

  addUserRole(iden: string, role: string, index: number | undefined, actor: string): Promise<void> {
    return this.#userEdits.addRole(iden, role, index, actor)
  }

  setUserRoles(iden: string, roles: readonly string[], actor: string): Promise<void> {
    return this.#userEdits.setRoles(iden, roles, actor)
  }

  delUserRole(iden: string, role: string, actor: string): Promise<void> {
    return this.#userEdits.delRole(iden, role, actor)
  }

  setUserPasswd(iden: string, passwd: string | null, actor: string): Promise<void> {
    return this.#logins.setPasswd(iden, passwd, actor)
  }

  genUserOnepass(iden: string, durationMs: number, actor: string): Promise<string> {
    return this.#logins.issueOnepass(iden, durationMs, actor)
  }

  addRole(name: string, iden: string | undefined, actor: string): Promise<Role> {
    return this.#roleEdits.add(name, iden, actor)
  }

  delRole(iden: string, actor: string): Promise<void> {
    return this.#roleEdits.delete(iden, actor)
  }

  setRoleName(iden: string, name: string, actor: string): Promise<void> {
    return this.#roleEdits.setName(iden, name, actor)
  }

  setRoleRules(iden: string, rules: readonly Rule[], gate: string | undefined, actor: string): Promise<void> {
    return this.#roleEdits.rules.set(iden, rules, gate, actor)
  }

  addRoleRule(...args: Parameters<Users['addRoleRule']>): Promise<void> {
    return this.#roleEdits.rules.add(...args)
  }

  delRoleRule(iden: string, rule: Rule, gate: string | undefined, actor: string): Promise<boolean> {
    return this.#roleEdits.rules.delete(iden, rule, gate, actor)
  }

  /** Makes an object that can have rules of its own. Only parts of the server do: as at the peer, callers cannot. */
  addGate(iden: string, type: string, actor: string): Promise<Gate> {
    return this.#roleEdits.addGate(iden, type, actor)
  }

  useOnepass(iden: string, passwd: string, actor: string): Promise<boolean> {
    return this.#logins.useOnepass(iden, passwd, actor)
  }

  /** Has the leader write what logins leave, as long as this is a mirror. */
  passLoginsOn(elsewhere: LoginsElsewhere): void {
    this.#logins.passOn(elsewhere)
  }

  login(name: string, passwd: string | null, actor: string): Promise<User> {
    return this.#logins.login(name, passwd, actor)
  }

  checkApiKey(text: string): Promise<{readonly key: ApiKey; readonly user: User}> {
    return this.#keys.check(text)
  }

  addApiKey(...args: Parameters<Users['addApiKey']>): ReturnType<Users['addApiKey']> {
    return this.#keys.add(...args)
  }

  apiKey(iden: string): ApiKey | undefined {
    return this.#ledger.visible.apiKey(iden)?.key
  }

  apiKeysOf(user: string): readonly ApiKey[] {
    return this.#ledger.visible.apiKeysOf(user)
  }

  setApiKeyName(iden: string, name: string, actor: string): Promise<ApiKey> {
    return this.#keys.setName(iden, name, actor)
  }

  delApiKey(iden: string, actor: string): Promise<void> {
    return this.#keys.delete(iden, actor)
  }

  onBarred(listener: (userIden: string) => void): () => void {
    const heard: Listener = (change) => {
      const iden = barredBy(change)
      if (iden !== undefined) listener(iden)
    }
    return this.onChanged(heard)
  }

  onChanged(listener: (change: AuthChange, offset: number) => void): () => void {
    // One of its own, so that the same function may listen twice.
    const heard: Listener = (change, offset) => listener(change, offset)
    this.#listeners.add(heard)
    return () => this.#listeners.delete(heard)
  }
}

async function setRight(ledger: AuthLedger, {cellIden, inaugural}: UserBookOptions): Promise<void> {
  const {pending} = ledger
  if (pending.userCount === 0 && pending.roleCount === 0) {
    await ledger.change(firstChange(cellIden, inaugural ?? {roles: [], users: []}), CELL_ACTOR)
    return
  }
  const changes = [...corrections(pending, cellIden)]
  if (changes.length > 0) await ledger.change({kind: 'several', changes}, CELL_ACTOR)
}

/** Gives the user who may not go on as before after this change. */
function barredBy(change: AuthChange): string | undefined {
  switch (change.kind) {
    case 'user:del':
    case 'user:passwd':
      return change.iden
    case 'user:locked':
      return change.isLocked ? change.iden : undefined
    case 'user:archived':
      return change.isArchived ? change.iden : undefined
    default:
      return undefined
  }
}
