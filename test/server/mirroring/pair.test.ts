import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {copyOf, newLeader, type TestMember} from '../../support/mirror-pair.ts'

describe('a mirror of a leader', () => {
  let leader: TestMember
  let mirror: TestMember

  beforeAll(async () => {
    leader = await newLeader()
    await leader.start()
    await leader.call('addUser', 'before')
    await leader.stop()
    mirror = await copyOf(leader, '01.demo.net')
    await leader.start()
    await mirror.start({mirror: leader.url})
    await mirror.event('mirror.caught-up')
  }, 60_000)

  afterAll(async () => {
    await mirror[Symbol.asyncDispose]()
    await leader[Symbol.asyncDispose]()
  })

  test('has what the leader had and what it gets, and the log names both', async () => {
    await leader.call('addUser', 'after')
    const next = Number(await leader.call('getNexsIndx'))
    await mirror.call('waitNexsOffs', next - 1, 10)
    const names = (await mirror.call('getUserDefs')) as readonly {readonly name: string}[]
    expect(names.map(({name}) => name)).toEqual(expect.arrayContaining(['before', 'after']))
    expect(await mirror.call('getNexsIndx')).toBe(next)
  })
})
