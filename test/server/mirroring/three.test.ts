import {randomBytes} from 'node:crypto'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {CertDir} from '../../../src/pki/cert-dir.ts'
import {memberOpener} from '../../../src/server/mirroring/member-place.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {copyOf, NETWORK, newLeader, TestMember} from '../../support/mirror-pair.ts'

let one: TestMember
let two: TestMember
let three: TestMember

beforeEach(async () => {
  one = await newLeader()
  await one.start()
  await one.stop()
  two = await copyOf(one, '01.demo.net')
  three = await copyOf(one, '02.demo.net')
  await one.start()
  for (const mirror of [two, three]) {
    await mirror.start({mirror: one.url})
    await mirror.event('mirror.caught-up')
  }
})
afterEach(async () => {
  for (const member of [three, two, one]) await member[Symbol.asyncDispose]()
})

async function roleOf(member: TestMember): Promise<Value> {
  const [self] = (await member.call('getMembers')) as readonly {readonly role: Value}[]
  return self?.role
}

/** Tells a member who leads, as another member does. */
async function tell(member: TestMember, lead: Value): Promise<void> {
  const {open, close} = memberOpener(new CertDir(join(one.dir, 'certs')), {network: NETWORK}, [])
  {
    await using proxy = await open(member.url, {})
    await proxy.call('fence', {args: [lead]})
  }
  await close()
}

describe('a mirror that has heard of another leader, who is away', () => {
  test('follows the old one no more, and fences it, also where that one cannot ask', async () => {
    for (const member of [two, one, three]) await member.stop()
    // On another port, where the first one does not look for it.
    three = new TestMember(three.dir, three.name)
    await three.start({mirror: one.url})
    // As the second one tells that was promoted by force, and then is cut off.
    const member = randomBytes(16).toString('hex')
    await tell(three, {member, name: '01.demo.net', urls: [two.url], epoch: 2, how: 'forced', from: null})
    await one.start()
    await Promise.race([one.event('lead.fenced'), one.event('lead.confirmed')])
    expect(await roleOf(one)).toBe('fenced')
    await expect(one.call('addUser', 'late')).rejects.toMatchObject({telepath: expect.anything()})
  })
})

describe('a new mirror that comes while its leader asks who leads', () => {
  test('is noted in the log, so that it is asked the next time', async () => {
    for (const member of [three, two, one]) await member.stop()
    await using four = await copyOf(one, '03.demo.net')
    await one.start()
    const next = Number(await one.call('getNexsIndx'))
    await four.start({mirror: one.url})
    await one.event('lead.confirmed')
    expect(await one.call('waitNexsOffs', next, 20)).toBe(true)
    const members = (await one.call('getMembers')) as readonly {readonly name: Value}[]
    expect(members.map(({name}) => name)).toContain('03.demo.net')
  })
})

describe('a mirror that comes with the name of another member', () => {
  test.each(['02.demo.net', '02.DEMO.net', '00.demo.net'])(
    '%s: is refused, and the one of that name stays',
    async (name) => {
      const before = await one.call('getMembers')
      await one.stop()
      await using four = await copyOf(one, name)
      const attached = three.next('mirror.attached')
      await one.start()
      await attached
      await four.start({mirror: one.url})
      await four.event('mirror.refused')
      expect(JSON.stringify(four.logged)).toMatch(/ has the name of [^"]*: the others would take one for the other/)
      const listed = (members: Value) =>
        (members as readonly Record<string, Value>[]).map(({member, name}) => ({member, name}))
      expect(listed(await one.call('getMembers'))).toEqual(listed(before))
    },
  )
})
