// A real Axon that knows no other AHA than a mirror of ours: it provisions itself there, registers, is found, and goes. All of it is done by the leader.
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {copyOf, NETWORK, newLeader, type TestMember} from '../support/mirror-pair.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {SynapseService} from './synapse-world.ts'

const OPTIONS = {'provision:listen': 'ssl://127.0.0.1:0'}
const WITHIN = {timeout: 120_000, interval: 50}

let leader: TestMember
let mirror: TestMember
let axon: SynapseService

showLogsWhenFailed()

beforeAll(async () => {
  leader = await newLeader()
  await leader.start(OPTIONS)
  await leader.stop()
  mirror = await copyOf(leader, `01.${NETWORK}`)
  await leader.start(OPTIONS)
  await mirror.start({...OPTIONS, mirror: leader.url})
  await mirror.event('mirror.caught-up')
})
afterAll(async () => {
  await axon?.[Symbol.asyncDispose]()
  await mirror[Symbol.asyncDispose]()
  await leader[Symbol.asyncDispose]()
})

/** The same one-time URL, at the listener of the mirror. */
async function atMirror(url: string): Promise<string> {
  const {port} = new URL(mirror.server.listeners.provision?.url ?? '')
  const {fingerprint256} = await new CertDir(join(mirror.dir, 'certs')).certificate('host', mirror.name)
  const certhash = fingerprint256.replaceAll(':', '').toLowerCase()
  return `ssl://127.0.0.1:${port}${new URL(url).pathname}?certhash=${certhash}`
}

/** Whether a service is online, as both members say. */
async function online(name: string): Promise<readonly boolean[]> {
  const entries = await Promise.all([leader, mirror].map((member) => member.call('getAhaSvc', `${name}.${NETWORK}`)))
  return entries.map((entry) => (entry as {svcinfo: {online?: string}} | null)?.svcinfo.online !== undefined)
}

test('a real Axon provisions itself at a mirror, and registers there', async () => {
  const conf = {'aha:registry': [`${mirror.url}&certname=root@${NETWORK}`]}
  const url = await atMirror(String(await mirror.call('addAhaSvcProv', '00.axon', {conf})))
  axon = await SynapseService.start('axon', {network: NETWORK, conf: {'aha:provision': url}})
  expect(await readFile(join(axon.dir, 'cell.yaml'), 'utf8').catch(() => '')).not.toContain(leader.name)
  await expect.poll(() => online('00.axon'), WITHIN).toEqual([true, true])
  await expect.poll(() => online('axon'), WITHIN).toEqual([true, true])
  const {svcinfo} = (await leader.call('getAhaSvc', `axon.${NETWORK}`)) as {svcinfo: {urlinfo: object; ready: boolean}}
  expect(svcinfo).toMatchObject({ready: true, urlinfo: {host: '127.0.0.1', hostname: `00.axon.${NETWORK}`}})
})

test('it goes offline at both when it stops', async () => {
  await axon.stop()
  await expect.poll(() => online('axon'), WITHIN).toEqual([false, false])
  await expect.poll(() => online('00.axon'), WITHIN).toEqual([false, false])
})
