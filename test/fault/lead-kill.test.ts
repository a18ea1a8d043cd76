// Two members of a cell in processes of their own. One or both are killed at each step of a hand-over while both are written to: it ends with exactly
// one leader, and what was acknowledged is there once, at both.
import {setTimeout as delay} from 'node:timers/promises'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {openTelepath} from '../../src/client/telepath/open.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {copyOf, NETWORK, newLeader, type TestMember} from '../support/mirror-pair.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {IS_LONG} from './rounds.ts'

const STEPS = ['lead.asking', 'lead.closing', 'lead.waiting', 'lead.giving', 'lead.given', 'lead.leads'] as const
const VICTIMS = ['leader', 'mirror', 'both'] as const
type Case = readonly [step: (typeof STEPS)[number], victims: (typeof VICTIMS)[number]]
const ALL = STEPS.flatMap((step) => VICTIMS.map((victims): Case => [step, victims]))
const SHORT: readonly Case[] = [
  ['lead.waiting', 'mirror'],
  ['lead.giving', 'leader'],
  ['lead.given', 'both'],
]
const SETTLES_WITHIN_MS = 20_000

let stack: AsyncDisposableStack
let one: TestServer
let two: TestServer
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  const first = await newLeader()
  await first.start()
  await first.stop()
  const second = await copyOf(first, `01.${NETWORK}`)
  await second.start({mirror: first.url})
  await second.stop()
  one = stack.use(await started(first))
  two = stack.use(await started(second, first.url))
  await until(async () => (await linked(two)) === true)
})
afterEach(() => stack.disposeAsync())

function started({dir, name, url}: TestMember, mirror?: string): Promise<TestServer> {
  const {port} = new URL(url)
  const conf = {
    ...{'aha:network': NETWORK, 'dns:name': name, 'provision:listen': null, 'leader:confirm': '1s'},
    'dmon:listen': `ssl://127.0.0.1:${port}?hostname=${name}&ca=${NETWORK}`,
    ...(mirror === undefined ? {} : {mirror}),
  }
  return startServer({dir, conf})
}

test.each(IS_LONG ? ALL : SHORT)(
  'a kill at %s of %s ends with one leader and all that was acknowledged',
  async (step, victims) => {
    const writers = [new Writer('one', one.dir), new Writer('two', two.dir)]
    await until(async () => writers.every(({acknowledged}) => acknowledged.length > 2))
    const promoting = call(two.dir, 'promote', true).catch((error: unknown) => error)
    await until(async () => one.output().includes(step) || two.output().includes(step))
    const killed = victims === 'both' ? [one, two] : [victims === 'leader' ? one : two]
    await Promise.all(killed.map((server) => server.kill()))
    await promoting
    await Promise.all(killed.map((server) => server.start()))
    await until(async () => {
      const roles = await Promise.all([roleOf(one), roleOf(two)])
      const links = await Promise.all([linked(one), linked(two)])
      return roles.toSorted().join() === 'follows,leads' && links.includes(true)
    })
    for (const writer of writers) await writer.end()
    await isWhole(writers.flatMap(({acknowledged}) => acknowledged))
  },
)

/** Writes to one member again and again until it is told to end; what was refused is written again, under another name. */
class Writer {
  readonly acknowledged: string[] = []
  readonly #name: string
  readonly #done: Promise<void>
  #isEnding = false
  #count = 0

  constructor(name: string, dir: string) {
    this.#name = name
    this.#done = this.#run(dir)
  }

  async end(): Promise<void> {
    this.#isEnding = true
    await this.#done
  }

  async #run(dir: string): Promise<void> {
    while (!this.#isEnding) {
      const name = `${this.#name}-${this.#count++}`
      try {
        await call(dir, 'addRole', name)
        this.acknowledged.push(name)
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error
        await delay(5)
      }
    }
  }
}

async function isWhole(acknowledged: readonly string[]): Promise<void> {
  const next = Math.max(...(await Promise.all([one, two].map(async ({dir}) => Number(await call(dir, 'getNexsIndx'))))))
  for (const {dir} of [one, two]) {
    expect(await call(dir, 'waitNexsOffs', next - 1, 10)).toBe(true)
    const roles = (await call(dir, 'getRoleDefs')) as readonly {readonly name: string}[]
    const names = roles.map(({name}) => name)
    expect(acknowledged.filter((name) => names.filter((known) => known === name).length !== 1)).toEqual([])
  }
  expect(await call(two.dir, 'getLogPlace', next - 1)).toEqual(await call(one.dir, 'getLogPlace', next - 1))
}

async function call(dir: string, method: string, ...args: readonly Value[]): Promise<Value> {
  await using root = await openTelepath(`cell://${dir}`)
  return await root.call(method, {args})
}

async function roleOf({dir}: TestServer): Promise<string> {
  const [self] = (await call(dir, 'getMembers')) as readonly {readonly role: string}[]
  return self?.role ?? ''
}

/** A mirror that has its leader. */
async function linked({dir}: TestServer): Promise<boolean> {
  const [self, ...others] = (await call(dir, 'getMembers')) as readonly {
    readonly role: string
    readonly isOnline: boolean
  }[]
  return self?.role === 'follows' && others.some(({role, isOnline}) => role === 'leads' && isOnline)
}

async function until(isDone: () => Promise<boolean>): Promise<void> {
  const late = AbortSignal.timeout(SETTLES_WITHIN_MS)
  while (!(await isDone().catch(() => false))) {
    if (late.aborted)
      throw new Error(`it does not come to rest:\n${one?.output().slice(-3000)}\n----\n${two?.output().slice(-3000)}`)
    await delay(5)
  }
}
