import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {copyOf, newLeader, type TestMember} from '../../support/mirror-pair.ts'

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

async function rolesOf(...members: readonly TestMember[]): Promise<readonly Value[]> {
  const lists = await Promise.all(members.map((member) => member.call('getMembers')))
  return lists.map((list) => (list as readonly {readonly role: Value}[])[0]?.role)
}

describe('a graceful promotion', () => {
  test('moves the lead to the mirror that is asked, and back', async () => {
    await two.call('promote', true)
    await one.event('mirror.attached')
    expect(await rolesOf(one, two)).toEqual(['follows', 'leads'])
    await two.call('addUser', 'between')
    await one.call('promote', true)
    await two.event('mirror.attached', 2)
    expect(await rolesOf(one, two)).toEqual(['leads', 'follows'])
    await one.call('addUser', 'after')
  })
})

describe('a forced promotion', () => {
  test('of a mirror whose leader is there fences that one at once; it follows by itself when it has nothing that the new one lacks', async () => {
    await two.call('promote', false)
    await one.event('lead.fenced')
    await one.event('mirror.attached')
    expect(await rolesOf(one, two)).toEqual(['follows', 'leads'])
    await two.call('addUser', 'after')
    await one.event('lead.fence-lifted')
  })

  test('of a mirror whose leader is away: it hears of it when it is back, before it takes a change', async () => {
    await one.stop()
    await two.call('promote', false)
    await two.call('addUser', 'after')
    await one.start()
    await one.event('lead.fenced')
    await one.event('mirror.attached')
    expect(await rolesOf(one, two)).toEqual(['follows', 'leads'])
    expect(one.logged.map(({message}) => message)).not.toContain('lead.confirmed')
  })

  test('of a mirror that lacks a change: the old leader stays fenced, over restarts, and says why', async () => {
    await two.stop()
    await one.stop()
    await one.start({'leader:alone': true})
    await one.call('addUser', 'only-here')
    await one.stop()
    await two.start()
    await two.call('promote', false)
    await one.start()
    const {params} = await one.event('lead.apart')
    expect(params).toMatchObject({reason: expect.stringContaining('each has entries that the other lacks')})
    expect(await rolesOf(one, two)).toEqual(['fenced', 'leads'])
    await expect(one.call('addUser', 'never')).rejects.toMatchObject({
      message: expect.stringContaining('01.demo.net took the lead'),
    })
    await one.stop()
    await two.stop()
    await one.start()
    expect(await rolesOf(one)).toEqual(['fenced'])
  })
})
