import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {doPoolSteps, poolAfterSteps, poolSteps} from '../../src/cli/pool-change.ts'
import type {Pool, PoolAdmin} from '../../src/client/pools.ts'

const NAMES = ['00.axon', '01.axon', '02.axon', '03.axon'] as const
const full = (name: string) => `${name}.demo.net`

/** A pool at an AHA that knows four services; putting in the one that is named fails. */
class FakeAdmin {
  pool: Pool
  readonly #failing: string | undefined

  constructor(services: readonly string[], failing?: string) {
    this.pool = {name: 'pool.demo.net', createdMs: 0, creator: 'i', services: services.map(full)}
    this.#failing = failing
  }

  get admin(): PoolAdmin {
    return this as unknown as PoolAdmin
  }

  async service(name: string): Promise<string> {
    return full(name.replace(/\.\.\.$|\.demo\.net$/, ''))
  }

  async addMember(_pool: string, service: string): Promise<void> {
    if (service === this.#failing) throw new RegistryError('REG_STORE_FAILED', 'disk full')
    this.pool = {...this.pool, services: [...this.pool.services, service]}
  }

  async removeMember(_pool: string, service: string): Promise<void> {
    this.pool = {...this.pool, services: this.pool.services.filter((one) => one !== service)}
  }
}

describe('the change of the members of a pool', () => {
  test('is what is wanted and no more, and a dry run foretells it', async () => {
    const some = fc.subarray([...NAMES])
    await fc.assert(
      fc.asyncProperty(some, some, some, async (before, added, dropped) => {
        const removed = dropped.filter((name) => before.includes(name) && !added.includes(name))
        const fake = new FakeAdmin(before)
        const steps = await poolSteps(fake.admin, fake.pool, {add: [...added, ...added], remove: removed})
        const expected = [...before.filter((name) => !removed.includes(name))]
        expected.push(...added.filter((name) => !before.includes(name)))
        expect(poolAfterSteps(fake.pool, steps).services).toEqual(expected.map(full))
        expect(steps).toHaveLength(new Set([...before, ...added]).size - before.length + removed.length)
        await doPoolSteps(fake.admin, fake.pool, steps)
        expect(fake.pool.services).toEqual(expected.map(full))
      }),
    )
  })

  test.each(['01.axon', '01.axon...', '01.axon.demo.net'])('takes one out by the name %s', async (name) => {
    const {admin, pool} = new FakeAdmin(['00.axon', '01.axon'])
    const steps = await poolSteps(admin, pool, {add: [], remove: [name]})
    expect(steps).toEqual([{kind: 'remove', service: '01.axon.demo.net'}])
  })

  test('refuses to take out what is not in, with the nearest name', async () => {
    const {admin, pool} = new FakeAdmin(['00.axon'])
    await expect(poolSteps(admin, pool, {add: [], remove: ['01.axon.demo.net']})).rejects.toMatchObject({
      code: 'REG_NOT_FOUND',
      info: {nearest: '00.axon.demo.net'},
      hints: ['registry pool show pool.demo.net'],
    })
    // The beginning of a name is not the name.
    await expect(poolSteps(admin, pool, {add: [], remove: ['00']})).rejects.toMatchObject({code: 'REG_NOT_FOUND'})
  })

  test('refuses to put in and take out the same', async () => {
    const {admin, pool} = new FakeAdmin(['00.axon'])
    const wish = {add: ['00.axon'], remove: ['00.axon...']}
    await expect(poolSteps(admin, pool, wish)).rejects.toMatchObject({code: 'REG_USAGE'})
  })

  test('that fails half-way says what was done before', async () => {
    const fake = new FakeAdmin(['00.axon'], '02.axon.demo.net')
    const steps = await poolSteps(fake.admin, fake.pool, {add: ['01.axon', '02.axon'], remove: ['00.axon']})
    await expect(doPoolSteps(fake.admin, fake.pool, steps)).rejects.toMatchObject({
      code: 'REG_STORE_FAILED',
      message: 'disk full (done before that: remove 00.axon.demo.net, add 01.axon.demo.net)',
    })
    expect(fake.pool.services).toEqual(['01.axon.demo.net'])
  })
})
