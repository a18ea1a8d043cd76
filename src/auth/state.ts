import type {ApiKey, Credentials, Directory, Gate, Role, StoredKey, User} from './model.ts'

/** One thing that is kept, under its iden; undefined when it is gone. `login` has the iden of its user. */
export type AuthRecord =
  | {readonly table: 'user'; readonly key: string; readonly value: User | undefined}
  | {readonly table: 'login'; readonly key: string; readonly value: Credentials | undefined}
  | {readonly table: 'role'; readonly key: string; readonly value: Role | undefined}
  | {readonly table: 'gate'; readonly key: string; readonly value: Gate | undefined}
  | {readonly table: 'apikey'; readonly key: string; readonly value: StoredKey | undefined}

/** Of a user without a record in `login`. */
export const NO_CREDENTIALS: Credentials = {shadow: null, previous: [], onepass: null}

/**
 * All users, roles, gates and keys, with their indexes. It is altered by records only, the same that go to the store: what is loaded from
 * there is what was in memory. The values in it are never altered, so a copy is cheap and independent.
 */
export class AuthState implements Directory {
  readonly #users = new Map<string, User>()
  readonly #logins = new Map<string, Credentials>()
  readonly #roles = new Map<string, Role>()
  readonly #gates = new Map<string, Gate>()
  readonly #keys = new Map<string, StoredKey>()
  readonly #userNames = new Map<string, string>()
  readonly #roleNames = new Map<string, string>()
  readonly #emails = new Map<string, string>()
  readonly #keysOf = new Map<string, Set<string>>()

  get userCount(): number {
    return this.#users.size
  }

  get roleCount(): number {
    return this.#roles.size
  }

  get gateCount(): number {
    return this.#gates.size
  }

  user(iden: string): User | undefined {
    return this.#users.get(iden)
  }

  userByName(name: string): User | undefined {
    return this.#users.get(this.#userNames.get(name) ?? '')
  }

  /** `email` as it is kept: in lower case. */
  userByEmail(email: string): User | undefined {
    return this.#users.get(this.#emails.get(email) ?? '')
  }

  credentials(iden: string): Credentials {
    return this.#logins.get(iden) ?? NO_CREDENTIALS
  }

  role(iden: string): Role | undefined {
    return this.#roles.get(iden)
  }

  roleByName(name: string): Role | undefined {
    return this.#roles.get(this.#roleNames.get(name) ?? '')
  }

  gate(iden: string): Gate | undefined {
    return this.#gates.get(iden)
  }

  apiKey(iden: string): StoredKey | undefined {
    return this.#keys.get(iden)
  }

  /** In order of name. */
  users(): readonly User[] {
    return [...this.#users.values()].sort(byName)
  }

  /** In order of name. */
  roles(): readonly Role[] {
    return [...this.#roles.values()].sort(byName)
  }

  gates(): readonly Gate[] {
    return [...this.#gates.values()].sort((one, other) => compare(one.iden, other.iden))
  }

  /** The oldest first. */
  apiKeysOf(user: string): readonly ApiKey[] {
    const keys = [...(this.#keysOf.get(user) ?? [])].flatMap((iden) => this.#keys.get(iden)?.key ?? [])
    return keys.sort((one, other) => one.createdMs - other.createdMs || compare(one.iden, other.iden))
  }

  /** Takes records over, in order. */
  put(records: Iterable<AuthRecord>): void {
    for (const record of records) this.#putOne(record)
  }

  copy(): AuthState {
    const copy = new AuthState()
    copy.put(this.records())
    return copy
  }

  /** Gives one of them, by its table and iden; undefined when there is none. */
  record(table: string, key: string): AuthRecord | undefined {
    const record = this.#recordOf(table, key)
    return record?.value === undefined ? undefined : record
  }

  #recordOf(table: string, key: string): AuthRecord | undefined {
    switch (table) {
      case 'user':
        return {table, key, value: this.#users.get(key)}
      case 'login':
        return {table, key, value: this.#logins.get(key)}
      case 'role':
        return {table, key, value: this.#roles.get(key)}
      case 'gate':
        return {table, key, value: this.#gates.get(key)}
      case 'apikey':
        return {table, key, value: this.#keys.get(key)}
      default:
        return undefined
    }
  }

  /** Gives all that there is, as records. */
  *records(): Iterable<AuthRecord> {
    for (const [key, value] of this.#roles) yield {table: 'role', key, value}
    for (const [key, value] of this.#users) yield {table: 'user', key, value}
    for (const [key, value] of this.#logins) yield {table: 'login', key, value}
    for (const [key, value] of this.#gates) yield {table: 'gate', key, value}
    for (const [key, value] of this.#keys) yield {table: 'apikey', key, value}
  }

  #putOne(record: AuthRecord): void {
    switch (record.table) {
      case 'user':
        this.#putUser(record.key, record.value)
        break
      case 'login':
        replace(this.#logins, record.key, record.value)
        break
      case 'role':
        rename(this.#roleNames, record.key, this.#roles.get(record.key)?.name, record.value?.name)
        replace(this.#roles, record.key, record.value)
        break
      case 'gate':
        replace(this.#gates, record.key, record.value)
        break
      case 'apikey':
        this.#putKey(record.key, record.value)
        break
    }
  }

  #putUser(iden: string, user: User | undefined): void {
    const old = this.#users.get(iden)
    rename(this.#userNames, iden, old?.name, user?.name)
    rename(this.#emails, iden, old?.email ?? undefined, user?.email ?? undefined)
    replace(this.#users, iden, user)
  }

  #putKey(iden: string, stored: StoredKey | undefined): void {
    const old = this.#keys.get(iden)?.key.user
    if (old !== undefined) {
      const left = this.#keysOf.get(old)
      left?.delete(iden)
      if (left?.size === 0) this.#keysOf.delete(old)
    }
    replace(this.#keys, iden, stored)
    if (stored === undefined) return
    const idens = this.#keysOf.get(stored.key.user) ?? new Set()
    this.#keysOf.set(stored.key.user, idens.add(iden))
  }
}

function replace<V>(map: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key)
  else map.set(key, value)
}

/** Moves an iden in an index. A name has one owner at any time: that is decided before. */
function rename(index: Map<string, string>, iden: string, from: string | undefined, to: string | undefined): void {
  if (from !== undefined) index.delete(from)
  if (to !== undefined) index.set(to, iden)
}

function byName(one: {readonly name: string}, other: {readonly name: string}): number {
  return compare(one.name, other.name)
}

/** By code units: the same order on every machine. */
function compare(one: string, other: string): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}
