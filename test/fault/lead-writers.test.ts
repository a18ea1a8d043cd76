import {setTimeout as delay} from 'node:timers/promises'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {openTelepath} from '../../src/client/telepath/open.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {copyOf, newLeader, type TestMember} from '../support/mirror-pair.ts'
import {IS_LONG} from './rounds.ts'

const PROMOTIONS = IS_LONG ? 100 : 10
const ROUND_MS = 20_000
/** A cell keeps 10 000 roles. */
const PACE_MS = 5

let one: TestMember
let two: TestMember

beforeEach(async () => {
  one = await newLeader()
  await one.start()
  await one.call('addUser', 'before')
  await one.stop()
  two = await copyOf(one, '01.demo.net')
  await one.start()
  await two.start({mirror: one.url})
  await two.event('mirror.caught-up')
})
afterEach(async () => {
  await two[Symbol.asyncDispose]()
  await one[Symbol.asyncDispose]()
})

/** Writes to one member again and again until it is told to end; what was refused is written again, under another name. */
class Writer {
  readonly acknowledged: string[] = []
  readonly #name: string
  readonly #done: Promise<void>
  #isEnding = false
  #count = 0

  constructor(name: string, member: TestMember) {
    this.#name = name
    this.#done = this.#run(member)
  }

  async end(): Promise<void> {
    this.#isEnding = true
    await this.#done
  }

  async #run(member: TestMember): Promise<void> {
    await using root = await openTelepath(`cell://${member.dir}`)
    while (!this.#isEnding) {
      const name = `${this.#name}-${this.#count++}`
      try {
        await root.call('addRole', {args: [name]})
        this.acknowledged.push(name)
        await delay(PACE_MS)
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error
      }
    }
  }
}

test(
  `while both are written to, the lead goes back and forth ${PROMOTIONS} times, and no acknowledged change is lost or there twice`,
  async () => {
    const writers = [new Writer('at-one', one), new Writer('at-two', two)]
    for (let round = 0; round < PROMOTIONS; round += 1) {
      const [mirror, leader] = round % 2 === 0 ? [two, one] : [one, two]
      await mirror.call('promote', true)
      expect(await roleOf(mirror)).toBe('leads')
      await until(async () => (await mirrorsOf(mirror)) === 1)
      expect(await roleOf(leader)).toBe('follows')
    }
    for (const writer of writers) await writer.end()
    const acknowledged = writers.flatMap((writer) => writer.acknowledged)
    expect(acknowledged.length).toBeGreaterThan(0)
    const next = Number(await one.call('getNexsIndx'))
    await two.call('waitNexsOffs', next - 1, 30)
    for (const member of [one, two]) {
      const roles = (await member.call('getRoleDefs')) as readonly {readonly name: string}[]
      const names = roles.map(({name}) => name)
      expect(acknowledged.filter((name) => names.filter((known) => known === name).length !== 1)).toEqual([])
    }
    expect(await two.call('getLogPlace', next - 1)).toEqual(await one.call('getLogPlace', next - 1))
  },
  PROMOTIONS * ROUND_MS,
)

async function roleOf(member: TestMember): Promise<Value> {
  const [self] = (await member.call('getMembers')) as readonly {readonly role: Value}[]
  return self?.role
}

async function mirrorsOf(member: TestMember): Promise<number> {
  const [, ...others] = (await member.call('getMembers')) as readonly {readonly isOnline: boolean}[]
  return others.filter(({isOnline}) => isOnline).length
}

async function until(isDone: () => Promise<boolean>): Promise<void> {
  while (!(await isDone())) await delay(10)
}
