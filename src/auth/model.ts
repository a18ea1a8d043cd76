/** Users, roles and gates, as the rules see them: plain values that are replaced, never altered. */

/** `[true, ['axon', 'upload']]` allows `axon.upload` and all below it; false denies. Path elements are not empty, there is at least one. */
export type Rule = readonly [allow: boolean, path: readonly string[]]

export interface Role {
  /** 32 hex digits. */
  readonly iden: string
  readonly name: string
  readonly rules: readonly Rule[]
}

export interface User {
  /** 32 hex digits. */
  readonly iden: string
  readonly name: string
  readonly email: string | null
  readonly rules: readonly Rule[]
  /** Idens, in the order in which they are asked. */
  readonly roles: readonly string[]
  readonly isAdmin: boolean
  readonly isLocked: boolean
  /** Implies locked. */
  readonly isArchived: boolean
}

/** What a user or a role has in a gate. */
export interface GateEntry {
  readonly rules: readonly Rule[]
  readonly isAdmin: boolean
}

/** A named object with rules and admins of its own. */
export interface Gate {
  readonly iden: string
  readonly type: string
  /** By iden of the user. */
  readonly users: ReadonlyMap<string, GateEntry>
  /** By iden of the role. */
  readonly roles: ReadonlyMap<string, GateEntry>
}

/** An API key without its secret. */
export interface ApiKey {
  /** 32 hex digits. */
  readonly iden: string
  readonly name: string
  /** Iden of its user. */
  readonly user: string
  readonly createdMs: number
  readonly updatedMs: number
  readonly expiresMs: number | undefined
}

/**
 * What is kept of a password: enough to check one, not enough to find it out. Field names and parameters are those of Synapse, bytes in
 * base64, so that users can be carried over with their passwords.
 */
export interface Shadow {
  readonly type: 'pbkdf2'
  /** 32 bytes, base64. */
  readonly hashed: string
  readonly func_params: {
    /** Base64. */
    readonly salt: string
    readonly iterations: number
    readonly hash_name: 'sha256'
  }
}

/** A password that works once. It is 128 random bits, so a plain SHA-256 of it gives nothing away. */
export interface OnePass {
  /** 64 hex digits. */
  readonly sha256: string
  readonly expiresMs: number
}

/** How a user can prove who he is. Kept apart from `User`, which goes to listeners and logs. */
export interface Credentials {
  /** Null: no login with a password. */
  readonly shadow: Shadow | null
  /** Of the passwords before and of the present one, the newest first, as many as the policy wants to exclude. */
  readonly previous: readonly Shadow[]
  readonly onepass: OnePass | null
}

export interface StoredKey {
  readonly key: ApiKey
  readonly shadow: Shadow
}

/** What the rules may ask. */
export interface Directory {
  user(iden: string): User | undefined
  role(iden: string): Role | undefined
  gate(iden: string): Gate | undefined
}

/** Who calls. A user is looked up at each call, so that what was revoked is gone at once. */
export type Principal =
  | {readonly kind: 'anonymous'}
  /** A connection to one of the plain ZeroMQ ports. */
  | {readonly kind: 'zmq:anon'}
  | {readonly kind: 'user'; readonly iden: string}
