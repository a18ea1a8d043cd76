// One process of services that register at an AHA, and of the administrator who lets them in: raw clients, as cheap as they can be. First line
// in: an `AhaTarget`; each further line is an `AhaPhase`, answered by its result.
import {once} from 'node:events'
import type {Socket} from 'node:net'
import {createInterface} from 'node:readline'
import {setTimeout as delay} from 'node:timers/promises'
import {makeCsr} from '../src/pki/csr.ts'
import {newPrivateKey} from '../src/pki/keys.ts'
import type {Value} from '../src/wire/msgpack/value.ts'
import {type AhaPhase, type AhaTarget, infoOf, nameOf, registration} from './aha-load.ts'
import type {Todo} from './telepath-load.ts'
import {NETWORK} from './telepath-names.ts'
import {called, connected, contextOf, greeted} from './telepath-session.ts'

const FILL_LINKS = 16
/** As long as real services wait before they try again. */
const RETRY_MS = 200

const lines = createInterface(process.stdin)[Symbol.asyncIterator]()
const target: AhaTarget = JSON.parse((await lines.next()).value ?? '')
const context = contextOf(target)

interface Client {
  readonly socket: Socket
  readonly sess: string
}

/** Session of what stays registered. */
let keeper: Client | undefined
let lastVisible = 0
let requests: readonly {readonly name: string; readonly host: Buffer; readonly user: Buffer}[] = []
/** For each session, how often it has come back. */
let returns: number[] = []
let lastReturnMs = 0

function run(phase: AhaPhase): Promise<unknown> {
  switch (phase.kind) {
    case 'fill':
      return fill(phase.from, phase.to)
    case 'visible':
      return visible(phase.count)
    case 'requests':
      return makeRequests(phase.count)
    case 'provision':
      return provisionAll(phase.atOnce)
    case 'sessions':
      return openSessions(phase.sessions, phase.linksEach)
    case 'back':
      return allBack(phase.times)
  }
}

async function open(): Promise<Client> {
  const socket = await connected(target, context)
  return {socket, sess: await greeted(socket, {})}
}

function call({socket, sess}: Client, todo: Todo): Promise<Value> {
  return called(socket, sess, todo)
}

async function fill(from: number, to: number): Promise<{filled: number}> {
  // The server has been started again since.
  if (keeper === undefined || keeper.socket.destroyed) keeper = await open()
  keeper.socket.resume().on('error', () => {})
  const {sess} = keeper
  let next = from
  const one = async () => {
    const link = {socket: await connected(target, context), sess}
    while (next < to) {
      const index = next++
      await call(link, registration(nameOf(index), index))
    }
    link.socket.destroy()
  }
  await Promise.all(Array.from({length: FILL_LINKS}, one))
  return {filled: to - from}
}

async function visible(count: number): Promise<readonly number[]> {
  const [service, looker] = [await open(), await open()]
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const index = 1_000_000 + lastVisible++
    const todo: Todo = ['getAhaSvc', [`${nameOf(index)}.${NETWORK}`], {}]
    const startMs = performance.now()
    const added = call(service, registration(nameOf(index), index))
    while ((await call(looker, todo)) === null) {
      // asks again at once
    }
    times.push(performance.now() - startMs)
    await added
    await call(service, ['delAhaSvc', [nameOf(index)], {network: NETWORK}])
  }
  service.socket.destroy()
  looker.socket.destroy()
  return times
}

async function makeRequests(count: number): Promise<{made: number}> {
  const key = await newPrivateKey('rsa2048')
  const request = async (name: string) => Buffer.from(await makeCsr(name, key, {isCa: false, alternativeNames: []}))
  const user = await request(`root@${NETWORK}`)
  const names = Array.from({length: count}, (_, index) => nameOf(index))
  requests = await Promise.all(names.map(async (name) => ({name, user, host: await request(`${name}.${NETWORK}`)})))
  return {made: count}
}

async function provisionAll(atOnce: number): Promise<number> {
  const left = [...requests]
  const startMs = performance.now()
  const one = async () => {
    const admin = await open()
    for (let next = left.pop(); next !== undefined; next = left.pop()) await provision(admin, next)
    admin.socket.destroy()
  }
  await Promise.all(Array.from({length: atOnce}, one))
  return requests.length / ((performance.now() - startMs) / 1000)
}

async function provision(admin: Client, {name, host, user}: (typeof requests)[number]): Promise<void> {
  const url = new URL(String(await call(admin, ['addAhaSvcProv', [name], {}])))
  const socket = await connected({...target, port: Number(url.port)}, context)
  const service = {socket, sess: await greeted(socket, {name: url.pathname.slice(1)})}
  await call(service, ['getProvInfo', [], {}])
  await call(service, ['getCaCert', [], {}])
  for (const [method, csr] of [
    ['signHostCsr', host],
    ['signUserCsr', user],
  ] as const) {
    const pem = await call(service, [method, [csr], {}])
    if (!Buffer.from(pem as Uint8Array).includes('BEGIN CERTIFICATE')) throw new Error(`${method} gave no certificate`)
  }
  socket.destroy()
}

async function openSessions(sessions: number, linksEach: number): Promise<{open: number}> {
  returns = Array(sessions).fill(-1)
  for (let index = 0; index < sessions; index++) void live(index, linksEach)
  await allBack(0)
  return {open: sessions}
}

/** Registers, keeps the links open, and begins again when the first of them is cut. */
async function live(index: number, linksEach: number): Promise<never> {
  for (;;) {
    const links: Socket[] = []
    try {
      const client = await open()
      links.push(client.socket)
      while (links.length < linksEach) links.push(await connected(target, context))
      await call({socket: links.at(-1) ?? client.socket, sess: client.sess}, registration(nameOf(index), index))
      returns[index] = (returns[index] ?? 0) + 1
      lastReturnMs = Date.now()
      await once(client.socket.resume(), 'close')
    } catch {
      await delay(RETRY_MS) // the server is away
    }
    for (const link of links) link.on('error', () => {}).destroy()
  }
}

async function allBack(times: number): Promise<number> {
  while (returns.some((one) => one < times)) await delay(10)
  return lastReturnMs
}

process.on('unhandledRejection', (error) => {
  console.error(error)
  process.exit(1)
})
console.log(JSON.stringify({ready: true, like: infoOf(0)}))
for await (const line of {[Symbol.asyncIterator]: () => lines}) {
  console.log(JSON.stringify((await run(JSON.parse(line))) ?? null))
}
process.exit()
