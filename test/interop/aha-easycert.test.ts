// The stock tool for certificates, against our registry as the AHA.
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {parseCertificate} from '../../src/pki/cert-files.ts'
import {AHA_NAME, NETWORK, OurAha} from './our-aha.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import type {ToolResult} from './synapse-world.ts'

let aha: OurAha
let home: string

showLogsWhenFailed()

beforeAll(async () => {
  aha = await OurAha.start()
  home = await aha.homeOfRoot()
})
afterAll(() => aha?.[Symbol.asyncDispose]())

/** Its certificates are in that directory, as which the tool shows its home. */
function easycert(...args: readonly string[]): Promise<ToolResult> {
  const url = `ssl://root@${AHA_NAME}:${aha.port}`
  return aha.tool('aha.easycert', ['-a', url, '--certdir', join(home, 'made'), ...args], home)
}

async function made(path: string) {
  return parseCertificate(await readFile(join(home, 'made', path), 'utf8'), path)
}

test('gets the certificate of the authority', async () => {
  const {status, stdout} = await easycert('--ca', NETWORK)
  expect({status, stdout}).toEqual({
    status: 0,
    stdout: `Saved CA cert to ${join(home, 'made', 'cas', `${NETWORK}.crt`)}\n`,
  })
  expect((await made(`cas/${NETWORK}.crt`)).fingerprint256).toBe(
    parseCertificate(await readFile(join(aha.server.dir, 'certs', 'cas', `${NETWORK}.crt`), 'utf8'), 'ours')
      .fingerprint256,
  )
})

test('gets a certificate for a host, with other names', async () => {
  const name = `07.cam.${NETWORK}`
  const sans = `DNS:cam.${NETWORK},DNS:cam.example.org`
  const {status, stdout} = await easycert('--server', '--server-sans', sans, '--network', NETWORK, name)
  expect(stdout).toContain(`crt saved: ${join(home, 'made', 'hosts', `${name}.crt`)}\n`)
  expect(status).toBe(0)
  const {subject, issuer, subjectAltName} = await made(`hosts/${name}.crt`)
  expect({subject, issuer}).toEqual({subject: `CN=${name}`, issuer: `CN=${NETWORK}`})
  expect(subjectAltName).toBe(`DNS:${name}, DNS:cam.example.org, DNS:cam.${NETWORK}`)
})

test('gets a certificate for a user, who may then come with it', async () => {
  await aha.ask('addUser', `visi@${NETWORK}`)
  const {status} = await easycert('--network', NETWORK, `visi@${NETWORK}`, '--certdir', join(home, '.syn', 'certs'))
  expect(status).toBe(0)
  const agent = await aha.agent(home)
  const proxy = await agent.open(`ssl://${AHA_NAME}:${aha.port}/?hostname=${AHA_NAME}&certname=visi@${NETWORK}`)
  expect(await proxy.call('getCellUser')).toMatchObject({name: `visi@${NETWORK}`, admin: false})
})

test('is told why a name is refused, and gets a new authority', async () => {
  const refused = await easycert('--server', '--network', NETWORK, 'www.example.org')
  expect(refused.status).toBe(1)
  expect(refused.stdout).toContain('ERROR: Invalid host CSR CN=www.example.org.')
  const {status, stdout} = await easycert('--ca', 'lab.test')
  expect({status, stdout}).toEqual({
    status: 0,
    stdout: `Saved CA cert to ${join(home, 'made', 'cas', 'lab.test.crt')}\n`,
  })
  expect((await made('cas/lab.test.crt')).subject).toBe('CN=lab.test')
})
