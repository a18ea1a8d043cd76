/**
 * HTTPS by fastify, which this file sets up and `routing.ts` puts routes into; no other knows it. It is loaded when a server is opened.
 *
 * What protects the server is here, before anything above is asked: TLS, limits of everything a client sends and holds, time limits,
 * headers that keep browsers from doing harm, errors as JSON. Users, permissions and paths are the affair of the routes.
 */
import type {Server} from 'node:https'
import type {AddressInfo, Socket} from 'node:net'
import type {TlsOptions} from 'node:tls'
import type {FastifyRequest} from 'fastify'
import {RegistryError, systemCode} from '../../base/errors.ts'
import {listenReason} from '../../base/listen-reason.ts'
import {Connections} from './connections.ts'
import {connectionRefusal, rawAnswer, refusalOf} from './refusals.ts'
import {type App, COMMON_HEADERS, type RouteOptions, Routing, send} from './routing.ts'

/** How often requests that take too long are looked for, ms. */
const CHECK_MS = 1000
/** Longest element of a path that a route names; a longer one is refused. */
const MAX_PARAM = 128
/** Closes websockets when the server stops. */
const GOING_AWAY = 1001

/** What the server proves itself with. `attach` lets the keys be replaced while it runs; `ServerTls` of pki has both. */
interface HttpsTls {
  readonly options: TlsOptions
  attach(server: Pick<Server, 'setSecureContext'>): Disposable
}

export interface HttpsServerOptions<Admitted> extends RouteOptions<Admitted> {
  /** Address to listen on. */
  readonly bind: string
  /** 0 takes a free one. */
  readonly port: number
  readonly tls: HttpsTls
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
    bodyLimit: limits.strangerBytes,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    connectionTimeout: limits.stalledMs,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    routerOptions: {maxParamLength: MAX_PARAM},
    // Nothing of it is used, and loading it would cost 10 MB.
    schemaController: {compilersFactory: {buildValidator: () => unused, buildSerializer: () => unused}},
    clientErrorHandler: (error, socket) => answerRaw(error, socket),
    frameworkErrors: (error, _request, reply) => void send(reply.headers(COMMON_HEADERS), refusalOf(error)),
    return503OnClosing: false,
  })
  app.addHook('preClose', async () => {
    for (const client of app.websocketServer.clients) client.close(GOING_AWAY, 'the server is stopping')
  })
  await app.register(websocket, {options: {maxPayload: limits.strangerBytes, perMessageDeflate: false}})
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

/** Answers what is not even a request. Where TLS failed, and where nobody listens any more, there is nothing to be said. */
function answerRaw({code = ''}: {readonly code?: string}, socket: Socket): void {
  const isHttp = code.startsWith('HPE_') || code.startsWith('ERR_HTTP_')
  if (isHttp && socket.writable) socket.end(rawAnswer(connectionRefusal(code), COMMON_HEADERS))
  else socket.destroy()
}

function unused(): never {
  throw new Error('schemas are checked elsewhere')
}

function listenFailed({bind, port}: {readonly bind: string; readonly port: number}, cause: unknown): RegistryError {
  const text = `cannot listen on https://${bind.includes(':') ? `[${bind}]` : bind}:${port}: ${listenReason(cause)}`
  return new RegistryError('REG_LISTEN_FAILED', text, {info: {bind, port, cause: systemCode(cause)}, cause})
}
