import {beforeEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {AhaAdmin} from '../../src/client/aha-admin.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {TestCell} from '../support/cell.ts'
import {DirectCall} from '../support/cell-proxy.ts'
import {idenIn} from '../support/provision.ts'

const OURS = ['getProvisions', 'delProvision']
const PLACE = 'cell:///srv/aha'

/** An AHA that has not the methods of this software, and notes what it was asked. */
class Foreign extends DirectCall {
  readonly asked: (readonly [string, ...Value[]])[] = []
  missing: readonly string[] = OURS

  override get info() {
    const methods = new Map([...super.info.methods].filter(([name]) => !this.missing.includes(name)))
    return {...super.info, methods}
  }

  override async call(method: string, options: {readonly args?: readonly Value[]} = {}): Promise<Value> {
    this.asked.push([method, ...(options.args ?? [])])
    return await super.call(method, options)
  }
}

let cell: TestCell
let aha: AhaAdmin
let foreign: Foreign
let other: AhaAdmin
beforeEach(async () => {
  cell = await TestCell.open()
  aha = new AhaAdmin(new DirectCall(await cell.session('root')), PLACE)
  foreign = new Foreign(await cell.session('root'))
  other = new AhaAdmin(foreign, PLACE)
})

describe('the one-time URLs of an AHA of this software', () => {
  test('are made, listed and taken back', async () => {
    expect(await aha.network()).toBe('demo.net')
    const url = await aha.addService({name: '00.axon', user: '00.axon', life: 60_000})
    const user = await aha.addUser('visi', false, 'never')
    const nowMs = cell.parts.clock.wallMs()
    const common = {state: 'pending', createdMs: nowMs, creator: 'unix/root', claimed: null, used: null}
    const [id = '', visi] = [url, user].map((one) => idenIn(one).slice(0, 8))
    expect(await aha.provisions()).toEqual([
      {
        ...common,
        ...{id, kind: 'service', name: '00.axon', user: '00.axon@demo.net', certificates: []},
        expiresMs: nowMs + 60_000,
      },
      {...common, id: visi, kind: 'user', name: 'visi', user: 'visi@demo.net', expiresMs: null, certificates: []},
    ])
    expect(await aha.provisions(idenIn(url))).toMatchObject([{name: '00.axon'}])
    await aha.revoke(id)
    expect((await aha.provisions()).map(({name}) => name)).toEqual(['visi'])
  })

  test('are made for other members', async () => {
    await aha.addClone({host: '01.aha.demo.net', port: 31_201, life: 'never'})
    const [listed] = await aha.provisions()
    expect(listed).toMatchObject({kind: 'clone', name: '01.aha.demo.net', user: null, expiresMs: null})
    await expect(aha.addClone({host: ''})).rejects.toMatchObject({hints: ['registry help provision']})
    expect(await other.addClone({host: '02.aha.demo.net'})).toMatch(/^ssl:/)
    await expect(other.addClone({host: '02.aha.demo.net', life: 1000})).rejects.toMatchObject({telepath: 'NoSuchMeth'})
  })

  test('come with users who may be looked at', async () => {
    await aha.addService({name: '00.axon', user: '00.axon'})
    expect(await aha.findUser('00.axon')).toMatchObject({isAdmin: false, rules: {length: 3}})
    expect(await aha.findUser('01.axon')).toBeUndefined()
  })

  test('have errors with what to do next', async () => {
    await aha.addUser('visi', false, undefined)
    await expect(aha.addUser('visi', false, undefined)).rejects.toMatchObject({
      telepath: 'DupUserName',
      hints: ['registry provision user NAME --again'],
    })
    await aha.addUser('visi', true, undefined)
    await expect(aha.revoke('0'.repeat(8))).rejects.toMatchObject({hints: ['registry provision list']})
    await expect(aha.addService({name: ''})).rejects.toMatchObject({hints: ['registry help provision']})
  })

  test.each(['', 'ssl://aha\x1b[2J', 'ssl://aha/\nx', `ssl://${'x'.repeat(1100)}`, 7])(
    'are no URL: %j',
    async (url) => {
      const call = new DirectCall(await cell.session('root'))
      call.call = () => Promise.resolve(url)
      await expect(new AhaAdmin(call, PLACE).addUser('visi', false, undefined)).rejects.toMatchObject({
        code: 'REG_BAD_ANSWER',
      })
    },
  )

  test.each([1e300, '1', null, Number.NaN])('have no such time: %j', async (created) => {
    const call = new DirectCall(await cell.session('root'))
    const one = {id: '00000000', kind: 'user', name: 'visi', state: 'used', creator: 'x', created}
    call.stream = async function* () {
      yield one
    }
    await expect(new AhaAdmin(call, PLACE).provisions()).rejects.toMatchObject({code: 'REG_BAD_ANSWER'})
  })

  test('are refused as root by an option, which has its own hint', async () => {
    const denied = new RegistryError('REG_DENIED', 'x', {info: {option: 'provision:service:root', user: 'root'}})
    const call = new DirectCall(await cell.session('root'))
    call.call = () => Promise.reject(denied)
    await expect(new AhaAdmin(call, PLACE).addService({name: '00.axon'})).rejects.toMatchObject({
      code: 'REG_DENIED',
      hints: ['registry provision service NAME --user own'],
    })
  })
})

describe('an AHA that cannot list its one-time URLs', () => {
  test('gets what its own tools would send it, and nothing of ours', async () => {
    const wish = {mirror: 'cortex', dmonPort: 1, httpsPort: 2, conf: {'limit:disk:free': 3}, life: 'never'} as const
    await other.addService({name: '01.cortex', user: 'csvc', ...wish})
    await other.addUser('visi', false, undefined)
    const conf = {'limit:disk:free': 3, 'aha:user': 'csvc'}
    expect(foreign.asked).toEqual([
      ['addAhaSvcProv', '01.cortex', {conf, mirror: 'cortex', 'dmon:port': 1, 'https:port': 2}],
      ['addAhaUserEnroll', 'visi', {}, false],
    ])
  })

  test('says what it cannot do, before it does anything', async () => {
    const cannot = (what: string) => ({
      code: 'REG_NOT_FOUND',
      telepath: 'NoSuchMeth',
      message: `the AHA at ${PLACE} cannot ${what}: only one of this software can`,
    })
    await expect(other.provisions()).rejects.toMatchObject(cannot('list its one-time URLs'))
    const life = cannot('let one-time URLs expire')
    await expect(other.addService({name: '00.axon', life: 1000})).rejects.toMatchObject(life)
    await expect(other.addUser('visi', false, 1000)).rejects.toMatchObject(life)
    expect(foreign.asked).toEqual([])
  })

  test('takes a whole URL back', async () => {
    const [service, user] = [await other.addService({name: '00.axon'}), await other.addUser('visi', false, undefined)]
    await other.remove(idenIn(service))
    await other.remove(idenIn(user))
    expect(await aha.provisions()).toEqual([])
  })
})

test('a service that is no AHA is said to be none', async () => {
  foreign.missing = ['addAhaSvcProv']
  await expect(other.network()).rejects.toMatchObject({
    code: 'REG_CONFLICT',
    message: `the service at ${PLACE} is no AHA: it has no one-time URLs`,
  })
})

test('an answer that makes no sense is one', async () => {
  const call = new DirectCall(await cell.session('root'))
  const odd = new AhaAdmin(call, PLACE)
  call.call = async () => 5
  await expect(odd.addService({name: '00.axon'})).rejects.toMatchObject({code: 'REG_BAD_ANSWER'})
  for (const value of [5, {kind: 'newp'}, {kind: 'user', id: 'x'}]) {
    call.call = async () => [value] as Value
    await expect(odd.provisions()).rejects.toMatchObject({code: 'REG_BAD_ANSWER'})
  }
})
