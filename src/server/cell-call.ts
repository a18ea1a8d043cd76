import type {User} from '../auth/model.ts'
import {RegistryError} from '../base/errors.ts'
import {actorText} from '../registry/actor.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Call, Peer} from '../wire/telepath/share.ts'
import type {CellParts, Session} from './cell-parts.ts'

/** Longest text that a call may hold; names, passwords and permissions are far shorter. */
const MAX_TEXT = 4096
/** Longest time limit that a caller may set, seconds. */
const MAX_TIMEOUT_S = 86_400

/** The arguments of a call by the names of their parameters; the default where the caller gave none. */
export type Bound = Readonly<Record<string, Value>>

/** Where a call comes from and goes to. */
export type CallContext = Pick<CellCall, 'parts' | 'session' | 'sessions' | 'user'>

/**
 * A call that is on its way through a method: who calls, with what, and the parts that answer. The readers check what came from outside.
 *
 * @throws RegistryError the readers: `REG_BAD_REQUEST`, in Telepath `BadArg`
 */
export class CellCall {
  readonly parts: CellParts
  readonly session: Session
  /** All that are open, in the order in which they were opened. */
  readonly sessions: Iterable<Session>
  /** Who calls, as it was when the call began. */
  readonly user: User
  readonly #bound: Bound
  readonly #call: Pick<Call, 'signal'>

  constructor(context: CallContext, call: Pick<Call, 'signal'>, bound: Bound) {
    this.parts = context.parts
    this.session = context.session
    this.sessions = context.sessions
    this.user = context.user
    this.#call = call
    this.#bound = bound
  }

  /** Who asks, for the change log: `telepath/visi/10.0.0.7`, on the UNIX socket `unix/root`. */
  get actor(): string {
    return actorOf(this.session.peer, this.user.name)
  }

  /** The name of who calls without its network: whom he would be at another service. */
  get userName(): string {
    return this.user.name.split('@', 1)[0] ?? ''
  }

  /** Aborts when the caller is gone, the server stops, or, for a stream, when its task is killed. */
  get signal(): AbortSignal {
    return this.#call.signal
  }

  value(name: string): Value {
    return this.#bound[name]
  }

  text(name: string): string {
    const value = this.#bound[name]
    if (typeof value !== 'string') throw badArg(name, 'must be a text')
    if (value.length > MAX_TEXT) throw badArg(name, `must not be longer than ${MAX_TEXT} characters`)
    return value
  }

  /** Undefined for nil. */
  optionalText(name: string): string | undefined {
    return isNil(this.#bound[name]) ? undefined : this.text(name)
  }

  texts(name: string): readonly string[] {
    const value = this.#bound[name]
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
      throw badArg(name, 'must be a list of texts')
    }
    return value
  }

  boolean(name: string): boolean {
    const value = this.#bound[name]
    if (typeof value !== 'boolean') throw badArg(name, 'must be true or false')
    return value
  }

  integer(name: string, min: number, max: number): number {
    const value = this.#bound[name]
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      throw badArg(name, `must be an integer from ${min} to ${max}`)
    }
    return value
  }

  /** Undefined for nil. */
  optionalInteger(name: string, min: number, max: number): number | undefined {
    return isNil(this.#bound[name]) ? undefined : this.integer(name, min, max)
  }

  /** What `read` makes of a value; undefined for nil. */
  optional<T>(name: string, read: (value: Value) => T): T | undefined {
    const value = this.#bound[name]
    return isNil(value) ? undefined : read(value)
  }

  /** A time limit in seconds as milliseconds; undefined for nil, which is none. */
  timeoutMs(name: string): number | undefined {
    const value = this.#bound[name]
    if (isNil(value)) return undefined
    if (typeof value !== 'number' || !(value >= 0 && value <= MAX_TIMEOUT_S)) {
      throw badArg(name, `must be a number of seconds from 0 to ${MAX_TIMEOUT_S}`)
    }
    return value * 1000
  }
}

export function actorOf({family, address}: Pick<Peer, 'family' | 'address'>, name: string): string {
  return actorText(family === 'unix' ? 'unix' : 'telepath', name, address)
}

function isNil(value: Value): value is null | undefined {
  return value === null || value === undefined
}

function badArg(name: string, how: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', `${name} ${how}`, {info: {name}})
}
