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

/** A named object with rules and admins of its own. */
export interface Gate {
  readonly iden: string
  readonly type: string
  /** By iden of the user. */
  readonly users: ReadonlyMap<string, {readonly rules: readonly Rule[]; readonly isAdmin: boolean}>
  /** By iden of the role. */
  readonly roles: ReadonlyMap<string, {readonly rules: readonly Rule[]; readonly isAdmin: boolean}>
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
