import {beforeEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {readGroup, whenSettled} from '../../src/client/service-group.ts'
import type {AhaMember} from '../../src/client/telepath/aha.ts'
import {problemsOf, roleOf} from '../../src/registry/leadership.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Callable, TelepathProxy} from '../../src/wire/telepath/caller.ts'

const {signal} = new AbortController()

const info = (name: string | null, cell: Readonly<Record<string, Value>>): Value => ({
  synapse: {verstring: '2.256.0'},
  cell: {
    ...{iden: 'f00d', run: name, type: 'axon', active: false, ready: true, uplink: true, nexsindx: 5, started: 7},
    ...{verstring: '1.0.0', mirror: 'tcp://root:needle@h', nexus: {readonly: false}},
    aha: {name, leader: 'axon', network: 'demo.net'},
    ...cell,
  },
})
const LEADER = {active: true, uplink: false, mirror: null, nexsindx: 8}

const entry = (shortName: string, more: Partial<AhaMember> = {}): AhaMember => ({
  ...{name: `${shortName}.demo.net`, shortName, runId: shortName, address: 'h:1', isOnline: true, isPromotable: true},
  ...more,
})

const NO_METHODS = {classes: [], methods: new Map()}
const answering = (value: Value) => ({info: NO_METHODS, call: async () => value}) as unknown as Callable

/** What AHA lists, and what those answer that are opened. */
class World {
  listed: readonly AhaMember[] | Error = []
  readonly infos = new Map<string, Value | Error>()
  readonly opened: string[] = []
  closed = 0

  async ofCell(): Promise<readonly AhaMember[]> {
    if (this.listed instanceof Error) throw this.listed
    return this.listed
  }

  async open(url: string | readonly string[]): Promise<TelepathProxy> {
    this.opened.push(String(url))
    const answer = this.infos.get(String(url))
    if (answer instanceof Error) throw answer
    const close = async () => {
      this.closed += 1
    }
    return {...answering(answer), [Symbol.asyncDispose]: close} as unknown as TelepathProxy
  }
}

let world: World
beforeEach(() => {
  world = new World()
})

describe('the services of a cell', () => {
  test('are asked, each once, and put in order; who is asked first not again', async () => {
    world.listed = [entry('01.axon'), entry('02.axon', {isOnline: false}), entry('00.axon')]
    world.infos.set('aha://visi@00.axon.demo.net', info('00.axon', LEADER))
    const group = await readGroup(answering(info('01.axon', {})), world, {signal, user: 'visi'})
    expect(group).toMatchObject({iden: 'f00d', leaderAlias: 'axon', isListed: true, isNamed: true})
    expect(group.members.map(({name, isOnline}) => [name, isOnline])).toEqual([
      ['00.axon.demo.net', true],
      ['01.axon.demo.net', true],
      ['02.axon.demo.net', false],
    ])
    expect(group.me).toMatchObject({name: '01.axon.demo.net', address: 'h:1', state: {nexusIndex: 5}})
    expect(group.members[0]?.state).toMatchObject({isActive: true, nexusIndex: 8, mirror: null})
    expect([world.opened, world.closed]).toEqual([['aha://visi@00.axon.demo.net'], 1])
    expect(JSON.stringify(group)).not.toContain('needle')
  })

  test('that cannot be asked are there with the reason', async () => {
    world.listed = [entry('01.axon'), entry('00.axon')]
    world.infos.set('aha://00.axon.demo.net', new RegistryError('REG_DENIED', 'not you'))
    const {members} = await readGroup(answering(info('01.axon', {})), world, {signal})
    expect(members[0]).toMatchObject({state: undefined, error: {message: 'not you'}})
  })

  test('are of the same cell, whatever AHA says', async () => {
    world.listed = [entry('01.axon'), entry('00.axon')]
    world.infos.set('aha://00.axon.demo.net', info('00.axon', {...LEADER, iden: 'beef'}))
    const {members} = await readGroup(answering(info('01.axon', {})), world, {signal})
    expect(members[0]).toMatchObject({
      state: undefined,
      error: {code: 'REG_CONFLICT', message: '00.axon.demo.net is of another cell: beef, not f00d'},
    })
  })

  test('are not known when AHA cannot be asked, or knows none', async () => {
    world.listed = new RegistryError('REG_UNREACHABLE', 'away')
    const alone = await readGroup(answering(info('01.axon', {})), world, {signal})
    expect(alone).toMatchObject({isListed: false, error: {message: 'away'}, members: [{name: '01.axon.demo.net'}]})
    world.listed = []
    const unknown = await readGroup(answering(info('01.axon', {})), world, {signal})
    expect(unknown).toMatchObject({isListed: false, error: {message: 'no AHA knows the cell f00d'}})
  })

  test('are not asked for of a service without a name', async () => {
    world.listed = new Error('asked')
    const group = await readGroup(answering(info(null, {...LEADER, aha: {}})), world, {signal})
    expect(group).toMatchObject({isListed: false, isNamed: false, leaderAlias: null, members: [{name: 'axon f00d'}]})
    expect(group.error).toBeUndefined()
  })

  test('are not asked any more when the command is cancelled', async () => {
    const cancelled = new RegistryError('REG_CANCELLED', 'enough')
    world.listed = cancelled
    await expect(readGroup(answering(info('01.axon', {})), world, {signal})).rejects.toBe(cancelled)
    world.listed = [entry('00.axon')]
    world.infos.set('aha://00.axon.demo.net', cancelled)
    await expect(readGroup(answering(info('01.axon', {})), world, {signal})).rejects.toBe(cancelled)
  })
})

describe('the members of a cell of ours', () => {
  const listed = (name: string, more: Readonly<Record<string, Value>>): Value => ({
    ...{member: 'f'.repeat(32), name, urls: [`ssl://${name}:27492`], isSelf: false, role: 'follows', isOnline: true},
    ...{isReady: true, nextOffset: 5, lagEntries: 0, lagMs: 0, lastSeenMs: 1, version: '1.0.0', ...more},
  })
  const ours = (list: readonly Value[] | Error): Callable => {
    const call = async (method: string) => {
      if (method === 'getCellInfo') return info(null, {})
      if (list instanceof Error) throw list
      return list
    }
    const methods = new Map([['getMembers', {isGenerator: false}]])
    return {info: {classes: [], methods}, call} as unknown as Callable
  }

  test('are those that it tells of, and nobody else is asked', async () => {
    const group = await readGroup(
      ours([
        listed('01.demo.net', {isSelf: true, nextOffset: 7, lagEntries: 1}),
        listed('00.demo.net', {role: 'leads', nextOffset: 8}),
        listed('02.demo.net', {isOnline: false, nextOffset: null}),
      ]),
      world,
      {signal, url: 'cell:///srv/one'},
    )
    expect(world.opened).toEqual([])
    expect(group).toMatchObject({
      me: {name: '01.demo.net', url: 'cell:///srv/one'},
      isListed: true,
      isNamed: true,
      isFencing: true,
    })
    expect(group.members.map(({name, state}) => [name, state?.isActive, state?.nexusIndex])).toEqual([
      ['00.demo.net', true, 8],
      ['01.demo.net', false, 7],
      ['02.demo.net', undefined, undefined],
    ])
    expect(group.members[0]).toMatchObject({url: 'ssl://00.demo.net:27492', address: '00.demo.net:27492'})
  })

  test('are looked at again while nobody leads, as the lead may be moving; one that is gone is told of', async () => {
    const me = listed('01.demo.net', {isSelf: true})
    const looks = [listed('00.demo.net', {isOnline: false}), listed('00.demo.net', {role: 'leads'})]
    const group = await whenSettled(() => readGroup(ours([me, looks.shift() ?? null]), world, {signal}), signal)
    expect(group.members.map(({state}) => state?.isActive)).toEqual([true, false])
    const gone = ours([me, listed('00.demo.net', {isOnline: false})])
    const still = await whenSettled(() => readGroup(gone, world, {signal}), signal)
    expect(still.members.map(({state}) => state?.isActive)).toEqual([undefined, false])
    await expect(
      whenSettled(() => readGroup(gone, world, {signal}), AbortSignal.abort(new Error('enough'))),
    ).rejects.toThrow()
  })

  test('say what keeps them from their work', async () => {
    const group = await readGroup(
      ours([
        listed('00.demo.net', {isSelf: true, role: 'fenced', fenceEpoch: 7}),
        listed('01.demo.net', {role: 'leads', isOnline: false}),
        listed('02.demo.net', {isOnline: false}),
      ]),
      world,
      {signal},
    )
    // Whether the others are there is not known to it.
    expect(problemsOf(group.members)).toEqual(['00.demo.net is fenced: 01.demo.net took the lead'])
    expect(group.members.map(roleOf)).toEqual(['mirror', 'leader', 'unknown'])
    expect(group.me.state?.outranked).toEqual({leader: '01.demo.net', epoch: 7})
  })

  test('are told to administrators only: others see the one that they ask', async () => {
    const group = await readGroup(ours(new RegistryError('REG_DENIED', 'not an admin')), world, {signal})
    expect(group.members).toHaveLength(1)
    expect(group.isFencing).toBeUndefined()
  })

  test('that it does not tell in our form are refused', async () => {
    await expect(readGroup(ours([listed('00', {role: 'rules'}), 5]), world, {signal})).rejects.toMatchObject({
      code: 'REG_BAD_ANSWER',
    })
  })
})
