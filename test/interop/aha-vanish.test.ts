// A host that vanishes without a word: its cable is taken out, and nobody closes a connection.
import {expect, test} from 'vitest'
import {NETWORK, OurAha} from './our-aha.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {SynapseService} from './synapse-world.ts'
import {TwoHosts} from './two-hosts.ts'

const UP_WITHIN_MS = 120_000
const GONE_WITHIN_MS = 120_000
const TEST_MS = 600_000

showLogsWhenFailed()

test('a real service is offline soon after its host has vanished, and online when it is back', {
  timeout: TEST_MS,
}, async () => {
  await using hosts = await TwoHosts.start()
  const [here, there] = hosts.addresses
  await using aha = await OurAha.start({}, {address: here, inside: hosts.on(0)})
  const url = await aha.ask('addAhaSvcProv', '00.axon')
  await using axon = await SynapseService.start('axon', {
    network: NETWORK,
    conf: {'aha:provision': url},
    env: {PEER_ADDRESS: here},
    inside: hosts.on(1),
  })
  const names = ['00.axon', 'axon']
  const shown = (isOnline: boolean, withinMs: number) =>
    Promise.all(names.map((name) => aha.shown(name, isOnline, withinMs)))
  await shown(true, UP_WITHIN_MS)
  expect((await aha.entry('00.axon...'))?.svcinfo.urlinfo).toMatchObject({host: there})
  await hosts.cut(1)
  await shown(false, GONE_WITHIN_MS)
  // The process is still there, and knows nothing.
  expect(process.kill(axon.pid, 0)).toBe(true)
  await hosts.mend(1)
  await shown(true, UP_WITHIN_MS)
})
