// What the real client 2.256.0 and a real server said to each other, with our client in place of the first and the recording in place of the
// second: what we send must be the same bytes, and what we make of the answers what they say.
import {readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {decode} from '../../../src/wire/msgpack/decode.ts'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import type {Callable, CallOptions, TelepathProxy} from '../../../src/wire/telepath/caller.ts'
import {openProxy} from '../../../src/wire/telepath/proxy.ts'
import {type PeerLink, partsOf, TelepathPeer} from '../../support/telepath-peer.ts'

interface Row {
  readonly case: string
  readonly conn: number
  readonly dir: 'c2s' | 's2c'
  readonly hex: string
  readonly event?: string
}

/** What a client sent, and what the server sent upon it. */
interface Exchange {
  readonly request: Buffer
  readonly replies: Buffer[]
  /** The server closed behind the last reply. */
  isClosed: boolean
}

const ROWS = readFileSync(new URL('../../vectors/telepath.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Row)

/** Sent by hand, as no client does. */
const BY_HAND =
  /^(garbage|oversize|junk|framing|v1|hs-(badvers-client|minor|novers|twice)|t2-(init|pipelined)|session-lifetime|call-err-unsafe)/
/** The connection came to nothing before a message was sent, or answered. */
const WITHOUT_ANSWER =
  /^(hs-notready|server-closes|tls-(no-client-cert|passwd-no-cert|rogue-client-ca|certhash-no-usercert|tcp-client))$/
const CASES = [...new Set(ROWS.map((row) => row.case))].filter(
  (name) => !BY_HAND.test(name) && !WITHOUT_ANSWER.test(name),
)

test('most of the recording is replayed', () => expect(CASES.length).toBeGreaterThan(60))

test.each(CASES)('%s', async (name) => {
  const exchanges = exchangesOf(ROWS.filter((row) => row.case === name))
  const open = [...exchanges]
  const unknown: Value[] = []
  await using peer = await TelepathPeer.start((message, link) => {
    const bytes = encode(message)
    const place = open.findIndex(({request}) => request.equals(bytes))
    const [exchange] = place < 0 ? [] : open.splice(place, 1)
    if (exchange === undefined) {
      unknown.push(message)
      link.socket.destroy()
    } else answer(link, exchange)
  })
  const client = new ReplayingClient(peer)
  for (const exchange of exchanges) await client.repeat(exchange)
  await client.close()
  expect(unknown).toEqual([])
  expect(open.map(({request}) => decode(request))).toEqual([])
})

test.each(['hs-notready', 'server-closes'])('%s', async (name) => {
  const [first, ...calls] = exchangesOf(ROWS.filter((row) => row.case === name))
  await using peer = await TelepathPeer.start((message, link) => {
    const isGreeting = partsOf(message)[0] === 'tele:syn' && (first?.replies.length ?? 0) > 0
    if (isGreeting && first) answer(link, first)
    else peer.cut()
  })
  const opening = openProxy({dial: peer.dial, peer: 'the peer', name: 'demo', spareLinks: 0})
  const closed = expect.objectContaining({code: 'REG_LINK_CLOSED'})
  if (calls.length === 0) {
    await expect(opening).rejects.toEqual(closed)
    return
  }
  const proxy = await opening
  await expect(proxy.call('slow', {args: [5]})).rejects.toEqual(closed)
  expect(await proxy.closed).toEqual(closed)
  await expect(proxy.call('add', {args: [1]})).rejects.toEqual(closed)
})

function answer(link: PeerLink, {replies, isClosed}: Exchange): void {
  link.sendRaw(Buffer.concat(replies))
  if (isClosed) link.socket.end()
}

/** Exchanges in the order of their requests. */
function exchangesOf(rows: readonly Row[]): Exchange[] {
  const exchanges: Exchange[] = []
  const current = new Map<number, Exchange>()
  for (const {conn, dir, hex, event} of rows) {
    const last = current.get(conn)
    if (dir === 'c2s' && hex !== '') {
      const exchange = {request: Buffer.from(hex, 'hex'), replies: [], isClosed: false}
      exchanges.push(exchange)
      current.set(conn, exchange)
    } else if (dir === 's2c' && hex !== '') last?.replies.push(Buffer.from(hex, 'hex'))
    else if (dir === 's2c' && event === 'reset' && last) last.isClosed = true
  }
  return exchanges
}

/** Does what the recorded client did. */
class ReplayingClient {
  readonly #peer: TelepathPeer
  readonly #proxies = new Map<Value, TelepathProxy>()
  readonly #shares = new Map<Value, Callable & AsyncDisposable>()

  constructor(peer: TelepathPeer) {
    this.#peer = peer
  }

  async repeat(exchange: Exchange): Promise<void> {
    const [type, body] = partsOf(decode(exchange.request, {exact: true}))
    if (type === 'tele:syn') await this.#open(body, exchange)
    else if (type === 't2:init') await this.#call(body, exchange)
    else if (type === 'share:fini') await this.#drop(body['share'])
    else throw new Error(`a client does not send ${type}`)
  }

  async close(): Promise<void> {
    for (const proxy of this.#proxies.values()) await proxy.close()
  }

  async #open(body: Record<string, Value>, {replies: [reply]}: Exchange): Promise<void> {
    const [, answered] = partsOf(decode(reply ?? Buffer.of(0xc0)))
    const opening = openProxy({
      dial: this.#peer.dial,
      peer: 'the peer',
      name: String(body['name']),
      login: loginOf(body['auth']),
      spareLinks: 0,
    })
    const {vers, retn, sess, sharinfo, features, ahainfo} = answered
    if ((vers as Value[])[0] !== 3)
      return expect(opening).rejects.toMatchObject({code: 'REG_BAD_ANSWER', telepath: 'BadMesgVers'})
    if ((retn as Value[])[0] === false) return expect(opening).rejects.toMatchObject(failureOf(retn))
    const proxy = await opening
    const facts = sharinfo as {meths: Record<string, {genr?: boolean}>; classes: string[]; 'syn:version': number[]}
    expect(proxy.info.classes).toEqual(facts.classes)
    expect(Object.fromEntries([...proxy.info.methods].map(([method, {isGenerator}]) => [method, isGenerator]))).toEqual(
      Object.fromEntries(Object.entries(facts.meths).map(([method, {genr = false}]) => [method, genr])),
    )
    expect(proxy.peerVersion).toEqual(facts['syn:version'])
    expect(proxy.features).toEqual(features ?? {})
    expect(proxy.ahaName).toEqual((ahainfo as {name: string | null} | undefined)?.name)
    this.#proxies.set(sess, proxy)
  }

  async #call(body: Record<string, Value>, {replies}: Exchange): Promise<void> {
    const [method, args, kwargs] = body['todo'] as [string, Value[], Record<string, Value>]
    const target = body['name'] === null ? this.#proxies.get(body['sess']) : this.#shares.get(body['name'])
    if (target === undefined) throw new Error(`${method} is called on something that was not opened`)
    const options = {args, kwargs: kwargs instanceof Map ? Object.fromEntries(kwargs) : kwargs}
    const answers = replies.map((reply) => partsOf(decode(reply)))
    const [kind, first] = answers[0] ?? ['']
    if (kind === 't2:genr') await readStream(target, method, options, answers.slice(1))
    else if (kind === 't2:share') this.#shares.set(first?.['iden'], await target.share(method, options))
    else if (kind === '') return await abandon(target, method, options)
    else await expectResult(target.call(method, options), first?.['retn'])
  }

  async #drop(iden: Value): Promise<void> {
    await this.#shares.get(iden)?.[Symbol.asyncDispose]()
  }
}

/** The recording ends before the answer: the call is made and given up. */
async function abandon(target: Callable, method: string, options: CallOptions): Promise<void> {
  const aborter = new AbortController()
  const calling = target.call(method, {...options, signal: aborter.signal})
  await new Promise((resolve) => setImmediate(resolve))
  aborter.abort(new Error('given up'))
  await expect(calling).rejects.toThrow('given up')
}

async function readStream(
  target: Callable,
  method: string,
  options: CallOptions,
  answers: readonly (readonly [string, Record<string, Value>])[],
): Promise<void> {
  const items: Value[] = []
  const yields = answers.map(([, body]) => body['retn'])
  const expected = yields.flatMap((retn) => (Array.isArray(retn) && retn[0] === true ? [retn[1]] : []))
  const end = yields.at(-1)
  const isOpen = Array.isArray(end) && end[0] === true
  const reading = (async () => {
    if (yields.length === 0) return
    for await (const item of target.stream(method, options)) {
      items.push(item)
      // The recorded client left as well, or the recording ended.
      if (isOpen && items.length === expected.length) break
    }
  })()
  if (Array.isArray(end) && end[0] === false) await expect(reading).rejects.toMatchObject(failureOf(end))
  else await reading
  expect(items).toEqual(expected)
}

async function expectResult(calling: Promise<Value>, retn: Value): Promise<void> {
  if (Array.isArray(retn) && retn[0] === true) expect(await calling).toEqual(retn[1])
  else await expect(calling).rejects.toMatchObject(failureOf(retn))
}

function failureOf(retn: Value) {
  const [, [name, {mesg, ...info}]] = retn as unknown as [false, [string, Record<string, Value>]]
  return {name: 'RegistryError', telepath: name, info, ...(mesg === undefined ? {} : {message: mesg})}
}

function loginOf(auth: Value) {
  if (!Array.isArray(auth)) return undefined
  const [user, {passwd}] = auth as [string, {passwd: string | null}]
  return {user, passwd}
}
