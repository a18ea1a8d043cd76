// An Axon that has lived without AHA, and has data, comes to live on our registry.
import {readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {parse, stringify} from 'yaml'
import {NETWORK, OurAha} from './our-aha.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {SynapseService} from './synapse-world.ts'

const UP_WITHIN_MS = 120_000

showLogsWhenFailed()

test('an Axon that gets a one-time URL later keeps its data and its users, and is found by its name', {
  timeout: 600_000,
}, async () => {
  await using aha = await OurAha.start()
  await using axon = await SynapseService.start('axon', {network: NETWORK, conf: {'auth:passwd': 'secret'}})
  const stranger = await aha.agent(await aha.home())
  const before = await stranger.open(axon.tcpUrl)
  const [size, sha256] = (await before.call('put', {args: [Buffer.from('from before')]})) as [number, Uint8Array]
  const iden = await before.call('getCellIden')
  await before.call('addUser', {args: ['visi']})
  await axon.stop()

  const file = join(axon.dir, 'cell.yaml')
  const {'dmon:listen': listen, ...conf} = parse(await readFile(file, 'utf8')) as Record<string, unknown>
  expect(listen).toMatch(/^tcp:/)
  await writeFile(file, stringify({...conf, 'aha:provision': await aha.ask('addAhaSvcProv', '00.axon')}))
  await axon.start()
  for (const name of ['00.axon', 'axon']) await aha.shown(name, true, UP_WITHIN_MS)

  const agent = await aha.agent(await aha.homeOfRoot())
  const after = await agent.open('aha://axon...')
  expect(after.info.ahaname).toBe(`00.axon.${NETWORK}`)
  expect(await after.call('getCellIden')).toBe(iden)
  expect(await after.call('size', {args: [sha256]})).toBe(size)
  expect(await after.call('getUserDefByName', {args: ['visi']})).toMatchObject({name: 'visi'})
})
