import {describe, expect, test} from 'vitest'
import type {RegistryError} from '../../src/base/errors.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {AHA_NETWORK} from '../support/aha.ts'
import {TestCell, type TestSession} from '../support/cell.ts'

const full = (name: string) => `${name}.${AHA_NETWORK}`
const ALIAS = full('axon')

type Fields = Readonly<Record<string, Value>>

/** An AHA, and services of one cell that register there as the stock ones do. */
class Aha {
  readonly cell: TestCell
  readonly root: TestSession

  private constructor(cell: TestCell, root: TestSession) {
    this.cell = cell
    this.root = root
  }

  static async open(): Promise<Aha> {
    const cell = await TestCell.open({network: AHA_NETWORK})
    return new Aha(cell, await cell.session('root'))
  }

  /** A service that has registered under its own name, and how it claims that of the leader. */
  async service(name: string, run: string, more: object = {}) {
    const certificate = {name: 'root', issuer: AHA_NETWORK, serial: '1', fingerprint: '00'}
    const session = await this.cell.session(undefined, {
      peer: {family: 'tls', address: '10.0.0.7', port: 1, certificate},
    })
    const urlinfo = {scheme: 'ssl', port: 1, hostname: full(name)}
    const info = {run, iden: 'i0', leader: 'axon', ready: true, urlinfo, ...more}
    await session.call('addAhaSvc', [name, info], {network: AHA_NETWORK})
    return {
      claim: () => session.call('addAhaSvc', ['axon', info], {network: AHA_NETWORK}),
      end: () => session.close(),
    }
  }

  async info(name: string): Promise<Fields> {
    return ((await this.root.call('getAhaSvc', [full(name)])) as {svcinfo: Fields}).svcinfo
  }

  fence(name = '00.axon', leader = '01.axon'): Promise<Value> {
    return this.root.call('fenceAhaSvc', [full(name), full(leader)])
  }

  /** Kinds of what the log says of fences. */
  async logged(): Promise<readonly string[]> {
    await this.cell.changeLog.settled()
    const entries = await this.cell.store.read(0, 1000)
    return entries.flatMap(({change}) => /"kind":"aha:fence:([a-z]+)"/.exec(change)?.[1] ?? [])
  }
}

async function refusal(asked: Promise<Value>): Promise<readonly [string, string]> {
  const error = await asked.then(
    () => undefined,
    (thrown: RegistryError) => thrown,
  )
  if (error === undefined) throw new Error('it was allowed')
  return [error.telepath, error.message]
}

describe('a service that was replaced by force', () => {
  test('may not take the name of the leader, may have its own, and is no mirror', async () => {
    const aha = await Aha.open()
    const old = await aha.service('00.axon', 'r0')
    await old.claim()
    const leader = await aha.service('01.axon', 'r1')
    expect(await aha.fence('00.axon', '01.axon')).toMatchObject({name: full('00.axon'), alias: ALIAS, refused: 0})
    await leader.claim()
    const back = await aha.service('00.axon', 'r9')
    expect(await refusal(back.claim())).toEqual([
      'BadState',
      expect.stringMatching(
        `^${full('00.axon')} may not lead as ${ALIAS}: ${full('01.axon')} was promoted in its place`,
      ),
    ])
    expect(await aha.info('axon')).toMatchObject({run: 'r1'})
    expect(await aha.root.call('getAhaSvcMirrors', ['axon...'])).toEqual([])
    await leader.end()
    expect((await aha.info('axon'))['online']).toBeUndefined()
  })

  test('is counted, and is one entry and one line for each start of it', async () => {
    const aha = await Aha.open()
    await aha.service('00.axon', 'r0')
    await aha.service('01.axon', 'r1')
    await aha.fence()
    for (const run of ['r8', 'r9']) {
      const back = await aha.service('00.axon', run)
      for (let time = 0; time < 3; time += 1) await refusal(back.claim())
    }
    expect(await aha.info('00.axon')).toMatchObject({fenced: {leader: full('01.axon'), refused: 6, from: '10.0.0.7'}})
    expect(await aha.logged()).toEqual(['set', 'refuse', 'refuse'])
    expect(aha.cell.logged.filter((line) => line.includes('aha.fence.refused'))).toHaveLength(2)
    const {aha: about} = (await aha.root.call('getRegistryInfo')) as {aha: {fences: Fields[]}}
    expect(about.fences).toMatchObject([{name: full('00.axon'), refused: 6}])
  })

  test('is known by the name that it registered, whatever it says of where it is', async () => {
    const aha = await Aha.open()
    await aha.service('00.axon', 'r0')
    await aha.service('01.axon', 'r1')
    await aha.fence()
    const back = await aha.service('00.axon', 'r9', {urlinfo: {scheme: 'tcp', port: 1}})
    expect(await refusal(back.claim())).toMatchObject(['BadState', expect.anything()])
  })

  test('may lead again when somebody wants it so', async () => {
    const aha = await Aha.open()
    await aha.service('00.axon', 'r0')
    await aha.service('01.axon', 'r1')
    await aha.fence()
    expect(await aha.root.call('unfenceAhaSvc', ['00.axon...'])).toBe(true)
    expect(await aha.root.call('unfenceAhaSvc', ['00.axon...'])).toBe(false)
    const back = await aha.service('00.axon', 'r9')
    expect(await back.claim()).toBeNull()
    await aha.fence()
    expect(await refusal(back.claim())).toMatchObject(['BadState', expect.anything()])
    expect(await aha.logged()).toEqual(['set', 'lift', 'set', 'refuse'])
  })

  test('keeps nobody else from leading: other services, and other cells of its name', async () => {
    const aha = await Aha.open()
    for (const [name, run] of [
      ['00.axon', 'r0'],
      ['01.axon', 'r1'],
      ['02.axon', 'r2'],
    ] as const)
      await aha.service(name, run)
    await aha.fence()
    expect(await (await aha.service('02.axon', 'r2')).claim()).toBeNull()
    expect(await (await aha.service('00.axon', 'r5', {iden: 'i5'})).claim()).toBeNull()
  })
})

describe('a fence is refused', () => {
  test.each([
    ['newp', '01.axon', 'NoSuchName'],
    ['00.axon', 'newp', 'NoSuchName'],
    ['00.axon', '00.axon', 'BadArg'],
    ['00.axon', '00.cortex', 'BadArg'],
  ])('for %s behind %s', async (name, leader, errName) => {
    const aha = await Aha.open()
    await aha.service('00.axon', 'r0')
    await aha.service('01.axon', 'r1')
    await aha.service('00.cortex', 'r2', {iden: 'i2'})
    expect((await refusal(aha.fence(name, leader)))[0]).toBe(errName)
  })
})
