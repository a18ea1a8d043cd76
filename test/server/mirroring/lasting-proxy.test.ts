import {expect, test} from 'vitest'
import {LastingProxy} from '../../../src/server/mirroring/lasting-proxy.ts'
import {settle} from '../../support/api.ts'
import {proxyOf} from '../../support/mirror-cell.ts'

/** A session whose calls end when the test says so. */
function setUp() {
  const answer = Promise.withResolvers<string>()
  const seen = {isClosed: false}
  const inner = {
    ...proxyOf(() => answer.promise),
    close: () => {
      seen.isClosed = true
      return Promise.resolve()
    },
  }
  return {answer, seen, proxy: new LastingProxy(inner)}
}

test('a session is closed at once when nothing is under way', async () => {
  const {proxy, seen} = setUp()
  await proxy.close()
  expect(seen.isClosed).toBe(true)
})

test('a call that is under way gets its answer before the session is closed', async () => {
  const {proxy, seen, answer} = setUp()
  const call = proxy.call('forward')
  const closed = proxy.close()
  await settle()
  expect(seen.isClosed).toBe(false)
  answer.resolve('done')
  expect(await call).toBe('done')
  await closed
  expect(seen.isClosed).toBe(true)
})

test('a call that fails keeps the session open no longer', async () => {
  const {proxy, seen, answer} = setUp()
  const call = proxy.call('forward')
  const closed = proxy.close()
  answer.reject(new Error('gone'))
  await expect(call).rejects.toThrow('gone')
  await closed
  expect(seen.isClosed).toBe(true)
})

test('a call that is not answered does not keep it open for ever', async () => {
  const {proxy, seen} = setUp()
  void proxy.call('forward')
  await proxy.close()
  expect(seen.isClosed).toBe(true)
})
