// The bridge with real clients on both sides: a real Axon that lives on our AHA is seen by real CGSE clients, and what those register is seen
// by stock tools and a real Telepath client.
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {Agent, type PeerClient} from './agent.ts'
import {NETWORK, OurAha} from './our-aha.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {SynapseService} from './synapse-world.ts'
import {eventually, type Service} from './world.ts'

const UP_WITHIN_MS = 120_000
const BRIDGE = {'bridge:zmq:to:aha': true, 'bridge:aha:to:zmq': true}
const AXON_ID = `aha:00.axon.${NETWORK}`

let aha: OurAha
let axon: SynapseService
let agent: Agent
let client: PeerClient

showLogsWhenFailed()

beforeAll(async () => {
  aha = await OurAha.start(BRIDGE)
  agent = await Agent.start('0.25.11', aha.server.ports)
  client = await agent.client('async', aha.server.ports, {timeout: 8})
  await client.call('connect')
  const onceUrl = await aha.ask('addAhaSvcProv', '00.axon')
  axon = await SynapseService.start('axon', {network: NETWORK, conf: {'aha:provision': onceUrl}})
  await aha.shown('axon', true, UP_WITHIN_MS)
})

afterAll(async () => {
  await axon?.[Symbol.asyncDispose]()
  await agent?.[Symbol.asyncDispose]()
  await aha?.[Symbol.asyncDispose]()
})

async function listed(type: string): Promise<readonly Service[]> {
  return (await client.call('list_services', {service_type: type})) as unknown as Service[]
}

describe('a real CGSE client', () => {
  test('lists, gets and discovers a real Axon that is online in AHA', async () => {
    const {port} = (await aha.entry('00.axon...'))?.svcinfo.urlinfo ?? {port: 0}
    const found = await listed('axon')
    expect(found.map(({id}) => id).sort()).toEqual([AXON_ID, `aha:axon.${NETWORK}`])
    expect(await client.call('get_service', {service_id: AXON_ID})).toMatchObject({host: '127.0.0.1', port})
    expect(await client.call('discover_service', {service_type: 'axon'})).toMatchObject({port, health: 'passing'})
  })

  test('cannot take it out, and is told why', async () => {
    const refused = {success: false, error: expect.stringMatching(/^services of AHA are read-only here/)}
    expect(await client.request({action: 'deregister', service_id: AXON_ID})).toEqual(refused)
    expect(await client.request({action: 'renew', service_id: AXON_ID})).toEqual(refused)
    expect(await listed('axon')).toHaveLength(2)
  })

  test('sees it no longer when it was killed, and again when it is back', async () => {
    await axon.kill()
    await eventually('the Axon is gone', async () => (await listed('axon')).length === 0 || undefined)
    await axon.start()
    await eventually('the Axon is back', async () => (await listed('axon')).length === 2 || undefined)
  })

  test('sees it again by itself when our server was killed', async () => {
    await aha.server.kill()
    await aha.server.start()
    await eventually('the Axon is back', async () => (await listed('axon')).length === 2 || undefined)
  })
})

describe('a service of ZeroMQ', () => {
  test('is listed by the stock tool and found by a real Telepath client, and changes nothing for the Axon', async () => {
    const before = await aha.entry('axon...')
    for (const name of ['CORTEX', `axon.${NETWORK}`]) {
      await client.call('register', {name, host: '10.1.2.3', port: 5001, service_type: 'camera', ttl: 300})
    }
    const {status, stdout} = await aha.tool('aha.list', [aha.cellUrl, NETWORK])
    expect(status).toBe(0)
    const lines = stdout.trimEnd().split('\n').slice(1)
    expect(lines.map((line) => line.split(/\s+/).slice(0, 7))).toEqual([
      ['00.axon', NETWORK, 'True', 'True', 'ssl', '127.0.0.1', expect.any(String)],
      ['axon', NETWORK, 'True', 'True', 'ssl', '127.0.0.1', expect.any(String)],
      ['axon-loop-test.zmq', NETWORK, expect.any(String), 'True', 'zmq', '10.1.2.3', '5001'],
      ['cortex.zmq', NETWORK, expect.any(String), 'True', 'zmq', '10.1.2.3', '5001'],
    ])
    const real = await aha.agent(await aha.homeOfRoot())
    const proxy = await real.open('aha://axon...')
    expect(proxy.info.ahaname).toBe(`00.axon.${NETWORK}`)
    expect(await aha.entry('axon...')).toEqual(before)
    expect(await aha.entry('cortex...')).toBeNull()
    const refused = await real.open('aha://cortex.zmq...').catch((error: unknown) => error)
    expect(refused).toMatchObject({errname: 'BadUrl'})
  })
})
