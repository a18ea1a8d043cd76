// An AHA with the configuration that documents of older releases of the peer have: `aha:name` in place of `dns:name`, fixed URLs, an administrator
// with a certificate, and one-time URLs without TLS.
import {readdir} from 'node:fs/promises'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {lastingPort} from '../support/lasting-port.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {runTool, SynapseService, type ToolResult} from './synapse-world.ts'

const NETWORK = 'old.test'
const ADMIN = `boss@${NETWORK}`

let server: TestServer
let urls: string
let axon: SynapseService

showLogsWhenFailed()

beforeAll(async () => {
  // `aha:urls` has to name a port before there is a listener. Without a user in them services have no certificate, at a real AHA too.
  const port = await lastingPort()
  urls = `ssl://root@aha.${NETWORK}:${port}`
  server = await startServer({
    conf: {
      'aha:name': 'aha',
      'aha:network': NETWORK,
      'aha:admin': ADMIN,
      'aha:urls': urls,
      'dmon:listen': `ssl://127.0.0.1:${port}?hostname=aha.${NETWORK}&ca=${NETWORK}`,
      'provision:listen': 'tcp://127.0.0.1:0',
    },
  })
})
afterAll(async () => {
  await axon?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

const tool = (name: string, ...args: readonly string[]): Promise<ToolResult> =>
  runTool(name, args, {home: server.dir, network: NETWORK})

test('it has a certificate for itself and for its administrator', async () => {
  expect((await readdir(join(server.dir, 'certs', 'hosts'))).toSorted()).toEqual([
    `aha.${NETWORK}.crt`,
    `aha.${NETWORK}.key`,
  ])
  expect(await readdir(join(server.dir, 'certs', 'users'))).toEqual(
    expect.arrayContaining([`${ADMIN}.crt`, `${ADMIN}.key`]),
  )
})

test('a real service is provisioned by a one-time URL without TLS, and lives on it', async () => {
  const {stdout} = await tool('aha.provision.service', '--url', `cell://${server.dir}`, '--only-url', '00.axon')
  expect(stdout).toMatch(new RegExp(`^tcp://aha\\.${NETWORK}:\\d+/[0-9a-f]{32}\\n$`))
  axon = await SynapseService.start('axon', {network: NETWORK, conf: {'aha:provision': stdout.trim()}})
  await expect
    .poll(() => tool('aha.list', `cell://${server.dir}`).then((listed) => listed.stdout), {timeout: 120_000})
    .toMatch(/^00\.axon +old\.test +True +True .+^axon +old\.test +True +True/ms)
})

test('the administrator may do everything, over TLS', async () => {
  const certdir = join(server.dir, 'certs')
  const args = ['--url', urls.replace('root', 'boss'), '--only-url', '01.axon']
  const minted = await runTool('aha.provision.service', args, {
    home: server.dir,
    network: NETWORK,
    env: {SYN_CERT_DIR: certdir},
  })
  expect(minted).toMatchObject({status: 0, stdout: expect.stringMatching(/^tcp:/)})
})
