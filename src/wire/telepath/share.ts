/**
 * The port between the daemon, which knows links and sessions, and what it serves, which knows neither.
 *
 * The daemon greets: it hands a `Greeting` to the owner of the listener, who decides who the caller is and what he gets (`Opened`), or throws
 * a `RegistryError`, whose Telepath name and facts the peer gets. Each call on the session then goes to the `Share`.
 */
import type {Value} from '../msgpack/value.ts'

/** Who is at the other end of a link, as the transport knows it. */
export interface Peer {
  readonly family: 'tcp' | 'tls' | 'unix'
  /** IP address of the peer; on a UNIX socket, the path of the socket. */
  readonly address: string
  /** Null on a UNIX socket. */
  readonly port: number | null
  /** The client certificate that the TLS layer has verified; absent when none was asked for. */
  readonly certificate?: PeerCertificate
}

/** Of a verified client certificate. */
export interface PeerCertificate {
  /** Common name of the subject. */
  readonly name: string
  /** Common name of the issuer. */
  readonly issuer: string
  /** Lower-case hex without leading zeros. */
  readonly serial: string
  /** SHA-256 of the DER form, lower-case hex. */
  readonly fingerprint: string
}

/** A `tele:syn`. */
export interface Greeting {
  /** Name of the wanted share; `*` when the client gave none. */
  readonly name: string
  /** Elements of the path after the name. */
  readonly path: readonly string[]
  /** Login that the client gave. Not checked; to be ignored when the peer has a certificate. */
  readonly auth: {readonly user: string; readonly passwd: string | null} | undefined
  readonly peer: Peer
}

/** Answer to a greeting. */
export interface Opened {
  readonly share: Share
  /** Name to number; `features` of the reply. */
  readonly features?: Readonly<Record<string, number>>
  /** `ahainfo` of the reply; a daemon without cell sends none. */
  readonly ahaInfo?: {readonly name: string | null}
  /** The user of the session, for lists of sessions and to close all of a user. */
  readonly user?: {readonly iden: string; readonly name: string}
  /** Called once, when the session is over, however it ends. */
  readonly closed?: () => void
}

export type Greet = (greeting: Greeting, sessionId: string) => Opened | Promise<Opened>

/** What a peer learns about a share: `sharinfo`. */
export interface ShareInfo {
  /** Dotted class names, the most specific first. */
  readonly classes: readonly string[]
  /** Method name to whether it is a generator. */
  readonly methods: ReadonlyMap<string, {readonly isGenerator: boolean}>
}

/** An object that can be called. One instance may serve many sessions. */
export interface Share {
  readonly info: ShareInfo
  /**
   * Runs a method. Names that begin with `_` never come here. What it throws goes to the peer: a `RegistryError` with its name and facts,
   * anything else as a `SynErr` without details (the daemon logs it).
   */
  call(call: Call): Answer | Promise<Answer>
}

export interface Call {
  readonly method: string
  readonly args: readonly Value[]
  readonly kwargs: Readonly<Record<string, Value>>
  /** Aborts when the caller is gone or the server stops. Made when it is first asked for. */
  readonly signal: AbortSignal
  readonly peer: Peer
  readonly sessionId: string
}

/** How a call ends. A stream is read no faster than the peer takes it, and returned early (`return()`) when the peer leaves. */
export type Answer =
  | {readonly kind: 'value'; readonly value: Value}
  | {readonly kind: 'stream'; readonly items: AsyncIterable<Value>}
  | {readonly kind: 'share'; readonly share: Share; readonly closed?: () => void}
