import {once} from 'node:events'
import {mkdtemp, rm} from 'node:fs/promises'
import type {IncomingHttpHeaders, IncomingMessage} from 'node:http'
import {request} from 'node:https'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {type ConnectionOptions, connect, type TLSSocket} from 'node:tls'
import {NO_POLICY, type PasswordPolicy} from '../../src/auth/policy.ts'
import {type Clock, systemClock} from '../../src/base/clock.ts'
import {createLog} from '../../src/base/log.ts'
import {Secret} from '../../src/base/secret.ts'
import type {HealthReport} from '../../src/cell/health.ts'
import {Passwords} from '../../src/cell/passwords.ts'
import {openUserBook, type UserBook} from '../../src/cell/user-book.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import type {AhaParts} from '../../src/server/aha-parts.ts'
import {type HttpsListener, type HttpsPorts, type HttpsSettings, startHttps} from '../../src/server/https.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import {openAhaParts} from './aha.ts'

const CELL_IDEN = 'c0ffee00c0ffee00c0ffee00c0ffee00'
export const ACTOR = 'test'

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** A text is sent as it is, anything else as JSON. */
  readonly body?: unknown
  readonly tls?: ConnectionOptions
}

export interface Got {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body, where it is JSON. */
  readonly json: unknown
}

export interface TestHttpsOptions {
  readonly ports?: Partial<HttpsPorts>
  readonly settings?: Partial<HttpsSettings>
  readonly policy?: PasswordPolicy
  readonly clock?: Clock
  /** Data directory; one of its own that is removed at the end unless given. */
  readonly dir?: string
}

/** The real listener on real users in memory, root's password being `root`, and what it logs. */
export class TestHttps {
  readonly users: UserBook
  readonly changeLog: ChangeLog
  readonly store: MemoryStore
  readonly aha: AhaParts
  readonly listener: HttpsListener
  readonly logged: string[]
  readonly dir: string
  readonly #ownDir: string | undefined

  private constructor(
    users: UserBook,
    changeLog: ChangeLog,
    store: MemoryStore,
    aha: AhaParts,
    listener: HttpsListener,
    logged: string[],
    dir: string,
    ownDir: string | undefined,
  ) {
    this.users = users
    this.changeLog = changeLog
    this.store = store
    this.aha = aha
    this.listener = listener
    this.logged = logged
    this.dir = dir
    this.#ownDir = ownDir
  }

  static async start(options: TestHttpsOptions = {}): Promise<TestHttps> {
    const {clock = systemClock, policy = NO_POLICY} = options
    const ownDir = options.dir === undefined ? await mkdtemp(join(tmpdir(), 'https-')) : undefined
    const dir = options.dir ?? ownDir ?? ''
    const store = new MemoryStore()
    await store.open()
    const changeLog = new ChangeLog(store, COMMIT_LIMITS)
    const logged: string[] = []
    const log = createLog({level: 'debug', structured: true, clock, write: (line) => logged.push(line)})
    const passwords = new Passwords({iterations: 1})
    const users = await openUserBook(
      {store, changeLog, log, clock, passwords},
      {cellIden: CELL_IDEN, policy, maxUsers: 0, rootPasswd: new Secret('root')},
    )
    const health = async (): Promise<HealthReport> => ({iden: CELL_IDEN, components: [], status: 'nominal'})
    const aha = await openAhaParts({store, changeLog, clock, users, log})
    const listener = await startHttps(
      {users, log, clock, health, isActive: () => true, assertCurrent: () => undefined, aha, ...options.ports},
      {dir, bind: '127.0.0.1', port: 0, headers: {}, isBehindProxy: false, ...options.settings},
    )
    return new TestHttps(users, changeLog, store, aha, listener, logged, dir, ownDir)
  }

  get port(): number {
    return this.listener.port
  }

  /** Sends a request on a connection of its own. */
  ask(path: string, asked: Asked = {}): Promise<Got> {
    return ask(this.port, path, asked)
  }

  /** Sends a request as root. */
  asRoot(path: string, asked: Asked = {}): Promise<Got> {
    return this.ask(path, {...asked, headers: {...basic('root', 'root'), ...asked.headers}})
  }

  /** Opens a TLS connection. */
  connect(options: ConnectionOptions = {}): Promise<TLSSocket> {
    return connectTo(this.port, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.listener.stop()
    if (this.#ownDir !== undefined) await rm(this.#ownDir, {recursive: true})
  }
}

export function basic(name: string, passwd: string): Record<string, string> {
  return {authorization: `Basic ${Buffer.from(`${name}:${passwd}`).toString('base64')}`}
}

/** Gives the token of a session cookie that an answer sets. */
export function sessionOf(got: Got): string {
  return /sess=([^;]+)/.exec(got.headers['set-cookie']?.[0] ?? '')?.[1] ?? ''
}

export async function ask(port: number, path: string, {method, headers, body, tls}: Asked): Promise<Got> {
  const bytes = Buffer.from(body === undefined || typeof body === 'string' ? (body ?? '') : JSON.stringify(body))
  // Node does not say by itself how long the body of a GET is.
  const ofBody = body === undefined ? {} : {'content-type': 'application/json', 'content-length': String(bytes.length)}
  const sent = request({
    ...tls,
    host: '127.0.0.1',
    port,
    path,
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {...ofBody, ...headers},
    rejectUnauthorized: false,
    agent: false,
  })
  sent.end(bytes)
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString('utf8')
  const isJson = text !== '' && answer.headers['content-type']?.startsWith('application/json') === true
  return {status: answer.statusCode ?? 0, headers: answer.headers, text, json: isJson ? JSON.parse(text) : undefined}
}

export async function connectTo(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({host: '127.0.0.1', port, rejectUnauthorized: false, ...options})
  await once(socket, 'secureConnect')
  return socket
}

/** Gives all that a connection receives until it ends, however it ends. */
export async function received(socket: TLSSocket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.on('error', () => undefined)
  if (!socket.closed) await once(socket, 'close')
  return Buffer.concat(chunks).toString('utf8')
}
