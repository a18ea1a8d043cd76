// The stock tools on our AHA, above all where they refuse: what they print and their exit status is what was recorded with a real AHA, but for
// names, ports and idens. Differences stand in a test of their own, with the reason.
import {readdir} from 'node:fs/promises'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {AHA_NAME, NETWORK, OurAha} from './our-aha.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'

const HEADER =
  'Service              network                        leader online scheme host                 port   connection opts\n'
const CLOSED_PORT = 'ssl://aha.loop.test:1/00112233445566778899aabbccddeeff?certhash=00'

let aha: OurAha
/** Homes of an enrolled user, and of somebody who knows nothing. */
let visi: string
let nobody: string
let enrolled: string
let again: string

showLogsWhenFailed()

beforeAll(async () => {
  aha = await OurAha.start()
  visi = await aha.home()
  nobody = await aha.home()
  enrolled = await aha.ask('addAhaUserEnroll', 'visi')
  again = await aha.ask('addAhaUserEnroll', 'visi', {}, true)
})
afterAll(() => aha?.[Symbol.asyncDispose]())

/** What a tool prints and its exit status, in one text; times and idens are left out. */
async function said(tool: string, args: readonly string[], home = nobody): Promise<string> {
  const {status, stdout} = await aha.tool(tool, args, home)
  return `${stdout.replaceAll(home, 'HOME').replaceAll(/\(_ssl\.c:\d+\)/g, '(_ssl.c)')}exit ${status}`
}

const withHash = (url: string, hash: string) => url.replace(/certhash=\w+/, hash)
const idenOf = (url: string) => new URL(url).pathname.slice(1)

test('enroll', async () => {
  const wrong = '00'.repeat(32)
  expect(await said('aha.enroll', [withHash(enrolled, `certhash=${wrong}`)], visi)).toBe(
    `ERROR: Server cert does not match pinned certhash=${wrong}.\nexit 1`,
  )
  const saved = [
    `Saved CA certificate: HOME/.syn/certs/cas/${NETWORK}.crt`,
    `Saved user certificate: HOME/.syn/certs/users/visi@${NETWORK}.crt`,
  ].join('\n')
  expect(await said('aha.enroll', [enrolled], visi)).toBe(`${saved}\nUpdating known AHA servers\nexit 0`)
  expect(await said('aha.enroll', [enrolled], visi)).toBe(
    `ERROR: Invalid provisioning identifier name=${idenOf(enrolled)}. This could be caused by the re-use of a provisioning URL.\nexit 1`,
  )
  expect(await said('aha.enroll', [again], visi)).toBe(`${saved}\nexit 0`)
  expect(await said('aha.enroll', [CLOSED_PORT])).toBe(
    `ERROR: ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)")\nexit 1`,
  )
})

test('enroll without a hash to pin, where the authority is not known', async () => {
  const reason = 'certificate verify failed: unable to get local issuer certificate (_ssl.c)'
  expect(await said('aha.enroll', [withHash(again, '')])).toBe(
    `ERROR: SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] ${reason}')\nexit 1`,
  )
})

test('provision.user', async () => {
  const args = ['--url', aha.cellUrl]
  expect(await said('aha.provision.user', [...args, 'visi'])).toBe(
    'ERROR: User name (visi) already exists.  Need --again?\nexit 1',
  )
  expect(await said('aha.provision.user', [...args, ''])).toBe(
    'ERROR: Empty name values are not allowed for provisioning.\nexit 1',
  )
  const long = 'u'.repeat(60)
  expect(await said('aha.provision.user', [...args, long])).toBe(
    `ERROR: Username value must not exceed 64 characters in length. username=${long}@${NETWORK}, len=70\nexit 1`,
  )
  expect(await said('aha.provision.user', [...args, '--again', '--only-url', 'visi'])).toMatch(
    new RegExp(`^ssl://${AHA_NAME}:\\d+/[0-9a-f]{32}\\?certhash=[0-9a-f]{64}\nexit 0$`),
  )
})

test('list', async () => {
  const url = `ssl://${AHA_NAME}:${aha.port}`
  expect(await said('aha.list', [aha.cellUrl])).toBe(`${HEADER}exit 0`)
  expect(await said('aha.list', [`${url}?certname=visi@${NETWORK}`], visi)).toBe(
    `${HEADER}ERROR: User must have permission aha.service.get\nexit 1`,
  )
  expect(await said('aha.list', [`${url}?certname=visi@${NETWORK}`, NETWORK], visi)).toBe(`${HEADER}exit 0`)
  expect(await said('aha.list', [`aha://${AHA_NAME}`], visi)).toBe(`ERROR: aha lookup failed: ${AHA_NAME}\nexit 1`)
  expect(await said('aha.list', [`aha://${AHA_NAME}`])).toBe(
    `ERROR: No aha servers registered to lookup ${AHA_NAME}\nexit 1`,
  )
  expect(await said('aha.list', [`${url}?certname=nobody@${NETWORK}`], visi)).toBe(
    `ERROR: User certificate not found: nobody@${NETWORK}\nexit 1`,
  )
})

test('easycert: certificates that our AHA signs', async () => {
  const certs = `${nobody}/ahacerts`
  const easycert = async (...args: readonly string[]) =>
    (await said('aha.easycert', ['-a', aha.cellUrl, '--certdir', certs, ...args])).replaceAll('HOME/ahacerts', 'DIR')
  expect(await easycert('--ca', NETWORK)).toBe(`Saved CA cert to DIR/cas/${NETWORK}.crt\nexit 0`)
  const made = (path: string) =>
    `key saved: ${path}.key\ncsr saved: ${path}.csr\ncrt saved: ${path}.crt\nDeleted CSR at ${path}.csr\nexit 0`
  const host = await easycert('--server', '--server-sans', 'DNS:foo.bar,DNS:x.y', `web.${NETWORK}`)
  expect(host).toBe(made(`DIR/hosts/web.${NETWORK}`))
  expect(await easycert(`bill@${NETWORK}`)).toBe(made(`DIR/users/bill@${NETWORK}`))
  expect(await easycert(`bill@${NETWORK}`)).toBe(`ERROR: Duplicate file DIR/users/bill@${NETWORK}.key\nexit 1`)
  expect((await readdir(`${certs}/users`)).toSorted()).toEqual([`bill@${NETWORK}.crt`, `bill@${NETWORK}.key`])
})

test('a service that nobody can read without a certificate, and nobody can follow or lead', async () => {
  const reason = 'certificate verify failed: self-signed certificate in certificate chain (_ssl.c)'
  expect(await said('aha.list', [`ssl://${AHA_NAME}:${aha.port}`])).toBe(
    `ERROR: SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] ${reason}')\nexit 1`,
  )
  const promoting = `Promoting to leader: ${aha.cellUrl}\nFailed to promote service ${aha.cellUrl}: BadConfValu:`
  expect(await said('service.promote', ['--svcurl', aha.cellUrl])).toBe(
    // The peer says as well where in its source that is.
    `${promoting} mesg='promote() called on non-mirror'\nexit 1`,
  )
})
