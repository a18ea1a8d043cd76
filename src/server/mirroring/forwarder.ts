import {setTimeout as delay} from 'node:timers/promises'
import {type Clock, systemClock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import {decodeAnswer, encodeCall, type ForwardedAnswer, type ForwardedCall, type LogPoint} from './forwarded-call.ts'

/** Who leads, as far as the forwarder wants to know it. */
export interface RoleView {
  readonly role: {readonly kind: 'leads' | 'follows' | 'confirms' | 'closing' | 'fenced' | 'safe'}
  onChange(listener: () => void): void
}

/** The way to the leader. */
export interface Uplink {
  /** Gives a session with the leader; waits for one until the signal aborts. */
  leaderProxy(signal: AbortSignal): Promise<TelepathProxy>
  /** How long there was none; undefined while there is one. */
  readonly lostForMs: number | undefined
}

/** The log of this member, as its leader fills it. */
export interface OwnLog {
  /** Waits until the entry at `offset` is here: false when the signal aborts before. */
  written(offset: number, signal: AbortSignal): Promise<boolean>
  /** Epoch of the newest entry. */
  readonly epoch: number
  /** Gives the hash of an entry; undefined when it was trimmed away. */
  hashAt(offset: number): Promise<string | undefined>
}

export interface ForwarderPorts {
  readonly role: RoleView
  readonly uplink: Uplink
  readonly log: OwnLog
  readonly clock?: Pick<Clock, 'monotonicMs'>
}

/** What a caller may ask of the time that he waits. */
export interface ForwardOptions {
  /** Longest wait for a leader, ms; 30 s unless given, as the peer. */
  readonly waitMs?: number
  /** Ends the wait for a leader. What was sent is waited for. */
  readonly signal?: AbortSignal
}

const WAIT_MS = 30_000
/** Without a leader for so long, changes are refused at once, as at the peer. */
const LOST_MS = 60_000
/** Longest time from the answer of the leader until the log here has what it left. */
const RETURN_MS = 30_000
/** Pause before a leader is asked again who did not lead or was gone. */
const AGAIN_MS = 100
/** Calls under way, and their bytes; beyond, they are refused at once. */
const MAX_CALLS = 512
const MAX_BYTES = 64 * 1024 * 1024

/**
 * Has the leader do what alters the state of the cell, as a call for the user who asked, and gives its answer when the log of this member has what
 * the call left: who asked reads his own write here. Errors of the leader come as they were there.
 *
 * A call that was sent is never sent again, unless the one who was asked says that he does not lead and did nothing: when its link breaks nobody
 * knows whether it was done, and who asked is told so.
 */
export class Forwarder {
  readonly #ports: ForwarderPorts
  readonly #clock: Pick<Clock, 'monotonicMs'>
  #calls = 0
  #bytes = 0
  #isClosed = false
  /** Aborts at the next change of the role. */
  #turn = new AbortController()

  constructor(ports: ForwarderPorts) {
    this.#ports = ports
    this.#clock = ports.clock ?? systemClock
    ports.role.onChange(() => this.#wake())
  }

  /** Refuses all calls that are not sent yet: the server stops. */
  close(): void {
    this.#isClosed = true
    this.#wake()
  }

  /** True while this member does not lead, or not yet, or not for much longer: changes go to the leader. A fenced one has none and refuses them. */
  get isNeeded(): boolean {
    const {kind} = this.#ports.role.role
    return kind === 'follows' || kind === 'closing' || kind === 'confirms'
  }

  /**
   * Has a call done: by the leader, or by `here` when this is the leader by then.
   *
   * @throws RegistryError that of the leader; `REG_UNREACHABLE` without a leader in time; `REG_NOT_LEADER` when there was none for long;
   * `REG_NOT_CONFIRMED` when it is not known what became of it; `REG_BUSY`; `REG_BAD_REQUEST` when it is too large
   */
  async run<T>(call: ForwardedCall, here: () => Promise<T>, options: ForwardOptions = {}): Promise<T | Value> {
    const bytes = encodeCall(call)
    this.#admit(bytes.length)
    try {
      return await this.#run(bytes, here, options)
    } finally {
      this.#calls -= 1
      this.#bytes -= bytes.length
    }
  }

  /** Gives a session with the leader, for what is no single call; undefined when this is the leader by then. Throws as `run`. */
  async leader({waitMs = WAIT_MS, signal}: ForwardOptions = {}): Promise<TelepathProxy | undefined> {
    const untilMs = this.#clock.monotonicMs() + waitMs
    while (this.isNeeded) {
      const proxy = await this.#proxy(untilMs, signal)
      if (proxy !== undefined) return proxy
    }
    return undefined
  }

  async #run<T>(bytes: Buffer, here: () => Promise<T>, {waitMs = WAIT_MS, signal}: ForwardOptions): Promise<T | Value> {
    const untilMs = this.#clock.monotonicMs() + waitMs
    while (true) {
      const proxy = await this.leader({waitMs: untilMs - this.#clock.monotonicMs(), ...(signal && {signal})})
      if (proxy === undefined) return await here()
      const answer = await send(proxy, bytes)
      if (answer.kind === 'done') return await this.#returned(answer.at, answer.result)
      if (answer.kind === 'failed') throw await this.#returned(answer.at, answer.error).catch(() => answer.error)
      await this.#pause(untilMs, signal)
    }
  }

  /** Lets who waits look again. */
  #wake(): void {
    const turn = this.#turn
    this.#turn = new AbortController()
    turn.abort()
  }

  #admit(bytes: number): void {
    if (this.#calls >= MAX_CALLS || this.#bytes + bytes > MAX_BYTES) {
      throw new RegistryError('REG_BUSY', 'too many changes wait for the leader, ask again')
    }
    this.#calls += 1
    this.#bytes += bytes
  }

  /** Undefined when the role has changed meanwhile, or the leader could not be reached and is to be looked for again. */
  async #proxy(untilMs: number, signal: AbortSignal | undefined): Promise<TelepathProxy | undefined> {
    signal?.throwIfAborted()
    if (this.#isClosed) throw new RegistryError('REG_READ_ONLY', 'the registry is stopping')
    const {role, uplink} = this.#ports
    const leftMs = untilMs - this.#clock.monotonicMs()
    if (leftMs <= 0) throw unreached()
    if (role.role.kind !== 'follows') {
      await this.#pause(untilMs, signal, leftMs)
      return undefined
    }
    if ((uplink.lostForMs ?? 0) >= LOST_MS) throw lost()
    const turn = this.#turn.signal
    const ends = [turn, AbortSignal.timeout(Math.ceil(leftMs)), ...(signal === undefined ? [] : [signal])]
    try {
      return await uplink.leaderProxy(AbortSignal.any(ends))
    } catch {
      // Why there is no link is told by the one who keeps it; here it only counts how long.
      if (!turn.aborted) await this.#pause(untilMs, signal)
      return undefined
    }
  }

  /** Waits a little, no longer than until the role changes. */
  async #pause(untilMs: number, signal: AbortSignal | undefined, mostMs = AGAIN_MS): Promise<void> {
    const ms = Math.max(0, Math.min(mostMs, untilMs - this.#clock.monotonicMs()))
    const ends = AbortSignal.any([this.#turn.signal, ...(signal === undefined ? [] : [signal])])
    await delay(ms, undefined, {signal: ends, ref: false}).catch(() => undefined)
  }

  /** Gives the result when the log of this member has come to where the leader's was. */
  async #returned<R>({nextOffset, epoch, lastHash}: LogPoint, result: R): Promise<R> {
    if (nextOffset === 0) return result
    const {log} = this.#ports
    const offset = nextOffset - 1
    if (!(await log.written(offset, AbortSignal.timeout(RETURN_MS))))
      throw notConfirmed('it has not come back here yet')
    if (log.epoch === epoch) return result
    // Another member leads by now, and may not have had the entry.
    const hash = await log.hashAt(offset)
    if (hash !== undefined && hash !== lastHash)
      throw notConfirmed('the lead has moved, and the new leader did not have it')
    return result
  }
}

async function send(proxy: TelepathProxy, bytes: Buffer): Promise<ForwardedAnswer> {
  let isSent = false
  const onSent = (): void => {
    isSent = true
  }
  try {
    // Some take minutes. Who follows the leader closes the session when that one is silent.
    return decodeAnswer(await proxy.call('forward', {args: [bytes], timeoutMs: 0, onSent}))
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    // It is an answer of the leader: he refuses the call as such.
    if ('errname' in error.info) throw error
    if (!isSent) return {kind: 'not-leader'}
    throw notConfirmed(`the link to the leader failed: ${error.message}`, error)
  }
}

function unreached(): RegistryError {
  return new RegistryError('REG_UNREACHABLE', 'Mirror cannot reach leader for write request', {
    hints: ['registry status', 'ask the leader', 'registry promote, when it does not come back'],
  })
}

function lost(): RegistryError {
  const text = `this mirror has no link to a leader since more than ${LOST_MS / 1000} s, and takes no changes without one`
  return new RegistryError('REG_NOT_LEADER', text, {
    hints: ['registry status', 'registry promote, when the leader does not come back'],
  })
}

function notConfirmed(why: string, cause?: RegistryError): RegistryError {
  return new RegistryError('REG_NOT_CONFIRMED', `the change was handed to the leader, and is not confirmed: ${why}`, {
    hints: ['look whether it was made', 'ask again'],
    cause,
  })
}
