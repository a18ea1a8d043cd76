import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {copyOf, newLeader, type TestMember} from '../../support/mirror-pair.ts'

describe('the log of a leader with a mirror', () => {
  let leader: TestMember
  let mirror: TestMember

  beforeAll(async () => {
    leader = await newLeader()
    await leader.start()
    for (let count = 0; count < 5; count++) await leader.call('addUser', `user${count}`)
    await leader.stop()
    mirror = await copyOf(leader, '01.demo.net')
    await leader.start()
    await mirror.start({mirror: leader.url})
    await mirror.event('mirror.caught-up')
  })

  afterAll(async () => {
    await mirror[Symbol.asyncDispose]()
    await leader[Symbol.asyncDispose]()
  })

  const indexOf = async (member: TestMember) => Number(await member.call('getNexsIndx'))

  test('is trimmed at both, once the mirror has it', async () => {
    const index = await indexOf(leader)
    expect(await leader.call('trimNexsLog', null, 10)).toBe(index)
    expect(await mirror.call('waitNexsOffs', index + 1, 10)).toBe(true)
    for (const member of [leader, mirror]) {
      // The mirror tells how far it is a moment after it is there.
      await expect
        .poll(() => member.call('trimLog', null, 0, null, 10, false, true))
        .toMatchObject({
          before: {index: index + 2, oldest: index + 1},
          followers: [{name: expect.stringContaining('01'), index: index + 2}],
        })
    }
  })

  test('is not trimmed while the mirror is away, which is named', async () => {
    await mirror.stop()
    await leader.event('mirroring.left')
    const index = await indexOf(leader)
    await expect(leader.call('trimNexsLog', null, 1)).rejects.toThrow(
      /01.* of this cell is away: .*nothing was trimmed/,
    )
    expect(await indexOf(leader)).toBe(index)
    expect(await leader.call('trimLog', null, 0, null, 10, true)).toMatchObject({trimmed: index})
  })
})
