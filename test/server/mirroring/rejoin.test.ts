import {readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {CertDir} from '../../../src/pki/cert-dir.ts'
import {decodeFence, encodeFence} from '../../../src/registry/fence.ts'
import {readLostHistory} from '../../../src/server/lost-history.ts'
import {memberOpener} from '../../../src/server/mirroring/member-place.ts'
import {Rejoining} from '../../../src/server/mirroring/rejoin.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {copyOf, NETWORK, newLeader, type TestMember} from '../../support/mirror-pair.ts'

const {signal} = new AbortController()
let one: TestMember
let two: TestMember

/** `two` was promoted by force, and lacks what `one` took before it heard of that. */
beforeEach(async () => {
  one = await newLeader()
  await one.start()
  await one.stop()
  two = await copyOf(one, `01.${NETWORK}`)
  await one.start()
  await two.start({mirror: one.url})
  await two.event('mirror.caught-up')
  await two.stop()
  await one.stop()
})
afterEach(async () => {
  await two[Symbol.asyncDispose]()
  await one[Symbol.asyncDispose]()
})

function open({dir}: TestMember, leader?: string): Promise<Rejoining> {
  const {open, close} = memberOpener(new CertDir(join(dir, 'certs')), {network: NETWORK}, [])
  const log = {info: () => undefined, warning: () => undefined}
  return Rejoining.open({dir, open, close, log, wallMs: () => Date.parse('2026-11-21T12:45:00Z')}, leader, signal)
}

async function goApart(): Promise<void> {
  await one.start({'leader:alone': true})
  await using client = one.zeromq()
  await client.register({name: 'cam', type: 'camera', host: 'h', port: 1})
  await one.call('addUser', 'lost')
  await one.stop()
  await two.start()
  await two.call('promote', false)
  await two.call('addUser', 'kept')
  await one.start()
  await one.event('lead.apart')
  await one.stop()
}

async function usersOf(member: TestMember): Promise<readonly Value[]> {
  const users = (await member.call('getUserDefs')) as readonly {readonly name: string}[]
  return users.map(({name}) => name)
}

test('a member whose log went apart saves what only it has, and becomes a mirror of the new leader', async () => {
  await goApart()
  {
    await using rejoining = await open(one)
    const {plan} = rejoining
    expect(plan).toMatchObject({isBeginning: false, member: {name: `00.${NETWORK}`}, leader: {name: `01.${NETWORK}`}})
    expect(plan.lost.count).toBe(plan.member.nextOffset - plan.parting.offset)
    expect(plan.lost.kinds).toContainEqual(['register', 1])
    const {file} = await rejoining.run(signal)
    expect(file).toBe(join(one.dir, 'lost-1-20261121T124500Z.jsonl'))
    const events = await Array.fromAsync(readLostHistory(file ?? '', {}))
    expect(events.map(({event, name}) => [event, name])).toEqual([['registered', 'cam']])
  }
  expect((await readdir(one.dir)).filter((name) => /fence|part/.test(name))).toEqual([])
  await one.start()
  await one.event('mirror.attached')
  expect(await usersOf(one)).toEqual(await usersOf(two))
  expect(await usersOf(one)).not.toContain('lost')
  // It is the same member as before.
  expect((await two.call('getMembers')) as readonly Value[]).toHaveLength(2)
})

test('a member that lacks nothing and has nothing of its own is left as it is', async () => {
  await two.start()
  await two.call('promote', false)
  await using rejoining = await open(one)
  expect(rejoining.plan).toMatchObject({isBeginning: true, lost: {count: 0}})
})

test('a leader that has not heard of the newest lead itself is not followed, whoever names it', async () => {
  await goApart()
  const path = join(one.dir, 'fence.json')
  const fence = decodeFence(await readFile(path, 'utf8'))
  const lead = {...fence.lead, member: 'f'.repeat(32), name: `02.${NETWORK}`, epoch: fence.lead.epoch + 1}
  await writeFile(path, encodeFence({...fence, lead}))
  await expect(open(one, two.url)).rejects.toMatchObject({
    code: 'REG_CONFLICT',
    message: expect.stringContaining(`02.${NETWORK} took the lead with epoch ${lead.epoch}`),
  })
  await writeFile(path, encodeFence(fence))
  await using rejoining = await open(one, two.url)
  expect(rejoining.plan.leader.name).toBe(two.name)
})

test('nothing is done while its server runs, without a leader, or where there is no registry', async () => {
  await expect(open(one)).rejects.toMatchObject({code: 'REG_UNREACHABLE'})
  await one.start({'leader:alone': true})
  await expect(open(one)).rejects.toMatchObject({code: 'REG_DIR_LOCKED', message: expect.stringContaining('rejoin')})
  await one.stop()
  await expect(open({...one, dir: join(one.dir, 'none')} as TestMember)).rejects.toMatchObject({
    code: 'REG_DIR_UNUSABLE',
  })
})
