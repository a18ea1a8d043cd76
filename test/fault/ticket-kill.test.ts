// An AHA that is killed while rivals redeem one-time URLs. Each URL is redeemed by exactly one of them, whether the reply got through or not, and
// who has redeemed it gets the same certificate again.
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {parseJson} from '../../src/base/json-parse.ts'
import {type TeleEnv, withTeleEnv} from '../../src/client/telepath/tele-env.ts'
import {makeCsr} from '../../src/pki/csr.ts'
import {newPrivateKey} from '../../src/pki/keys.ts'
import {type Ticket, ticketRecords} from '../../src/registry/ticket.ts'
import {decodeTicketChange, encodeTicket} from '../../src/registry/ticket-text.ts'
import {ticketSecrets} from '../../src/server/ticket-secrets.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {IS_LONG} from './rounds.ts'

const ROUNDS = IS_LONG ? 20 : 3
const ROUND_MS = 120_000
const TICKETS = 8
const RIVALS = 3
const NETWORK = 'loop.test'
const AHA = `aha.${NETWORK}`

let server: TestServer
let env: TeleEnv
beforeAll(async () => {
  const tls = `ssl://127.0.0.1:0?hostname=${AHA}`
  const names = {'aha:network': NETWORK, 'dns:name': AHA, 'log:level': 'ERROR'}
  server = await startServer({conf: {...names, 'dmon:listen': `${tls}&ca=${NETWORK}`, 'provision:listen': tls}})
  env = await withTeleEnv({dir: server.dir, certDirs: [], serviceDir: join(server.dir, 'none')})
})
afterAll(async () => {
  await env?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

/** Somebody who has the URL of a user, with a key of his own. */
class Rival {
  readonly #csr: Promise<string>
  readonly #iden: string
  /** All certificates that he ever got. */
  readonly got = new Set<string>()

  constructor(user: string, iden: string) {
    this.#iden = iden
    this.#csr = newPrivateKey('p256').then((key) =>
      makeCsr(`${user}@${NETWORK}`, key, {isCa: false, alternativeNames: []}),
    )
  }

  async redeem(url: string): Promise<void> {
    const csr = Buffer.from(await this.#csr)
    try {
      await using proxy = await env.open(url.replace(/\/[0-9a-f]{32}/, `/${this.#iden}`), {spareLinks: 0})
      this.got.add(Buffer.from((await proxy.call('signUserCsr', {args: [csr]})) as Uint8Array).toString())
    } catch (error) {
      expect(String(error)).toMatch(/Invalid provisioning identifier|closed|ECONN|connect|hang up|EPIPE/)
    }
  }
}

/** Makes a URL for a user; the port may be another one after each start. */
async function mint(user: string): Promise<string> {
  await using root = await env.open(`cell://${server.dir}`, {spareLinks: 0})
  const url = String(await root.call('addAhaUserEnroll', {args: [user]}))
  return `${url.replace(AHA, '127.0.0.1')}&hostname=${AHA}`
}

/** Asserts of the file of a dead server that the tickets are what the log says. */
async function verifyDead(): Promise<void> {
  await using store = new SqliteStore(join(server.dir, 'registry.db'))
  const head = await store.open()
  const replayed = new Map<string, Ticket>()
  for (const {change} of await store.read(0, head.nextOffset)) {
    if (!(parseJson(change) as {readonly kind: string}).kind.startsWith('ticket:')) continue
    for (const {idenSha256, ticket} of ticketRecords(replayed, decodeTicketChange(change, ticketSecrets))) {
      if (ticket === undefined) replayed.delete(idenSha256)
      else replayed.set(idenSha256, ticket)
    }
  }
  const stored = (await Array.fromAsync(store.records())).flat().filter(({table}) => table === 'ticket')
  const wanted = [...replayed].map(([key, ticket]) => [key, encodeTicket(ticket)])
  expect(new Map(stored.map(({key, value}) => [key, value]))).toEqual(new Map(wanted as [string, string][]))
}

test('each URL is redeemed by one, however often the server is killed', {
  timeout: ROUNDS * ROUND_MS + ROUND_MS,
}, async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const urls = await Promise.all(Array.from({length: TICKETS}, (_, index) => mint(`u${round}.${index}`)))
    const tickets = urls.map((url, index) => {
      const iden = /\/([0-9a-f]{32})\?/.exec(url)?.[1] ?? ''
      return Array.from({length: RIVALS}, () => new Rival(`u${round}.${index}`, iden))
    })
    const winners = () => tickets.flat().filter(({got}) => got.size > 0).length
    const working = tickets.flatMap((rivals, index) => rivals.map((rival) => rival.redeem(urls[index] ?? '')))
    const enough = Math.floor(Math.random() * TICKETS)
    while (winners() < enough) await new Promise((resolve) => setImmediate(resolve))
    await server.kill()
    await Promise.all(working)
    await verifyDead()
    await server.start()
    const again = await mint(`again${round}`)
    for (const rivals of tickets) for (const rival of rivals) await rival.redeem(again)
    for (const rivals of tickets) expect(rivals.map(({got}) => got.size).toSorted()).toEqual([0, 0, 1])
  }
})
