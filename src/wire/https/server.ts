/**
 * HTTPS by fastify, which no other file knows, and which is loaded when a server is opened and not before.
 *
 * What protects the server is here, before anything above is asked: TLS, limits of everything a client sends and holds, time limits,
 * headers that keep browsers from doing harm, errors as JSON. Users, permissions and paths are the affair of the routes.
 */
import type {Server} from 'node:https'
import type {AddressInfo, Socket} from 'node:net'
import type {TLSSocket, TlsOptions} from 'node:tls'
import type {FastifyError, FastifyInstance, FastifyReply, FastifyRequest} from 'fastify'
import {RegistryError, systemCode} from '../../base/errors.ts'
import {Connections} from './connections.ts'
import {NotJson, readBody} from './json-body.ts'
import {assertCheckable, problemWith} from './json-schema.ts'
import type {HttpsAnswer, HttpsLimits, HttpsObserver, HttpsRequest, HttpsRoute, WebsocketRoute} from './messages.ts'
import {connectionRefusal, errorAnswer, jsonText, rawAnswer, refusalOf} from './refusals.ts'
import {forwardedAddress, plainAddress} from './remote-address.ts'
import {OpenWebsocket} from './web-socket.ts'

/** How often requests that take too long are looked for, ms. */
const CHECK_MS = 1000
/** Longest element of a path that a route names; a longer one is refused. */
const MAX_PARAM = 128
/** Closes websockets when the server stops. */
const GOING_AWAY = 1001

/** What the server proves itself with. `attach` lets the keys be replaced while it runs; `ServerTls` of pki has both. */
export interface HttpsTls {
  readonly options: TlsOptions
  attach(server: Pick<Server, 'setSecureContext'>): Disposable
}

export interface HttpsServerOptions<Admitted> {
  /** Address to listen on. */
  readonly bind: string
  /** 0 takes a free one. */
  readonly port: number
  readonly tls: HttpsTls
  readonly limits: HttpsLimits
  /** `X-Real-IP` and `X-Forwarded-For` say where a client comes from. */
  readonly isBehindProxy: boolean
  /** Added to every answer, stronger than our own. */
  readonly headers: Readonly<Record<string, string>>
  readonly routes: readonly HttpsRoute<Admitted>[]
  readonly websockets: readonly WebsocketRoute<Admitted>[]
  readonly observer: HttpsObserver<Admitted>
  /** Makes the answer to what a route threw. */
  readonly describe: (error: unknown) => HttpsAnswer
}

export interface HttpsServer {
  /** Port that it listens on. */
  readonly port: number
  /** Connections that are open. */
  readonly connections: number
  /** Takes no more, lets what is under way end within `graceMs`, then cuts it. Idempotent. */
  stop(graceMs: number): Promise<void>
}

/**
 * Opens a server.
 *
 * @throws RegistryError `REG_LISTEN_FAILED` when the port is taken or the address is not one of this machine
 */
export async function openHttps<Admitted>(options: HttpsServerOptions<Admitted>): Promise<HttpsServer> {
  const app = await makeApp(options)
  const connections = new Connections(app.server, {
    limits: options.limits,
    isBehindProxy: options.isBehindProxy,
    onRefused: (address, why) => options.observer.onConnectionRefused(address, why),
  })
  await new Routing(app, options).install()
  try {
    await app.listen({host: options.bind, port: options.port})
  } catch (error) {
    await app.close()
    throw listenFailed(options, error)
  }
  return new RunningServer(app, connections, options.tls.attach(app.server))
}

type App = FastifyInstance<Server>

async function makeApp<Admitted>({tls, limits}: HttpsServerOptions<Admitted>): Promise<App> {
  const {default: fastify} = await import('fastify') // bundled, it has no other export
  const {default: websocket} = await import('@fastify/websocket')
  const app = fastify({
    https: {
      ...tls.options,
      maxHeaderSize: limits.headerBytes,
      handshakeTimeout: limits.handshakeMs,
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: CHECK_MS,
      keepAlive: true,
      noDelay: true,
    },
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    connectionTimeout: limits.stalledMs,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    routerOptions: {maxParamLength: MAX_PARAM},
    // Nothing of it is used, and loading it would cost 10 MB.
    schemaController: {compilersFactory: {buildValidator: () => unused, buildSerializer: () => unused}},
    clientErrorHandler: (error, socket) => answerRaw(error, socket),
    frameworkErrors: (error, _request, reply) => void send(reply, refusalOf(error)),
  })
  app.addHook('preClose', async () => {
    for (const client of app.websocketServer.clients) client.close(GOING_AWAY, 'the server is stopping')
  })
  await app.register(websocket, {options: {maxPayload: limits.bodyBytes, perMessageDeflate: false}})
  // Some endpoints of the peers take a body with GET.
  app.addHttpMethod('GET', {hasBody: true, overrideExisting: true})
  app.removeAllContentTypeParsers()
  // Clients of the peers send JSON as forms and as text. What is looked at at all is read as JSON, whatever it says that it is.
  app.addContentTypeParser('*', {parseAs: 'buffer'}, async (_request: FastifyRequest, bytes: Buffer) => bytes)
  app.addHook('preParsing', async ({raw}) => {
    if (raw.headers['content-type'] !== undefined) raw.headers['content-type'] = 'application/json'
  })
  return app as unknown as App
}

/** Of one request, from its headers on. */
interface Carried<Admitted> {
  readonly request: HttpsRequest
  admitted: Admitted | undefined
}

/** Puts the routes into fastify, and what every answer has in common around them. */
class Routing<Admitted> {
  readonly #app: App
  readonly #options: HttpsServerOptions<Admitted>
  readonly #headers: Readonly<Record<string, string>>
  readonly #carried = new WeakMap<FastifyRequest, Carried<Admitted>>()

  constructor(app: App, options: HttpsServerOptions<Admitted>) {
    this.#app = app
    this.#options = options
    this.#headers = {...COMMON_HEADERS, ...lowerCased(options.headers)}
  }

  async install(): Promise<void> {
    const app = this.#app
    const {routes, websockets, observer} = this.#options
    app.addHook('onRequest', async (request, reply) => {
      reply.headers(this.#headers)
      this.#carried.set(request, {request: this.#requestOf(request), admitted: undefined})
    })
    app.addHook('onResponse', async (request, reply) => {
      const carried = this.#carriedOf(request)
      observer.onAnswered(carried.request, reply.statusCode, reply.elapsedTime, carried.admitted)
    })
    app.setErrorHandler((error: FastifyError, _request, reply) => send(reply, this.#answerTo(error)))
    app.setNotFoundHandler((request, reply) => this.#answerUnknown(request, reply))
    for (const route of routes) this.#addRoute(route)
    for (const route of websockets) this.#addWebsocket(route)
    await app.ready()
  }

  #addRoute(route: HttpsRoute<Admitted>): void {
    if (route.body !== undefined) assertCheckable(route.body)
    this.#app.route({
      method: route.method,
      url: fastifyPath(route.path),
      onRequest: (request) => this.#admit(request, route),
      handler: async (request, reply) => {
        const carried = this.#carriedOf(request)
        const body = this.#bodyOf(request, route)
        // Admitted was set by onRequest, or this is not reached.
        return send(reply, await route.handle(carried.request, carried.admitted as Admitted, body))
      },
    })
  }

  #addWebsocket(route: WebsocketRoute<Admitted>): void {
    const {observer, limits} = this.#options
    this.#app.route({
      method: 'GET',
      url: fastifyPath(route.path),
      websocket: true,
      onRequest: (request) => this.#admit(request, route),
      handler: (socket, request) => {
        const carried = this.#carriedOf(request)
        observer.onAnswered(carried.request, 101, 0, carried.admitted)
        route.open(
          new OpenWebsocket(socket, limits.websocketBacklogBytes),
          carried.request,
          carried.admitted as Admitted,
        )
      },
    })
  }

  async #admit(request: FastifyRequest, route: Pick<HttpsRoute<Admitted>, 'admit'>): Promise<void> {
    const carried = this.#carriedOf(request)
    carried.admitted = await route.admit(carried.request)
  }

  /** Reads and checks the body, where the route wants one. */
  #bodyOf(request: FastifyRequest, route: HttpsRoute<Admitted>): unknown {
    if (route.body === undefined) return undefined
    const body = readBody(request.body, this.#options.limits)
    const problem = problemWith(route.body, body)
    if (problem !== undefined) throw route.refuseBody?.(problem) ?? new NotJson(problem.text)
    return body
  }

  #answerTo(error: FastifyError): HttpsAnswer {
    return error instanceof NotJson || error.code?.startsWith('FST_') ? refusalOf(error) : this.#options.describe(error)
  }

  #answerUnknown(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const {path} = this.#carriedOf(request).request
    const {routes, websockets} = this.#options
    const methods = [
      ...routes.filter((route) => fits(path, route.path)).map(({method}) => method),
      ...websockets.filter((route) => fits(path, route.path)).map(() => 'GET'),
    ]
    const allow = {allow: [...new Set(methods), 'OPTIONS'].sort().join(', ')}
    if (methods.length === 0) return send(reply, errorAnswer(404, 'NoSuchPath', `There is nothing at ${path}.`))
    if (request.method === 'OPTIONS') return reply.code(204).headers(allow).send()
    const refusal = errorAnswer(405, 'NoSuchMeth', `${path} cannot be asked by ${request.method}.`)
    return send(reply, {...refusal, headers: allow})
  }

  #carriedOf(request: FastifyRequest): Carried<Admitted> {
    // A request that never came to the hook (it was refused by the parser of fastify) is looked at for the first time here.
    return this.#carried.get(request) ?? {request: this.#requestOf(request), admitted: undefined}
  }

  #requestOf(request: FastifyRequest): HttpsRequest {
    const {headers, socket} = request
    const header = (name: string) => {
      const value = headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    }
    const socketAddress = socket.remoteAddress ?? ''
    const [path = ''] = request.url.split('?', 1)
    return {
      method: request.method,
      path,
      params: (request.params ?? {}) as Record<string, string>,
      query: (request.query ?? {}) as Record<string, unknown>,
      remoteAddress: this.#options.isBehindProxy
        ? forwardedAddress({socketAddress, forwardedFor: header('x-forwarded-for'), realIp: header('x-real-ip')})
        : plainAddress(socketAddress),
      socket: socket as TLSSocket,
      header,
    }
  }
}

class RunningServer implements HttpsServer {
  readonly port: number
  readonly #app: App
  readonly #connections: Connections
  readonly #attached: Disposable
  #stopping: Promise<void> | undefined

  constructor(app: App, connections: Connections, attached: Disposable) {
    this.#app = app
    this.#connections = connections
    this.#attached = attached
    this.port = (app.server.address() as AddressInfo).port
  }

  get connections(): number {
    return this.#connections.size
  }

  stop(graceMs: number): Promise<void> {
    this.#stopping ??= this.#stop(graceMs)
    return this.#stopping
  }

  async #stop(graceMs: number): Promise<void> {
    this.#attached[Symbol.dispose]()
    this.#connections.cutIdle()
    const cut = setTimeout(() => this.#connections.cutAll(), graceMs)
    try {
      await this.#app.close()
    } finally {
      clearTimeout(cut)
    }
  }
}

/**
 * No answer is a page: nothing in it may run, be framed, be kept by a cache, or be read by a page from elsewhere. HSTS is not among them: it
 * would speak for all ports of the host, and lock browsers out where the certificate is self-signed; `https:headers` can add it.
 */
const COMMON_HEADERS = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
} as const

function send(reply: FastifyReply, answer: HttpsAnswer): FastifyReply {
  const isText = answer.isText === true
  return reply
    .code(answer.status)
    .header('content-type', isText ? 'text/plain; charset=UTF-8' : 'application/json; charset=UTF-8')
    .headers(answer.headers ?? {})
    .send(isText ? String(answer.body) : jsonText(answer))
}

/** Answers what is not even a request. Where TLS failed, and where nobody listens any more, there is nothing to be said. */
function answerRaw({code = ''}: {readonly code?: string}, socket: Socket): void {
  const isHttp = code.startsWith('HPE_') || code.startsWith('ERR_HTTP_')
  if (isHttp && socket.writable) socket.end(rawAnswer(connectionRefusal(code), COMMON_HEADERS))
  else socket.destroy()
}

/** `/user/{iden}` as `/user/:iden`. */
function fastifyPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1')
}

function fits(path: string, pattern: string): boolean {
  const wanted = pattern.split('/')
  const given = path.split('/')
  return wanted.length === given.length && wanted.every((part, index) => part.startsWith('{') || part === given[index])
}

function unused(): never {
  throw new Error('schemas are checked elsewhere')
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function listenFailed({bind, port}: {readonly bind: string; readonly port: number}, cause: unknown): RegistryError {
  const why = systemCode(cause) ?? 'it cannot be opened'
  return new RegistryError('REG_LISTEN_FAILED', `no HTTPS on ${bind} port ${port}: ${why}`, {info: {bind, port}, cause})
}
