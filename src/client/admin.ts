import type {Rule} from '../auth/model.ts'
import {RegistryError} from '../base/errors.ts'
import {nearestName} from '../base/nearest.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {
  type CellKey,
  type CellRole,
  type CellUser,
  listOf,
  type MaintenanceChange,
  oddAnswer,
  readKey,
  readMaintenanceChange,
  readRole,
  readUser,
} from './admin-values.ts'

/** A user or a role: whoever rules and roles belong to. */
export type Holder = 'user' | 'role'

/**
 * The users, roles, rules and API keys of a cell, ours or a real Synapse one: typed calls over an open session. All throw what the
 * service answered, `REG_BAD_ANSWER` when its answer makes no sense, and as `Callable.call` does.
 */
export class CellAdmin implements AsyncDisposable {
  readonly #cell: Callable & AsyncDisposable
  readonly #signal: AbortSignal | undefined

  /** Takes the session over: disposing of this ends it. */
  constructor(cell: Callable & AsyncDisposable, signal?: AbortSignal) {
    this.#cell = cell
    this.#signal = signal
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cell[Symbol.asyncDispose]()
  }

  /** Gives all users, archived ones too, in order of name. */
  async users(): Promise<readonly CellUser[]> {
    return byName(listOf(await this.#call('getUserDefs'), 'getUserDefs').map((value) => readUser(value)))
  }

  /** Gives the user of this name; undefined when there is none. */
  async findUser(name: string): Promise<CellUser | undefined> {
    const value = await this.#call('getUserDefByName', name)
    return value === null ? undefined : readUser(value)
  }

  /** Gives the user of this name. Throws `REG_NOT_FOUND`, with the name that is nearest to it. */
  async user(name: string): Promise<CellUser> {
    return (await this.findUser(name)) ?? missing('user', name, await this.users())
  }

  async roles(): Promise<readonly CellRole[]> {
    return byName(listOf(await this.#call('getRoleDefs'), 'getRoleDefs').map((value) => readRole(value)))
  }

  /** Gives the role of this name; undefined when there is none. */
  async findRole(name: string): Promise<CellRole | undefined> {
    const value = await this.#call('getRoleDefByName', name)
    return value === null ? undefined : readRole(value)
  }

  /** Gives the role of this name. Throws `REG_NOT_FOUND`, with the name that is nearest to it. */
  async role(name: string): Promise<CellRole> {
    return (await this.findRole(name)) ?? missing('role', name, await this.roles())
  }

  /** Gives the iden of a user: for who may not list users, only his own. */
  async userIden(name: string): Promise<string> {
    const value = await this.#call('getUserInfo', name)
    return readUser(value).iden
  }

  async addUser(name: string, email: string | undefined): Promise<CellUser> {
    return readUser(await this.#call('addUser', name, null, email ?? null))
  }

  async addRole(name: string): Promise<CellRole> {
    return readRole(await this.#call('addRole', name))
  }

  async remove(holder: Holder, iden: string): Promise<void> {
    await this.#call(holder === 'user' ? 'delUser' : 'delRole', iden)
  }

  async setAdmin(iden: string, isAdmin: boolean, gate?: string): Promise<void> {
    await this.#call('setUserAdmin', iden, isAdmin, gate ?? null)
  }

  async setLocked(iden: string, isLocked: boolean): Promise<void> {
    await this.#call('setUserLocked', iden, isLocked)
  }

  async setArchived(iden: string, isArchived: boolean): Promise<void> {
    await this.#call('setUserArchived', iden, isArchived)
  }

  async setEmail(iden: string, email: string | null): Promise<void> {
    await this.#call('setUserEmail', iden, email)
  }

  /** Null takes the password away. */
  async setPasswd(iden: string, passwd: string | null): Promise<void> {
    await this.#call('setUserPasswd', iden, passwd)
  }

  async setRules(holder: Holder, iden: string, rules: readonly Rule[], gate?: string): Promise<void> {
    await this.#call(holder === 'user' ? 'setUserRules' : 'setRoleRules', iden, rules, gate ?? null)
  }

  async addRule(holder: Holder, iden: string, rule: Rule, index: number, gate?: string): Promise<void> {
    await this.#call(holder === 'user' ? 'addUserRule' : 'addRoleRule', iden, rule, index, gate ?? null)
  }

  /** Tells whether the permission is granted, by whatever rule, role or privilege. */
  async isAllowed(holder: Holder, iden: string, path: readonly string[], gate?: string): Promise<boolean> {
    const method = holder === 'user' ? 'isUserAllowed' : 'isRoleAllowed'
    return (await this.#call(method, iden, path, gate ?? null)) === true
  }

  /** At `index` of the user's roles, else at the end. */
  async grant(userIden: string, roleIden: string, index?: number): Promise<void> {
    await this.#call('addUserRole', userIden, roleIden, ...(index === undefined ? [] : [index]))
  }

  async revoke(userIden: string, roleIden: string): Promise<void> {
    await this.#call('delUserRole', userIden, roleIden)
  }

  /** Gives the API keys of a user; without one, of who asks. */
  async keys(userIden?: string): Promise<readonly CellKey[]> {
    const value = await this.#call('listUserApiKeys', userIden ?? null)
    return listOf(value, 'listUserApiKeys').map((key) => readKey(key))
  }

  /** Adds an API key for a user; without one, for who asks. Its text cannot be found out again. */
  async addKey(
    name: string,
    options: {readonly durationMs?: number | undefined; readonly userIden?: string | undefined},
  ): Promise<{readonly text: string; readonly key: CellKey}> {
    const {durationMs = null, userIden = null} = options
    const [text, info] = listOf(await this.#call('addUserApiKey', name, durationMs, userIden), 'addUserApiKey')
    if (typeof text !== 'string') throw oddAnswer('addUserApiKey', 'it has no key')
    return {text, key: readKey(info)}
  }

  async removeKey(iden: string): Promise<void> {
    await this.#call('delUserApiKey', iden)
  }

  /** Begins the maintenance of a service of our registry, or ends it. `service` is its id, or a name that only one has. */
  async setServiceMaintenance(service: string, reason: string | undefined): Promise<MaintenanceChange> {
    const value = await this.#call('setServiceMaintenance', service, reason !== undefined, reason ?? null)
    return readMaintenanceChange(value)
  }

  async #call(method: string, ...args: readonly Value[]): Promise<Value> {
    try {
      return await this.#cell.call(method, {args, ...(this.#signal === undefined ? {} : {signal: this.#signal})})
    } catch (error) {
      throw withHints(error)
    }
  }
}

/** What to do next, by the name of the error; the hints of the codes are about services. */
const HINTS: Readonly<Record<string, readonly string[]>> = {
  AuthDeny: ['ask an administrator of that cell'],
  NoSuchUser: ['registry user list'],
  DupUserName: ['registry user list'],
  DupUserEmail: ['registry user list'],
  NoSuchRole: ['registry role list'],
  DupRoleName: ['registry role list'],
  NoSuchIden: ['registry apikey list'],
  NoSuchName: ['registry service list'],
  DupName: ['registry service list'],
  NoSuchAuthGate: ['registry query --call getAuthGates'],
  NoSuchMeth: ['registry status URL'],
}

function withHints(error: unknown): unknown {
  if (!(error instanceof RegistryError)) return error
  const hints = HINTS[error.telepath]
  if (hints === undefined) return error
  return new RegistryError(error.code, error.message, {
    hints,
    info: error.info,
    telepath: error.telepath,
    cause: error.cause,
  })
}

function byName<T extends {readonly name: string}>(list: readonly T[]): readonly T[] {
  return list.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function missing(holder: Holder, name: string, others: readonly {readonly name: string}[]): never {
  const nearest = nearestName(
    name,
    others.map((other) => other.name),
  )
  throw new RegistryError('REG_NOT_FOUND', `there is no ${holder} "${name}"`, {
    telepath: holder === 'user' ? 'NoSuchUser' : 'NoSuchRole',
    info: {name, ...(nearest === undefined ? {} : {nearest})},
    hints: [
      ...(nearest === undefined ? [] : [`registry ${holder} show ${nearest}`]),
      `registry ${holder} list`,
      `registry ${holder} add ${name}`,
    ],
  })
}
