import type {Server} from 'node:https'
import type {TLSSocket} from 'node:tls'
import type {FastifyError, FastifyInstance, FastifyReply, FastifyRequest} from 'fastify'
import {NotJson, readBody} from './json-body.ts'
import {assertCheckable, problemWith} from './json-schema.ts'
import type {HttpsAnswer, HttpsLimits, HttpsObserver, HttpsRequest, HttpsRoute, WebsocketRoute} from './messages.ts'
import {errorAnswer, jsonText, refusalOf} from './refusals.ts'
import {forwardedAddress, plainAddress} from './remote-address.ts'
import {OpenWebsocket} from './web-socket.ts'

export type App = FastifyInstance<Server>

export interface RouteOptions<Admitted> {
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

/** Of one request, from its headers on. */
interface Carried<Admitted> {
  readonly request: HttpsRequest
  admitted: Admitted | undefined
}

/** Puts the routes into fastify, and what every answer has in common around them. */
export class Routing<Admitted> {
  readonly #app: App
  readonly #options: RouteOptions<Admitted>
  readonly #headers: Readonly<Record<string, string>>
  readonly #carried = new WeakMap<FastifyRequest, Carried<Admitted>>()

  constructor(app: App, options: RouteOptions<Admitted>) {
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
      ...(route.isForStrangers ? {} : {bodyLimit: this.#options.limits.bodyBytes}),
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
    if (route.isBodyOptional && !hasBody(request.body)) return undefined
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

/**
 * No answer is a page: nothing in it may run, be framed, be kept by a cache, or be read by a page from elsewhere. HSTS is not among them: it
 * would speak for all ports of the host, and lock browsers out where the certificate is self-signed; `https:headers` can add it.
 */
export const COMMON_HEADERS = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
} as const

/** Sends an answer, as JSON unless it is text. */
export function send(reply: FastifyReply, answer: HttpsAnswer): FastifyReply {
  const isText = answer.isText === true
  return reply
    .code(answer.status)
    .header('content-type', isText ? 'text/plain; charset=UTF-8' : 'application/json; charset=UTF-8')
    .headers(answer.headers ?? {})
    .send(isText ? String(answer.body) : jsonText(answer))
}

function hasBody(bytes: unknown): boolean {
  return Buffer.isBuffer(bytes) && bytes.length > 0
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

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
