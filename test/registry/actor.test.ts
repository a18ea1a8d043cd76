import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {actorText, readActor, withoutAddress} from '../../src/registry/actor.ts'

const ways = fc.constantFrom('telepath', 'https')
const addresses = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('fe80::1%eth0', '::ffff:10.0.0.7', '::1'))

describe('who asked for a change', () => {
  test('is read as it was written, whatever the user is called', () => {
    const names = fc.oneof(
      fc.string({minLength: 1}),
      fc.constantFrom('a/b', '/', 'unix/root', 'x/10.0.0.7', 'zmq:anon/'),
    )
    fc.assert(
      fc.property(ways, names, addresses, (via, who, from) => {
        expect(readActor(actorText(via as 'telepath', who, from))).toEqual({via, who, from})
        expect(withoutAddress(actorText(via as 'telepath', who, from))).toBe(`${via}/${who}`)
        expect(readActor(actorText('unix', who, from))).toEqual({via: 'unix', who, from: undefined})
      }),
    )
  })

  test.each([
    ['telepath/visi', {via: 'telepath', who: 'visi', from: undefined}],
    ['telepath/team/visi', {via: 'telepath', who: 'team/visi', from: undefined}],
    ['https/team/7', {via: 'https', who: 'team/7', from: undefined}],
    ['https/team/ab:cd', {via: 'https', who: 'team/ab:cd', from: undefined}],
    ['unix/root', {via: 'unix', who: 'root', from: undefined}],
  ])('is read from an entry without address: %s', (text, actor) => {
    expect(readActor(text)).toEqual(actor)
    expect(withoutAddress(text)).toBe(text)
  })

  test.each([
    ['zmq:anon/6b8b4567', {via: 'zeromq', who: undefined, from: '6b8b4567'}],
    ['provision/00.axon', {via: 'provision', who: '00.axon', from: undefined}],
    ['registry:sweeper', {via: 'registry', who: 'registry:sweeper', from: undefined}],
    ['aha', {via: 'registry', who: 'aha', from: undefined}],
  ])('may be no user: %s', (text, actor) => {
    expect(readActor(text)).toEqual(actor)
    expect(withoutAddress(text)).toBe(text)
  })
})
