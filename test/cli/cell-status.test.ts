import {beforeEach, describe, expect, test} from 'vitest'
import {readCellStatus} from '../../src/cli/cell-status.ts'
import {statusText} from '../../src/cli/registry-status.ts'
import {lookAtCell} from '../../src/cli/status-look.ts'
import {CellAdmin} from '../../src/client/admin.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {TestCell} from '../support/cell.ts'
import {DirectCall} from '../support/cell-proxy.ts'

const INFO = {
  synapse: {verstring: '2.256.0'},
  cell: {
    ...{type: 'axon', iden: 'f00d', run: 'beef', active: false, ready: true, started: 5000, verstring: '2.1.0'},
    ...{nexsindx: 64, mirror: 'ssl://root:needle@aha', nexus: {readonly: true}},
    aha: {name: '00.axon', leader: 'axon', network: 'demo.net'},
  },
}
const HEALTH = {
  status: 'degraded',
  components: [
    {status: 'degraded', name: 'disk', mesg: 'almost full', data: {free: 4}},
    {status: 'nominal', name: 'store', mesg: '', data: {}},
  ],
}
const {signal} = new AbortController()

/** A service that is not ours: what it answers is given. */
class Foreign extends DirectCall {
  readonly answers: Readonly<Record<string, Value>>
  failure: Error | undefined
  closes = 0

  constructor(calls: ConstructorParameters<typeof DirectCall>[0], answers: Readonly<Record<string, Value>>) {
    super(calls)
    this.answers = answers
  }

  override get info() {
    return {classes: [], methods: new Map()}
  }

  override async call(method: string): Promise<Value> {
    if (this.failure !== undefined) throw this.failure
    return this.answers[method]
  }

  async close(): Promise<void> {
    this.closes += 1
  }
}

let cell: TestCell
let foreign: Foreign
beforeEach(async () => {
  cell = await TestCell.open(
    {},
    {registry: {info: () => ({status: 'ok', registry: {}}), setMaintenance: async () => null}},
  )
  const answers = {getCellInfo: INFO, getHealthCheck: HEALTH, getUserDefs: [{}, {}]}
  foreign = new Foreign(await cell.session(undefined), answers)
})

describe('the status of a service', () => {
  test('that is not ours is told from what all of them say', async () => {
    const status = await readCellStatus(foreign, 'tcp://root:needle@h', signal)
    expect(status).toMatchObject({
      ...{url: 'tcp://root:****@h', status: 'degraded', software: 'synapse', version: '2.1.0', users: 2},
      startedAt: '1970-01-01T00:00:05.000Z',
      cell: {
        ...{type: 'axon', active: false, ready: true, nexusIndex: 64, readOnly: true, synapseVersion: '2.256.0'},
        ...{mirror: 'ssl://root:****@aha', aha: {name: '00.axon', leader: 'axon', network: 'demo.net'}},
      },
      health: HEALTH,
    })
    const text = statusText(status)
    expect(text).toMatch(/^status +degraded$/m)
    expect(text).toMatch(/^ {2}disk +degraded: almost full$/m)
    expect(text).toMatch(/^role +mirror of ssl:\/\/root:\*\*\*\*@aha, read-only$/m)
    expect(text).toMatch(/^AHA +00\.axon\.demo\.net, leader axon$/m)
    expect(text).not.toContain('store')
  })

  test('says of one that was fenced who took the lead from it', async () => {
    const about = {...INFO.cell, mirror: null, mirroring: {role: 'fenced', leader: '01.demo.net', fence_epoch: 7}}
    const answers = {getCellInfo: {...INFO, cell: about}, getHealthCheck: HEALTH, getUserDefs: [{}, {}]}
    const status = await readCellStatus(new Foreign(await cell.session(undefined), answers), 'cell://d', signal)
    expect(status.cell).toMatchObject({active: false, fencedBy: '01.demo.net'})
    expect(statusText(status)).toMatch(/^role +fenced: 01\.demo\.net took the lead, read-only$/m)
  })

  test('leaves out what the caller may not know', async () => {
    await new CellAdmin(new DirectCall(await cell.session(undefined))).addUser('visi', undefined)
    const status = await readCellStatus(new DirectCall(await cell.session('visi')), 'cell://d', signal)
    expect(status).toMatchObject({status: 'ok', software: 'registry'})
    expect([status.health, status.users]).toEqual([undefined, undefined])
  })

  test('of ours has the figures of the registry', async () => {
    const status = await readCellStatus(new DirectCall(await cell.session(undefined)), 'cell://d', signal)
    expect(status).toMatchObject({users: 1, counts: {services: 0}, health: {status: 'nominal'}})
  })

  test('that makes no sense is refused', async () => {
    const odd = new Foreign(await cell.session(undefined), {getCellInfo: 'fine'})
    await expect(readCellStatus(odd, 'cell://d', signal)).rejects.toMatchObject({code: 'REG_BAD_ANSWER'})
  })
})

test('a look opens a session when it needs one, and another when that is gone', async () => {
  let opened = 0
  const open = async () => {
    opened += 1
    return {url: 'cell://d', cell: foreign as unknown as TelepathProxy}
  }
  const at = await lookAtCell(open, signal)
  await at.look()
  await at.look()
  expect([opened, foreign.closes]).toEqual([1, 0])
  foreign.failure = new Error('gone')
  await expect(at.look()).rejects.toThrow('gone')
  foreign.failure = undefined
  await at.look()
  expect([opened, foreign.closes]).toEqual([2, 1])
  await at[Symbol.asyncDispose]()
  expect(foreign.closes).toBe(2)
})
