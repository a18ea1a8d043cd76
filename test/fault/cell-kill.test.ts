// A cell that is killed while users, passwords, keys, roles, locks and services change, over Telepath, HTTPS and ZeroMQ at once. What was
// answered, and what anybody has seen, is there afterwards; what was asked without an answer may be; nothing else is.
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {recordsOf} from '../../src/auth/apply.ts'
import {decodeAuthChange} from '../../src/auth/change.ts'
import {encodeRecord} from '../../src/auth/records.ts'
import {AuthState} from '../../src/auth/state.ts'
import {parseJson} from '../../src/base/json-parse.ts'
import {CHAIN_START, verifyChain} from '../../src/store/chain.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {ask, basic} from '../support/https.ts'
import {RawClient} from '../support/raw-client.ts'
import {ServedCell} from '../support/served-cell.ts'
import {IS_LONG} from './rounds.ts'

const ROUNDS = IS_LONG ? 40 : 4
const CHANGES_PER_ROUND = 150
const ROUND_MS = 120_000
const ROOT = basic('root', 'rootpass')

type Facts = Readonly<Record<string, Value>>

/** How to reach a server that runs. */
interface Ways {
  readonly root: TelepathProxy
  readonly client: RawClient
  readonly https: number
}

/** Something that takes the numbers 1, 2, 3, … in this order. Each number is asked for when the one before it was answered. */
interface Counted {
  readonly name: string
  set(ways: Ways, count: number): Promise<unknown>
  /** Gives the number that can be seen. */
  get(ways: Ways): Promise<number>
}

class Counter {
  readonly #counted: Counted
  #asked = 0
  #answered = 0
  #seen = 0

  constructor(counted: Counted) {
    this.#counted = counted
  }

  get answered(): number {
    return this.#answered
  }

  /** Counts, and looks, until the server is gone. */
  async run(ways: Ways): Promise<void> {
    const settled = await Promise.allSettled([this.#count(ways), this.#look(ways)])
    for (const {reason} of settled as PromiseRejectedResult[]) {
      expect(String(reason), this.#counted.name).toMatch(/closed|ECONN|hang up|EPIPE|no more links|connect/)
    }
  }

  async verify(ways: Ways): Promise<void> {
    const {name} = this.#counted
    const found = await this.#counted.get(ways)
    expect(found, `${name}: asked for`).toBeLessThanOrEqual(this.#asked)
    expect(found, `${name}: answered`).toBeGreaterThanOrEqual(this.#answered)
    expect(found, `${name}: seen`).toBeGreaterThanOrEqual(this.#seen)
    this.#asked = found
    this.#answered = found
    this.#seen = found
  }

  async #count(ways: Ways): Promise<never> {
    for (;;) {
      this.#asked += 1
      await this.#counted.set(ways, this.#asked)
      this.#answered = this.#asked
    }
  }

  async #look(ways: Ways): Promise<never> {
    for (;;) this.#seen = Math.max(this.#seen, await this.#counted.get(ways))
  }
}

async function post(https: number, path: string, body: Facts): Promise<Facts> {
  const got = await ask(https, `/api/v1/auth/${path}`, {body, headers: ROOT})
  expect(got.status, got.text).toBe(200)
  return (got.json as {readonly result: Facts}).result
}

/** All that is altered, of users who are there. */
function countedOf(idens: Readonly<Record<string, string>>): readonly Counted[] {
  const iden = (name: string) => idens[name] ?? ''
  const user = async ({root}: Ways, name: string) => (await root.call('getUserDef', {args: [iden(name)]})) as Facts
  let asked = 0
  const keyTexts = new Map<number, string>()
  const names = async ({root}: Ways, list: string, prefix: string) => {
    const found = ((await root.call(list)) as readonly {readonly name: string}[]).flatMap(({name}) =>
      name.startsWith(prefix) ? [Number(name.slice(prefix.length))] : [],
    )
    const all = found.toSorted((one, other) => one - other)
    expect(all, prefix).toEqual(all.map((_, index) => index + 1))
    return all.length
  }
  return [
    {
      name: 'email',
      set: ({root}, count) => root.call('setUserEmail', {args: [iden('email'), `n${count}@loop.test`]}),
      get: async (ways) => Number(/\d+/.exec(String((await user(ways, 'email'))['email'] ?? '0'))?.[0]),
    },
    {
      name: 'rules by HTTPS',
      set: ({https}, count) => post(https, `user/${iden('rules')}`, {rules: [[true, ['n', String(count)]]]}),
      get: async (ways) => Number(((await user(ways, 'rules'))['rules'] as string[][][])[0]?.[1]?.[1] ?? 0),
    },
    {
      name: 'users',
      set: ({root}, count) => root.call('addUser', {args: [`made-${count}`]}),
      get: (ways) => names(ways, 'getUserDefs', 'made-'),
    },
    {
      name: 'roles by HTTPS',
      set: ({https}, count) => post(https, 'addrole', {name: `role-${count}`}),
      get: (ways) => names(ways, 'getRoleDefs', 'role-'),
    },
    {
      // Locked at odd numbers; the email says which it is, and is set first.
      name: 'lock',
      set: ({https}, count) =>
        post(https, `user/${iden('lock')}`, {locked: count % 2 === 1, email: `n${count}@lock.test`}),
      get: async (ways) => {
        const {locked, email} = await user(ways, 'lock')
        const count = Number(/\d+/.exec(String(email ?? '0'))?.[0])
        return (locked ? 1 : 0) === count % 2 ? count : count - 1
      },
    },
    {
      name: 'password',
      set: ({root}, count) => {
        asked = count
        return root.call('setUserPasswd', {args: [iden('password'), `p${count}`]})
      },
      get: async ({root}) => {
        const works = async (count: number) =>
          (await root.call('tryUserPasswd', {args: ['password', `p${count}`]})) !== null
        // The newest that works; while one takes the place of the other, neither may have.
        for (;;) {
          if (await works(asked)) return asked
          if (asked < 2) return 0
          if (await works(asked - 1)) return asked - 1
        }
      },
    },
    {
      name: 'API keys',
      set: async ({root}, count) => {
        const [text] = (await root.call('addUserApiKey', {args: [`key-${count}`, null, iden('keys')]})) as [
          string,
          Value,
        ]
        keyTexts.set(count, text)
      },
      get: async ({root, https}) => {
        const keys = (await root.call('listUserApiKeys', {args: [iden('keys')]})) as readonly unknown[]
        const text = keyTexts.get(keyTexts.size)
        if (text !== undefined) {
          expect(keys.length).toBeGreaterThanOrEqual(keyTexts.size)
          expect((await ask(https, '/api/v1/auth/roles', {headers: {'x-api-key': text}})).status).toBe(200)
        }
        return keys.length
      },
    },
    {
      name: 'service',
      set: async ({client}, count) => {
        // On a disk that is busy an answer is not confirmed in time, and its client asks again.
        let answer = await client.register('counted', {metadata: {count}})
        while (String(answer['error']).includes('not confirmed'))
          answer = await client.register('counted', {metadata: {count}})
        expect(answer).toMatchObject({success: true})
      },
      get: async ({client}) => {
        const {service} = await client.get('counted')
        return (service as {readonly metadata: {readonly count: number}} | undefined)?.metadata.count ?? 0
      },
    },
  ]
}

/** Asserts of the file of a dead server that the chain is whole, and that users, roles and keys are what the log says. */
async function verifyDead(path: string): Promise<void> {
  await using store = new SqliteStore(path)
  const head = await store.open()
  const entries = await store.read(0, head.nextOffset)
  const end = {nextOffset: head.nextOffset, lastHash: head.lastHash}
  expect(verifyChain(entries, CHAIN_START)).toEqual({kind: 'intact', end})
  const state = new AuthState()
  const replayed = new Map<string, string>()
  for (const {change} of entries) {
    const {kind} = parseJson(change) as {readonly kind: string}
    if (!/^(user|role|key|gate):|^several$/.test(kind)) continue
    const records = recordsOf(state, decodeAuthChange(change))
    state.put(records)
    for (const {table, key, value} of records.map(encodeRecord)) {
      if (value === null) replayed.delete(`${table} ${key}`)
      else replayed.set(`${table} ${key}`, value)
    }
  }
  const stored = (await Array.fromAsync(store.records())).flat()
  expect(new Map(stored.map(({table, key, value}) => [`${table} ${key}`, value]))).toEqual(replayed)
}

let cell: ServedCell
beforeAll(async () => {
  cell = await ServedCell.start({isPlain: true, conf: {'auth:passwd': 'rootpass', 'log:level': 'ERROR'}})
})
afterAll(() => cell?.[Symbol.asyncDispose]())

test('nothing that was answered or seen is lost, however often the cell is killed', {
  timeout: ROUNDS * ROUND_MS + ROUND_MS,
}, async () => {
  const idens: Record<string, string> = {}
  for (const name of ['email', 'rules', 'lock', 'password', 'keys']) idens[name] = await cell.addUser(name)
  const counters = countedOf(idens).map((counted) => new Counter(counted))
  const sum = () => counters.reduce((all, {answered}) => all + answered, 0)
  for (let round = 0; round < ROUNDS; round += 1) {
    await using stack = new AsyncDisposableStack()
    const client = stack.use(new RawClient(cell.server.ports.req))
    const {https} = await cell.listeners()
    const ways = {root: stack.use(await cell.local()), client, https}
    for (const counter of counters) await counter.verify(ways)
    const before = sum()
    const working = counters.map((counter) => counter.run(ways))
    const enough = CHANGES_PER_ROUND * (0.5 + Math.random())
    while (sum() - before < enough) await new Promise((resolve) => setImmediate(resolve))
    await cell.server.kill()
    await client.disconnected()
    client.close()
    await Promise.all(working)
    await verifyDead(join(cell.dir, 'registry.db'))
    await cell.server.start()
  }
})
