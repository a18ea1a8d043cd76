import {RegistryError} from '../base/errors.ts'
import type {AhaEntry} from '../registry/aha-entry.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {TelepathProxy} from '../wire/telepath/caller.ts'
import {retnOfError} from '../wire/telepath/errors.ts'
import type {AhaServices} from './aha-services.ts'
import {type OpenPeer, PeerSessions} from './peer-sessions.ts'

export interface AhaPeersPorts {
  readonly services: Pick<AhaServices, 'byIden'>
  readonly open: OpenPeer
}

/** A call that all services of an iden get. */
export interface PeerCall {
  /** Of the cell, which a leader and its mirrors share. */
  readonly iden: string
  readonly method: string
  readonly args: readonly Value[]
  readonly kwargs: Readonly<Record<string, Value>>
  /** Longest time to connect, for the answer, and between two items; undefined for none but the one to connect. */
  readonly timeoutMs: number | undefined
  /** A start of a cell that is left out: that of who asks. */
  readonly skipRun: string | undefined
  /** Whether the method is a generator. */
  readonly isStream: boolean
}

/** Services that are called at the same time; others wait. */
const AT_ONCE = 16
const MAX_CONNECT_MS = 10_000

/** Calls services on behalf of others, as `root` of their network: one call for a leader and its mirrors. */
export class AhaPeers implements AsyncDisposable {
  readonly #services: AhaPeersPorts['services']
  readonly #sessions: PeerSessions

  constructor({services, open}: AhaPeersPorts) {
    this.#services = services
    this.#sessions = new PeerSessions(open)
  }

  /**
   * Calls every service of an iden that is online, and gives `[full name, [true, value]]` for each value, in the order in which they come, or
   * `[full name, [false, {err, errmsg, errinfo}]]` where it failed. What fails at one keeps nothing from the others.
   */
  async *call(call: PeerCall, signal: AbortSignal): AsyncGenerator<Value, void> {
    const leaving = new AbortController()
    const end = AbortSignal.any([signal, leaving.signal])
    const entries = this.#services.byIden(call.iden, true, call.skipRun)
    try {
      yield* merged(
        entries.values().map((entry) => this.#answers(entry, call, end)),
        AT_ONCE,
      )
    } finally {
      leaving.abort(new RegistryError('REG_CANCELLED', 'nobody waits for the answer'))
    }
  }

  /** Ends the sessions with all services. */
  close(): Promise<void> {
    return this.#sessions.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async *#answers(entry: AhaEntry, call: PeerCall, signal: AbortSignal): AsyncGenerator<Value, void> {
    const {full} = entry
    const connectMs = Math.min(call.timeoutMs ?? MAX_CONNECT_MS, MAX_CONNECT_MS)
    try {
      const values = this.#sessions.use(entry, connectMs, (proxy) => valuesOf(proxy, call, signal))
      for await (const value of values) yield [full, [true, value]]
    } catch (error) {
      if (!signal.aborted) yield [full, [false, failure(error)]]
    }
  }
}

async function* valuesOf(proxy: TelepathProxy, call: PeerCall, signal: AbortSignal): AsyncGenerator<Value, void> {
  const {method, args, kwargs, isStream, timeoutMs = 0} = call
  const isGenerator = proxy.info.methods.get(method)?.isGenerator
  if (isGenerator !== undefined && isGenerator !== isStream) {
    const instead = isGenerator ? 'is a generator: call it with callAhaPeerGenr' : 'is no generator: use callAhaPeerApi'
    throw new RegistryError('REG_BAD_REQUEST', `${method} ${instead}`, {telepath: 'TypeError'})
  }
  const options = {args, kwargs, timeoutMs, signal}
  if (isStream) yield* proxy.stream(method, options)
  else yield await proxy.call(method, options)
}

/** A failure in the peer's form. Where in which source it was, nobody here knows. */
function failure(error: unknown): Value {
  const retn = retnOfError(error)
  if (retn[0]) return {}
  const [name, info] = retn[1]
  const {mesg = ''} = info
  // The time is Python's, not that of the service.
  const isLate = error instanceof RegistryError && error.code === 'REG_TIMED_OUT' && error.info['errname'] === undefined
  return {err: isLate ? 'TimeoutError' : name, errmsg: mesg, errinfo: info}
}

interface Step<T> {
  readonly source: AsyncGenerator<T>
  readonly result: IteratorResult<T>
}

/** Gives the items of many generators as they come, of so many at a time. None runs ahead of who takes the items by more than one. */
async function* merged<T>(sources: Iterator<AsyncGenerator<T>>, atOnce: number): AsyncGenerator<T, void> {
  const running = new Map<AsyncGenerator<T>, Promise<Step<T>>>()
  const advance = (source: AsyncGenerator<T>): void => {
    running.delete(source) // so that its turn comes after that of the others
    running.set(
      source,
      source.next().then((result) => ({source, result})),
    )
  }
  const fill = (): void => {
    while (running.size < atOnce) {
      const {value, done} = sources.next()
      if (done) return
      advance(value)
    }
  }
  try {
    for (fill(); running.size > 0; fill()) {
      const {source, result} = await Promise.race(running.values())
      if (result.done) {
        running.delete(source)
      } else {
        advance(source)
        yield result.value
      }
    }
  } finally {
    for (const source of running.keys()) void source.return(undefined)
  }
}
