import {beforeEach, describe, expect, test} from 'vitest'
import {PoolAdmin} from '../../src/client/pools.ts'
import {AHA_NETWORK} from '../support/aha.ts'
import {TestCell} from '../support/cell.ts'
import {DirectCall} from '../support/cell-proxy.ts'

const FULL = `pool00.axon.${AHA_NETWORK}`

let cell: TestCell
let admin: PoolAdmin
beforeEach(async () => {
  cell = await TestCell.open()
  admin = new PoolAdmin(new DirectCall(await cell.session(undefined)))
  for (const name of ['00.axon', '01.axon', 'axon']) await register(name)
})

async function register(name: string): Promise<void> {
  const session = {id: `session of ${name}`, peer: {family: 'tls', address: '10.0.0.7', port: 1}} as const
  const place = {full: `${name}.${AHA_NETWORK}`, name, network: AHA_NETWORK}
  await cell.parts.aha?.services.add(place, {urlinfo: {scheme: 'ssl', port: 4000}}, session, 'test')
}

describe('a pool', () => {
  test.each(['pool00.axon', 'pool00.axon...', FULL])(
    'is made as %s, and found by all forms of its name',
    async (name) => {
      expect(await admin.add(name)).toMatchObject({name: FULL, services: []})
      for (const form of ['pool00.axon', 'pool00.axon...', FULL]) {
        expect(await admin.find(form)).toMatchObject({name: FULL, creator: cell.users.rootIden})
      }
      expect(await admin.pools()).toMatchObject([{name: FULL}])
      await admin.remove(await admin.pool(FULL))
      expect(await admin.find(FULL)).toBeUndefined()
    },
  )

  test('has members, who are shown as they are now', async () => {
    const {name} = await admin.add('pool00.axon')
    for (const service of ['00.axon', '01.axon...', `axon.${AHA_NETWORK}`]) {
      await admin.addMember(name, await admin.service(service))
    }
    cell.parts.aha?.services.sessionClosed('session of 01.axon')
    await cell.parts.aha?.services.remove(`axon.${AHA_NETWORK}`, 'test')
    const pool = await admin.pool(name)
    expect(await admin.members(pool)).toEqual([
      {
        service: `00.axon.${AHA_NETWORK}`,
        ...{isRegistered: true, isOnline: true, isReady: true, address: '10.0.0.7:4000'},
      },
      {
        service: `01.axon.${AHA_NETWORK}`,
        ...{isRegistered: true, isOnline: false, isReady: false, address: '10.0.0.7:4000'},
      },
      {
        service: `axon.${AHA_NETWORK}`,
        ...{isRegistered: false, isOnline: false, isReady: false, address: undefined},
      },
    ])
    await admin.removeMember(name, `00.axon.${AHA_NETWORK}`)
    expect((await admin.pool(name)).services).toEqual([`01.axon.${AHA_NETWORK}`, `axon.${AHA_NETWORK}`])
  })

  test('that is not there is said to be so, with the nearest name', async () => {
    await admin.add('pool00.axon')
    await expect(admin.pool(`pool01.axon.${AHA_NETWORK}`)).rejects.toMatchObject({
      code: 'REG_NOT_FOUND',
      hints: expect.arrayContaining([`registry pool show ${FULL}`, 'registry pool list']),
    })
  })

  test('is no service, and of a service that is not there it is said', async () => {
    const {name} = await admin.add('pool00.axon')
    await admin.addMember(name, `00.axon.${AHA_NETWORK}`)
    for (const wrong of ['pool00.axon', '07.axon']) {
      await expect(admin.service(wrong)).rejects.toMatchObject({
        code: 'REG_NOT_FOUND',
        message: `AHA knows no service "${wrong}"`,
      })
    }
  })
})

test('of a cell that is no AHA it is said what to do', async () => {
  const other = await TestCell.open({}, {aha: undefined})
  const nobody = new PoolAdmin(new DirectCall(await other.session(undefined)))
  await expect(nobody.pools()).rejects.toMatchObject({
    telepath: 'NoSuchMeth',
    hints: expect.arrayContaining(['registry status URL']),
  })
})
