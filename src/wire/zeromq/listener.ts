/**
 * The narrow port between ZeroMQ and the rest: messages in with the connection they came from, frames out, closed. Nothing above this
 * room knows which implementation serves it.
 */
export interface Listener extends AsyncDisposable {
  /** The port that was bound (given 0, the one the system chose). */
  readonly port: number
  /** Messages that were not sent because their peer was gone or did not read. */
  readonly dropped: number
  /** Stops handing messages on, at once; what was handed on may still be answered. Idempotent. */
  pause(): void
  /**
   * Pauses, sends what was given to `send` before, and closes; resolves when the sockets are gone, at most half a second later even if
   * a peer does not read. Idempotent.
   */
  close(): Promise<void>
}

/**
 * One peer as far as the wire can tell. The same object for as long as the peer is remembered, so the owner may keep its own state on it.
 * `id` is chosen by the peer where it is a ZeroMQ routing id: fine in a log, never an identity.
 */
export interface Connection<State> {
  /** Printable: the routing id as text where it is printable ASCII, else `0x` and its hex digits. */
  readonly id: string
  /** Undefined until the owner sets it. */
  state: State | undefined
  /** Sends one message. Never throws and never waits: what a peer does not take in is dropped and counted. */
  send(frames: readonly Frame[]): void
}

/** Text is sent as UTF-8. A buffer must not be changed after it was handed over. */
export type Frame = string | Uint8Array

export interface ListenOptions<State> {
  /** `tcp://ADDRESS:PORT`; port 0 takes a free one. */
  readonly address: string
  readonly limits: ListenLimits
  /** Called for each message, in order, with at least one frame; must not throw. The frames are the callee's to keep. */
  readonly onMessage: (from: Connection<State>, frames: readonly Buffer[]) => void
  /** Called when a peer is over a limit; the message was not handed on and needs an answer that says so. */
  readonly onRefused: (from: Connection<State>, frames: readonly Buffer[], reason: 'rate') => void
  /** Called when the listener itself fails for good. */
  readonly onFailed: (error: Error) => void
}

export interface ListenLimits {
  /** Largest frame, bytes; a peer that sends a larger one is disconnected before it is read. */
  readonly messageBytes: number
  /** Messages per second and connection, averaged, with a burst of one second's worth; the excess goes to `onRefused`. */
  readonly messagesPerS: number
  /** Messages kept for a peer that does not read (and for us), per connection. */
  readonly hwm: number
  /** Time for the ZMTP handshake, ms. */
  readonly handshakeMs: number
  /** Connections remembered at the most; the longest silent are forgotten first. At least half as many are always remembered. */
  readonly connections: number
}

/** Publishes events to all subscribers. */
export interface Publisher extends AsyncDisposable {
  readonly port: number
  /** Events dropped because the publishing side itself was too far behind. */
  readonly dropped: number
  /** Publishes in order of the calls; never waits. Does nothing once `close` was called. */
  publish(topic: string, body: string): void
  /** Sends what was published, then closes; takes at most a second. Idempotent. */
  close(): Promise<void>
}

export interface PublishOptions {
  /** `tcp://ADDRESS:PORT`; port 0 takes a free one. */
  readonly address: string
  /** Events kept for a subscriber that does not read; it loses the ones beyond. */
  readonly hwm: number
  /** Time for the ZMTP handshake, ms. */
  readonly handshakeMs: number
  /** Called when nothing can be published any more. */
  readonly onFailed: (error: Error) => void
}
