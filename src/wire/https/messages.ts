/** What passes between the HTTPS server and those who answer: requests, answers, routes. Nothing here knows users or permissions. */
import type {TLSSocket} from 'node:tls'

/** A request whose headers were read; the body may still be under way. */
export interface HttpsRequest {
  readonly method: string
  /** Path without the query. */
  readonly path: string
  /** Elements of the path that the route names, decoded. */
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
  /** IP address of the client; behind a trusted proxy, the one that the proxy says. */
  readonly remoteAddress: string
  readonly socket: TLSSocket
  /** Gives a header by its name in lower case; of several with one name, what node:http makes of them. */
  header(name: string): string | undefined
}

export interface HttpsAnswer {
  readonly status: number
  /** Sent as JSON, or as it is when `isText`. */
  readonly body: unknown
  readonly isText?: true
  readonly headers?: Readonly<Record<string, string>>
}

/** JSON schema, as OpenAPI 3.1 has it; of a body, as much as `json-schema.ts` knows. */
export type JsonSchema = Readonly<Record<string, unknown>>

/**
 * One method of one path. `admit` runs when the headers are there and before any of the body is read; it throws to refuse. What it gives comes
 * to `handle`, and to the observer of answers.
 */
export interface HttpsRoute<Admitted> {
  readonly method: 'GET' | 'POST'
  /** `/api/v1/auth/user/{iden}`. */
  readonly path: string
  /** Nobody has to log in for it: bodies are smaller. */
  readonly isForStrangers?: boolean
  /** Checked before `handle`; without it a body is not looked at. */
  readonly body?: JsonSchema | undefined
  /** A request without a body is as good as one that fits. */
  readonly isBodyOptional?: boolean | undefined
  /** Makes the error of a body that does not fit the schema. */
  refuseBody?(problem: BodyProblem): Error
  admit(request: HttpsRequest): Admitted | Promise<Admitted>
  handle(request: HttpsRequest, admitted: Admitted, body: unknown): HttpsAnswer | Promise<HttpsAnswer>
}

/** Why a body does not fit. */
export interface BodyProblem {
  /** `body/user must be string` */
  readonly text: string
  /** Name of the member that is not there, when that is the reason. */
  readonly missing: string | undefined
}

/** A path where clients open a websocket. */
export interface WebsocketRoute<Admitted> {
  readonly path: string
  admit(request: HttpsRequest): Admitted | Promise<Admitted>
  /** The socket is open when this is called, and is closed by whoever likes to. */
  open(socket: HttpsWebsocket, request: HttpsRequest, admitted: Admitted): void
}

/** An open websocket. Text frames only; each holds one JSON text. */
export interface HttpsWebsocket {
  readonly isOpen: boolean
  /** Sends a value as JSON. A client that does not take what it is sent is cut off. */
  send(value: unknown): void
  /** Called for each message, with its text. */
  onMessage(listener: (text: string) => void): void
  /** Called once, when it is over, however it ends. */
  onClosed(listener: () => void): void
  /** 1008: it may not go on; 1000: all was said. */
  close(code: 1000 | 1008, reason: string): void
}

/** What the server tells of itself. */
export interface HttpsObserver<Admitted> {
  /** An answer was sent. `admitted` is undefined when the request was refused before or at its door. */
  onAnswered(request: HttpsRequest, status: number, elapsedMs: number, admitted: Admitted | undefined): void
  /** A connection was not taken: too many, or no TLS. Called for each; whoever logs it bounds that. */
  onConnectionRefused(address: string, why: string): void
}

/** The world may send up to these; beyond, it is refused or cut off. */
export interface HttpsLimits {
  /** Largest body, bytes. */
  readonly bodyBytes: number
  /** Largest body where nobody has to log in or nothing is, and largest frame of a websocket, bytes. */
  readonly strangerBytes: number
  /** Deepest nesting of a body. */
  readonly bodyDepth: number
  /** First line and headers together, bytes. */
  readonly headerBytes: number
  /** Longest time until the headers are there, TLS handshake not counted. */
  readonly headersMs: number
  /** Longest time until all of the request is there. */
  readonly requestMs: number
  readonly handshakeMs: number
  /** Longest time that a connection may be idle between two requests. */
  readonly idleMs: number
  /** Longest time without a byte either way while a request is under way. */
  readonly stalledMs: number
  /** Connections at one time. */
  readonly connections: number
  /** Of one IPv4 address or one IPv6 network of 64 bits. */
  readonly connectionsPerAddress: number
  /** Bytes that may wait for a client of a websocket. */
  readonly websocketBacklogBytes: number
}
