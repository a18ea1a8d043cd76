// Two members of a cell; again and again the mirror is promoted by force while its leader is there, or is brought back, and both are written to. After the
// old leader has heard of it, nothing is acknowledged that the new one does not have; what was acknowledged before is with the new one, or in the file.
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {readLostEntries} from '../../src/nexus/lost-entries.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {memberOpener} from '../../src/server/mirroring/member-place.ts'
import {Rejoining} from '../../src/server/mirroring/rejoin.ts'
import {copyOf, NETWORK, newLeader, type TestMember} from '../support/mirror-pair.ts'
import {IS_LONG} from './rounds.ts'

const ROUNDS = IS_LONG ? 50 : 4
const ROUND_MS = 20_000
/** A cell keeps 10 000 roles. */
const PACE_MS = 25

let one: TestMember
let two: TestMember
beforeEach(async () => {
  one = await newLeader()
  await one.start()
  await one.stop()
  two = await copyOf(one, `01.${NETWORK}`)
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
  /** When the call of each was begun. */
  readonly begunAtMs: number[] = []
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

  async #run({dir}: TestMember): Promise<void> {
    while (!this.#isEnding) {
      try {
        await using root = await openTelepath(`cell://${dir}`, {timeoutMs: 5000})
        while (!this.#isEnding) {
          const name = `${this.#name}-${this.#count++}`
          const begunAtMs = performance.now()
          await root.call('addRole', {args: [name]})
          this.acknowledged.push(name)
          this.begunAtMs.push(begunAtMs)
          await delay(PACE_MS)
        }
      } catch {
        await delay(5) // refused, or it does not run now
      }
    }
  }
}

test(
  `${ROUNDS} forced promotions: who led before acknowledges nothing more once it has heard`,
  async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const [old, next] = round % 2 === 0 ? [one, two] : [two, one]
      await forced(round, old, next)
    }
  },
  ROUNDS * ROUND_MS,
)

async function forced(round: number, old: TestMember, next: TestMember): Promise<void> {
  const isThere = round % 4 < 2
  const [atOld, atNext] = [new Writer(`${round}-old`, old), new Writer(`${round}-next`, next)]
  await atLeast(atOld, 3)
  const fenced = timesOf(old, 'lead.fenced') + 1
  if (!isThere) await old.stop()
  await next.call('promote', false)
  if (!isThere) await old.start()
  await old.event('lead.fenced', fenced)
  const heardAtMs = performance.now()
  const lost = await broughtBack(old, next)
  await atLeast(atNext, atNext.acknowledged.length + 3)
  for (const writer of [atOld, atNext]) await writer.end()
  const kept = new Set(await rolesOf(next))
  expect(atNext.acknowledged.filter((name) => !kept.has(name) && !lost.has(name))).toEqual([])
  // An answer that was sent before may have been read afterwards.
  const since = atOld.acknowledged.filter((_, index) => (atOld.begunAtMs[index] ?? 0) > heardAtMs)
  expect(since.filter((name) => !kept.has(name))).toEqual([])
  expect(atOld.acknowledged.filter((name) => !kept.has(name) && !lost.has(name))).toEqual([])
  const end = Number(await next.call('getNexsIndx')) - 1
  expect(await old.call('waitNexsOffs', end, 10)).toBe(true)
  expect(await old.call('getLogPlace', end)).toEqual(await next.call('getLogPlace', end))
}

/** Waits until the old leader follows; by a copy, when its log went apart. Gives the roles that only it had. */
async function broughtBack(old: TestMember, next: TestMember): Promise<ReadonlySet<string>> {
  for (;;) {
    if (await follows(old)) return new Set()
    if (await isApart(old)) break
    await delay(10)
  }
  await old.stop()
  const {open, close} = memberOpener(new CertDir(join(old.dir, 'certs')), {network: NETWORK}, [])
  const log = {info: () => undefined, warning: () => undefined}
  const {signal} = new AbortController()
  const found = new Set<string>()
  {
    await using rejoining = await Rejoining.open({dir: old.dir, open, close, log, wallMs: Date.now}, next.url, signal)
    const {file} = await rejoining.run(signal)
    for await (const {change} of readLostEntries(file ?? '')) {
      for (const [, name] of change.matchAll(/"name":"([^"]*)"/g)) found.add(name ?? '')
    }
  }
  await old.start()
  while (!(await follows(old))) await delay(10)
  return found
}

async function follows(member: TestMember): Promise<boolean> {
  const [self, other] = (await member.call('getMembers')) as readonly {
    readonly role: string
    readonly isOnline: boolean
  }[]
  return self?.role === 'follows' && other?.isOnline === true
}

async function isApart(member: TestMember): Promise<boolean> {
  const [self] = (await member.call('getMembers')) as readonly {readonly role: string}[]
  return self?.role === 'fenced' && isNewest(member)
}

/** The last that it said of its fence is that it stays. */
function isNewest({logged}: TestMember): boolean {
  const of = logged.filter(({message}) => message === 'lead.fenced' || message === 'lead.apart')
  return of.at(-1)?.message === 'lead.apart'
}

function timesOf({logged}: TestMember, event: string): number {
  return logged.filter(({message}) => message === event).length
}

async function rolesOf(member: TestMember): Promise<readonly string[]> {
  const roles = (await member.call('getRoleDefs')) as readonly {readonly name: string}[]
  return roles.map(({name}) => name)
}

async function atLeast({acknowledged}: Writer, count: number): Promise<void> {
  while (acknowledged.length < count) await delay(5)
}
