// One-time URLs for other members: the stock tool makes one at our AHA, and a real AHA that is given it learns why it cannot be a copy of ours. Our
// command makes one at a real AHA.
import {afterAll, beforeAll, expect, test} from 'vitest'
import {runCli} from '../support/cli.ts'
import {AHA_NAME, NETWORK, OurAha} from './our-aha.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {AhaNetwork, SynapseService} from './synapse-world.ts'

const CLONE = `01.${AHA_NAME}`
const URL_FORM = `ssl://${AHA_NAME}:\\d+/[0-9a-f]{32}\\?certhash=[0-9a-f]{64}`

let aha: OurAha

showLogsWhenFailed()

beforeAll(async () => {
  aha = await OurAha.start()
})
afterAll(() => aha?.[Symbol.asyncDispose]())

test('the stock tool prints a URL of ours as it prints one of its own', async () => {
  const args = ['--url', aha.cellUrl, '--port', '31201', CLONE]
  const {status, stdout} = await aha.tool('aha.clone', args)
  expect(status).toBe(0)
  expect(stdout).toMatch(new RegExp(`^one-time use URL: ${URL_FORM}\n$`))
  const bare = await aha.tool('aha.clone', ['--only-url', ...args])
  expect(bare.stdout).toMatch(new RegExp(`^${URL_FORM}\n$`))
  const {stdout: error} = await aha.tool('aha.clone', ['--url', aha.cellUrl, AHA_NAME])
  expect(error).toBe(`ERROR: ${AHA_NAME} is the name of this AHA itself: another one is needed\n`)
  const again = await aha.tool('aha.clone', ['--url', aha.cellUrl, 'x'.repeat(65)])
  expect(again.stdout).toMatch(/^ERROR: Hostname value must not exceed 64 characters/)
})

test('a real AHA that is to become a copy of ours ends and says why, and the URL stays good', async () => {
  const url = await aha.ask('addAhaClone', CLONE)
  const started = SynapseService.start('aha', {network: NETWORK, conf: {clone: url}})
  const {message} = await started.then(
    () => new Error('it started'),
    (error: Error) => error,
  )
  expect(message).toContain('ended before it was ready')
  expect(message).toContain('FeatureNotSupported')
  expect(message).toContain('its files are not those of a Synapse AHA: it cannot be cloned by one')
  const {stdout} = await runCli(['provision', 'list', '--json', '--url', aha.cellUrl])
  const {provisions} = JSON.parse(stdout) as {provisions: {kind: string; name: string; state: string}[]}
  expect(provisions.at(-1)).toMatchObject({kind: 'clone', name: CLONE, state: 'pending'})
})

test('our command makes the URL of a real AHA, which is for a real one', async () => {
  await using network = await AhaNetwork.start()
  const {status, stdout} = await runCli(['clone', `01.${AHA_NAME}`, '--url', network.aha.cellUrl])
  expect(status).toBe(0)
  expect(stdout).toMatch(/^url +ssl:\/\/\S+\n/)
  expect(stdout).toContain("SYN_AHA_CLONE='URL'")
  expect(stdout).toMatch(/^expires +never$/m)
})
