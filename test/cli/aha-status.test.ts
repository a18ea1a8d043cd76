import {expect, test} from 'vitest'
import {readAhaFacts} from '../../src/cli/aha-status.ts'
import {statusText} from '../../src/cli/registry-status.ts'

const TOLD = {
  network: 'demo.net',
  services: {all: 3, online: 2},
  pools: 1,
  provisions: {pending: 4, claimed: 1},
  ending: [{kind: 'host', name: 'aha.demo.net', ends: Date.UTC(2026, 11, 24)}],
  fences: [
    {name: '00.axon.demo.net', alias: 'axon.demo.net', leader: '01.axon.demo.net', since: 0, refused: 3, last: 9},
    {name: '00.cortex.demo.net', leader: '01.cortex.demo.net', since: 0, refused: 0, last: null},
  ],
}

test('what a registry tells of its AHA side is shown, with the command for what is to be done', () => {
  const aha = readAhaFacts(TOLD)
  expect(aha.ending).toEqual([{kind: 'host', name: 'aha.demo.net', notAfter: '2026-12-24T00:00:00.000Z'}])
  const text = statusText({url: 'cell://d', status: 'ok', aha})
  expect(text).toMatch(/^AHA of +demo\.net$/m)
  expect(text).toMatch(/^AHA services +3, 2 of them online$/m)
  expect(text).toMatch(/^pools +1$/m)
  expect(text).toMatch(/^URLs pending +4, and 1 being used$/m)
  expect(text).toMatch(
    /^may not lead +00\.axon\.demo\.net, for 01\.axon\.demo\.net, since 1970.*; refused 3, last 1970/m,
  )
  expect(text).toMatch(/^may not lead +00\.cortex\.demo\.net, .*; refused 0$/m)
  expect(text).toMatch(/^to renew +host aha\.demo\.net, ends 2026.*: registry cert renew aha\.demo\.net --kind host /m)
})

test('a registry that is no AHA has none of it', () => {
  expect(statusText({url: 'cell://d', status: 'ok'})).not.toMatch(/AHA|pools|URLs/)
})

test.each([
  {...TOLD, pools: -1},
  {...TOLD, services: null},
  {...TOLD, fences: [{name: 'x', leader: 'y', since: 'newp', refused: 0}]},
  {...TOLD, ending: [{kind: 'ca', name: 'x', ends: 'soon'}]},
])('nonsense is refused: %j', (told) => {
  expect(() => readAhaFacts(told)).toThrow(expect.objectContaining({code: 'REG_BAD_ANSWER'}))
})
