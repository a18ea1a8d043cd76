// A user who was enrolled with the stock tool, and was given no rights: with the real client he can neither mint, sign, delete nor read secrets.
import {readdir} from 'node:fs/promises'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {harmfulCalls, isForEnrolled} from '../support/harmful-calls.ts'
import {AHA_NAME, NETWORK, OurAha} from './our-aha.ts'
import type {RealProxy, SynapseAgent} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'

let aha: OurAha
let home: string
let agent: SynapseAgent
let root: RealProxy

showLogsWhenFailed()

beforeAll(async () => {
  aha = await OurAha.start()
  home = await aha.home()
  const enrolled = await aha.tool('aha.enroll', [await aha.ask('addAhaUserEnroll', 'visi')], home)
  expect(enrolled.status, enrolled.stdout).toBe(0)
  await aha.ask('addAhaSvcProv', '00.axon')
  agent = await aha.agent(home)
  root = await agent.open(aha.cellUrl)
})
afterAll(() => aha?.[Symbol.asyncDispose]())

/** All that a change could have altered. */
async function state(): Promise<unknown> {
  return {
    users: await root.call('getUserDefs'),
    roles: await root.call('getRoleDefs'),
    services: await root.items('getAhaSvcs'),
    tickets: await root.items('getProvisions'),
    pools: await root.items('getAhaPools'),
    servers: await root.call('getAhaServers'),
    files: (await readdir(join(aha.server.dir, 'certs'), {recursive: true})).toSorted(),
  }
}

test('no method that is for admins does anything for him', async () => {
  const visi = await agent.open(`ssl://visi@${AHA_NAME}:${aha.port}`)
  expect(await visi.call('getCellUser')).toMatchObject({name: `visi@${NETWORK}`, admin: false})
  const {iden: user} = (await root.call('getUserDefByName', {args: ['root']})) as {readonly iden: string}
  const {iden: role} = (await root.call('getRoleDefByName', {args: ['all']})) as {readonly iden: string}
  const before = await state()
  const done = new Set<string>()
  for (const {method, isGenerator, options} of await harmfulCalls({user, role, network: NETWORK, service: 'cam-1'})) {
    const outcome = isGenerator ? visi.items(method, options) : visi.call(method, options)
    await outcome.then(() => done.add(method)).catch(() => undefined)
  }
  expect([...done].filter((method) => !isForEnrolled(method))).toEqual([])
  expect([...done]).toContain('getAhaSvcs')
  expect(await state()).toEqual(before)
})

test.each([
  ['aha.provision.service', ['--url', 'URL', '07.evil']],
  ['aha.provision.user', ['--url', 'URL', 'eve']],
  ['aha.provision.user', ['--url', 'URL', '--again', 'root']],
  ['aha.easycert', ['-a', 'URL', '--certdir', 'DIR', '--network', NETWORK, `root@${NETWORK}`]],
  ['aha.easycert', ['-a', 'URL', '--certdir', 'DIR', '--server', '--network', NETWORK, AHA_NAME]],
  ['aha.easycert', ['-a', 'URL', '--certdir', 'DIR', '--ca', 'evil.test']],
])('%s %j is refused to him', async (tool, args) => {
  const before = await state()
  const given = args.map((arg) =>
    arg.replace('URL', `ssl://visi@${AHA_NAME}:${aha.port}`).replace('DIR', join(home, 'made')),
  )
  const {status, stdout} = await aha.tool(tool, given, home)
  expect(status).toBe(1)
  expect(stdout).toMatch(/ERROR: User (is not an admin|must have permission aha\.)/)
  expect(await state()).toEqual(before)
})
