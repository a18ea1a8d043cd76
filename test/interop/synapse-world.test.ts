import {expect, test} from 'vitest'
import {Float} from '../../src/wire/msgpack/value.ts'
import {SynapseAgent} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {AhaNetwork, runTool, SynapseService} from './synapse-world.ts'

showLogsWhenFailed()

test('the agent and the probe exchange every kind of value', async () => {
  await using probe = await SynapseService.start('probe', {conf: {'auth:passwd': 'secret', 'https:port': 0}})
  await using agent = await SynapseAgent.start()
  expect(probe.ports.https).toBeGreaterThan(0)
  for (const url of [probe.tcpUrl, probe.cellUrl]) {
    const proxy = await agent.open(url)
    const value = [null, true, 2n ** 70n, new Float(1), Buffer.from('00ff', 'hex'), new Map([[1, 'a']]), {a: [0.5, -1]}]
    expect(await proxy.call('value', {args: [value]})).toEqual(value)
    expect(await proxy.items('count', {args: [5]})).toEqual([0, 1, 2, 3, 4])
    expect(await proxy.items('count', {args: [5]}, 2)).toEqual([0, 1])
    const failed = proxy.call('fail', {args: ['BadArg', {mesg: 'no', name: 'x'}]})
    await expect(failed).rejects.toMatchObject({errname: 'BadArg', info: {mesg: 'no', name: 'x'}})
    const share = await proxy.share('share', {args: [3]})
    expect(await share.call('add', {args: [4]})).toBe(7)
    expect(await share.items('upto', {args: [9]})).toEqual([7, 8])
    await share.close()
    expect(await proxy.call('state')).toMatchObject({shares: 0, streams: 0})
    await proxy.close()
  }
})

test('a service of a real network is reached by name, and again after a restart', async () => {
  await using network = await AhaNetwork.start()
  const [home, axon] = await Promise.all([network.enroll('visi'), network.service('axon', '00.axon')])
  const listed = await runTool('aha.list', [network.aha.cellUrl], {home, network: network.network})
  expect(listed.stdout).toContain('00.axon')
  const agent = await network.agent({home})
  const pinged = agent.open('aha://visi@axon...')
  await expect(pinged).rejects.toMatchObject({errname: 'NoSuchUser'})
  const {ports} = axon
  await axon.restart()
  expect(axon.ports).toEqual(ports)
  await network.online('00.axon')
})
