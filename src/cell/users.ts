/**
 * The users, roles, gates and API keys of a cell, as the listeners use them. `user-book.ts` keeps them: every change is an entry of the change
 * log, and a promise of a change resolves when it is on disk.
 *
 * Errors carry the peer's names and words: `NoSuchUser`, `DupUserName`, `NoSuchRole`, `DupRoleName`, `DupUserEmail`, `BadArg`, `AuthDeny`, `HitLimit`,
 * `NoSuchIden`, `NoSuchAuthGate` in `RegistryError.telepath`, their facts in `info`.
 */
import type {AuthChange} from '../auth/change.ts'
import type {ApiKey, Directory, Gate, Role, Rule, User} from '../auth/model.ts'

export interface NewUser {
  readonly name: string
  readonly passwd?: string | undefined
  readonly email?: string | undefined
  /** 32 hex digits; made when absent. */
  readonly iden?: string | undefined
}

/** `actor` is who asked, for the change log: `telepath/root/10.0.0.7`, `https/visi/10.0.0.7`, `unix/root`. */
export interface Users extends Directory {
  /** The built-in administrator. */
  readonly rootIden: string
  userByName(name: string): User | undefined
  /** In order of name. */
  users(): readonly User[]
  roleByName(name: string): Role | undefined
  roles(): readonly Role[]
  gates(): readonly Gate[]

  addUser(user: NewUser, actor: string): Promise<User>
  delUser(iden: string, actor: string): Promise<void>
  setUserName(iden: string, name: string, actor: string): Promise<void>
  setUserEmail(iden: string, email: string | null, actor: string): Promise<void>
  setUserAdmin(iden: string, isAdmin: boolean, gate: string | undefined, actor: string): Promise<void>
  setUserLocked(iden: string, isLocked: boolean, actor: string): Promise<void>
  setUserArchived(iden: string, isArchived: boolean, actor: string): Promise<void>
  setUserRules(iden: string, rules: readonly Rule[], gate: string | undefined, actor: string): Promise<void>
  /** At `index`, else at the end; a negative one counts from the end. */
  addUserRule(
    iden: string,
    rule: Rule,
    index: number | undefined,
    gate: string | undefined,
    actor: string,
  ): Promise<void>
  /** False when there is no such rule. */
  delUserRule(iden: string, rule: Rule, gate: string | undefined, actor: string): Promise<boolean>
  /** At `index` of the user's roles, else at the end. */
  addUserRole(iden: string, role: string, index: number | undefined, actor: string): Promise<void>
  setUserRoles(iden: string, roles: readonly string[], actor: string): Promise<void>
  delUserRole(iden: string, role: string, actor: string): Promise<void>
  /** Null takes the password away: no login with one then. The policy applies. */
  setUserPasswd(iden: string, passwd: string | null, actor: string): Promise<void>
  /** Makes a password that works once, within `durationMs`. */
  genUserOnepass(iden: string, durationMs: number, actor: string): Promise<string>

  addRole(name: string, iden: string | undefined, actor: string): Promise<Role>
  delRole(iden: string, actor: string): Promise<void>
  setRoleName(iden: string, name: string, actor: string): Promise<void>
  setRoleRules(iden: string, rules: readonly Rule[], gate: string | undefined, actor: string): Promise<void>
  addRoleRule(
    iden: string,
    rule: Rule,
    index: number | undefined,
    gate: string | undefined,
    actor: string,
  ): Promise<void>
  /** False when there is no such rule. */
  delRoleRule(iden: string, rule: Rule, gate: string | undefined, actor: string): Promise<boolean>

  /**
   * Checks a name and a password, and counts what fails. Takes the same time whether the user exists or not.
   *
   * @throws RegistryError `REG_DENIED`: `NoSuchUser` or `AuthDeny` in `telepath`. Listeners that must not tell which users exist answer both alike.
   * `REG_BUSY` when too many passwords wait to be checked: listeners bound how often one address may try.
   */
  login(name: string, passwd: string | null, actor: string): Promise<User>
  /** Takes a password that works once, without a login. False when it is none, or was used. */
  useOnepass(iden: string, passwd: string, actor: string): Promise<boolean>
  /** Gives the user of an API key as it came, or throws `REG_DENIED` with the reason, which is for the log only; `REG_BUSY` as `login`. */
  checkApiKey(text: string): Promise<{readonly key: ApiKey; readonly user: User}>
  /** The text is shown this once and cannot be found out again. */
  addApiKey(
    user: string,
    name: string,
    durationMs: number | undefined,
    actor: string,
  ): Promise<{readonly text: string; readonly key: ApiKey}>
  apiKey(iden: string): ApiKey | undefined
  apiKeysOf(user: string): readonly ApiKey[]
  setApiKeyName(iden: string, name: string, actor: string): Promise<ApiKey>
  delApiKey(iden: string, actor: string): Promise<void>

  /** Calls when a user may not go on: locked, archived, deleted, or a new password. Listeners close his sessions. Gives the way to stop it. */
  onBarred(listener: (userIden: string) => void): () => void
  /** Calls with each change when it can be seen, and its offset in the log. Gives the way to stop it. */
  onChanged(listener: (change: AuthChange, offset: number) => void): () => void
}
