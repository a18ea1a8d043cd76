/** The calling side of Telepath, as the rest of the house sees it. `proxy.ts` is the one that speaks it on links. */
import type {Value} from '../msgpack/value.ts'
import type {ShareInfo} from './share.ts'

export interface CallOptions {
  /** Positional arguments; none by default. */
  readonly args?: readonly Value[]
  /** Named arguments; none by default. `undefined` members are left out. */
  readonly kwargs?: Readonly<Record<string, Value>>
  /** Aborts the call: its link is closed, so the peer stops as well. */
  readonly signal?: AbortSignal
  /** Longest time until the answer, or until the first item and between two items of a stream. 0 is no limit. The proxy's own limit by default. */
  readonly timeoutMs?: number
  /** Called when the call has been handed to its link: from here on nobody but the peer knows whether it is done. */
  readonly onSent?: () => void
}

/** An object of a peer. Made by `openTelepath`. */
export interface Callable {
  /** What the peer said of it. */
  readonly info: ShareInfo

  /**
   * Calls a method and gives its value.
   *
   * @throws RegistryError the peer's error (`telepath` is its name there, `info` its facts); `REG_LINK_CLOSED`, `REG_UNREACHABLE`,
   * `REG_TIMED_OUT`, `REG_BAD_ANSWER` when it answers with a stream or a share; the signal's reason when aborted.
   */
  call(method: string, options?: CallOptions): Promise<Value>

  /** Calls a generator. Leaving the loop ends it at the peer. A plain answer nil counts as an empty stream. Throws as `call`. */
  stream(method: string, options?: CallOptions): AsyncGenerator<Value, void>

  /** Calls a method that answers with a share of its own; dispose of it to end it at the peer. Throws as `call`. */
  share(method: string, options?: CallOptions): Promise<Callable & AsyncDisposable>
}

/** The object that a session was opened for. */
export interface TelepathProxy extends Callable, AsyncDisposable {
  /** Name to number. */
  readonly features: Readonly<Record<string, number>>
  /** Full name of the service in AHA; null when it has none, undefined when the peer does not say. */
  readonly ahaName: string | null | undefined
  /** `syn:version` of the peer. */
  readonly peerVersion: readonly number[]
  /** Resolves when the session is over: closed here, or the peer went (then with the reason). */
  readonly closed: Promise<Error | undefined>
  close(): Promise<void>
}
