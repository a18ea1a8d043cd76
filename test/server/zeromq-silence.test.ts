import {expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {settle, TestApi, TestPeer} from '../support/api.ts'

test('what waits behind a change is not answered when another member takes the lead meanwhile', async () => {
  let silence: string | undefined
  const api = await TestApi.start({silence: () => silence})
  const peer = new TestPeer()
  const send = (request: object) =>
    api.api.onRequest(peer, [Buffer.from('REQ'), Buffer.from(JSON.stringify(request))], 'envelope')
  send({action: 'register', service_info: {id: 'a', name: 'a', host: 'h', port: 1, type: 't'}})
  send({action: 'list'})
  send({action: 'health'})
  silence = 'another one leads'
  api.changes.abandon(new RegistryError('REG_FENCED', 'another one leads'))
  await settle()
  const [, list, health] = peer.received.map((frames) => JSON.parse(frames[1] ?? 'null'))
  expect(list).toMatchObject({success: false, error: 'another one leads'})
  expect(health).toMatchObject({success: true})
  api.close()
})
