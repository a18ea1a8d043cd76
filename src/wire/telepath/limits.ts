/**
 * What a Telepath listener takes from its peers, most of it before they have logged in. What is beyond a limit is refused, and the log says so
 * (`telepath.limit`), at most once a minute for each limit.
 */
export interface DaemonLimits {
  /** Most bytes of a message from a peer that has no session. The link is closed. */
  readonly greetingBytes: number
  /** Most bytes of any other message. The link is closed. */
  readonly messageBytes: number
  /** Most bytes of messages larger than `pipelinedBytes` that have not all come, of all links together. The link that goes beyond is closed. */
  readonly largeBytes: number
  /** Longest time from the connection to the first good message of a peer that has no session, TLS included. The link is closed. */
  readonly handshakeMs: number
  /** Most links, of all listeners together. Further ones are closed at once. */
  readonly links: number
  /** Most links from one address. Further ones are closed at once. */
  readonly linksPerAddress: number
  /** Most sessions from one address. Further ones are refused with `HitLimit`. */
  readonly sessionsPerAddress: number
  /** Most sessions opened on one link; stock clients open one. Further ones are refused with `HitLimit`. */
  readonly sessionsPerLink: number
  /** Most links that calls of one session come on. Calls on further ones are refused with `HitLimit`. */
  readonly linksPerSession: number
  /** Most dynamic shares of one session. Further ones are refused with `HitLimit`. */
  readonly sharesPerSession: number
  /** Most bytes of calls that wait on a link for the one before them. The link is not read any further until it is done. */
  readonly pipelinedBytes: number
}

/** Far above real traffic: a single item of a change log or an Axon can be tens of MiB, and a client opens a link for each call at a time. */
export const DAEMON_LIMITS: DaemonLimits = {
  greetingBytes: 64 * 1024,
  messageBytes: 64 * 1024 * 1024,
  largeBytes: 256 * 1024 * 1024,
  handshakeMs: 10_000,
  links: 20_000,
  linksPerAddress: 10_000,
  sessionsPerAddress: 5000,
  sessionsPerLink: 16,
  linksPerSession: 1024,
  sharesPerSession: 1024,
  pipelinedBytes: 64 * 1024,
}
