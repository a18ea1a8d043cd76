// A whole deployment of real services lives on our registry in place of a real AHA, operated with the stock tools.
import {afterAll, beforeAll, expect, test} from 'vitest'
import {NETWORK} from './our-aha.ts'
import {isDown, isUp, OurDeployment} from './our-deployment.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'

const DOWN_WITHIN_MS = 5000

let net: OurDeployment

showLogsWhenFailed()

beforeAll(async () => {
  net = await OurDeployment.start({cortex: true, mirror: true, cryotank: true})
})
afterAll(() => net?.[Symbol.asyncDispose]())

/** What `aha.list` says of each service: who leads, and who is online. */
async function listed(): Promise<Readonly<Record<string, string>>> {
  const {status, stdout} = await net.tool('aha.list', [net.aha.cellUrl, NETWORK])
  expect(status).toBe(0)
  const rows = stdout.trimEnd().split('\n').slice(1)
  return Object.fromEntries(
    rows.map((row) => {
      const [name, , leads, online] = row.split(/\s+/)
      return [name, `${leads} ${online}`]
    }),
  )
}

test('all of them are listed by the stock tool', async () => {
  expect(await listed()).toEqual({
    '00.axon': 'True True',
    '00.cortex': 'True True',
    '00.cryotank': 'True True',
    '00.jsonstor': 'True True',
    '01.cortex': 'False True',
    axon: 'True True',
    cortex: 'True True',
    cryotank: 'True True',
    jsonstor: 'True True',
  })
})

test('a service that was killed is offline, with its alias, and online when it is back', async () => {
  const tank = net.of('00.cryotank')
  await tank.kill()
  for (const name of ['00.cryotank', 'cryotank']) await net.until(name, isDown, DOWN_WITHIN_MS)
  await tank.start()
  for (const name of ['00.cryotank', 'cryotank']) await net.until(name, isUp)
})
