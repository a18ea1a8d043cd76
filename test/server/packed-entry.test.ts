import {describe, expect, test} from 'vitest'
import {packEntry} from '../../src/server/packed-entry.ts'

const IDEN = '0f'.repeat(16)
/** SHA-256 of IDEN. */
const SEALED = 'sha256:f146f51a591727df10fc292aba7e9a540029de246522dfad80b4ca725147ebdc'

function packed(change: object): unknown {
  const text = JSON.stringify({v: 1, ...change})
  const entry = {offset: 7, epoch: 2, hash: 'ab', timeMs: 1000, actor: 'unix/root', change: text}
  return packEntry(entry, 'c0ffee')
}

function argumentOf(change: object): unknown {
  return (packed(change) as [number, [string, string, unknown[]]])[1][2][0]
}

describe('an entry of the change log, as the peers see it', () => {
  test('has the place of the peer, and in meta what the log knows', () => {
    expect(packed({kind: 'expire', seq: 3, id: 'cam-1'})).toEqual([
      7,
      [
        'c0ffee',
        'expire',
        [{kind: 'expire', seq: 3, id: 'cam-1'}],
        {},
        {epoch: 2, hash: 'ab', time: 1000, actor: 'unix/root'},
      ],
    ])
  })

  test('of a one-time URL has its secret as a hash, and not what it will tell', () => {
    const ticket = {iden: IDEN, name: '00.axon', info: '{"conf":{"auth:passwd":"geheim"}}'}
    expect(argumentOf({kind: 'ticket:add', ticket, dropped: [IDEN]})).toEqual({
      kind: 'ticket:add',
      ticket: {iden: SEALED, name: '00.axon'},
      dropped: [SEALED],
    })
    for (const kind of ['ticket:issue', 'ticket:use']) {
      expect(argumentOf({kind, iden: IDEN, certificate: null})).toEqual({kind, iden: SEALED, certificate: null})
    }
    expect(argumentOf({kind: 'ticket:del', idens: [IDEN]})).toEqual({kind: 'ticket:del', idens: [SEALED]})
  })

  test('is the same of version 2, which has no more than the hash itself', () => {
    const idenSha256 = SEALED.replace('sha256:', '')
    const ticket = {idenSha256, short: IDEN.slice(0, 8), name: '00.axon', sealed: 'c2VhbGVk'}
    expect(argumentOf({kind: 'ticket:add', ticket, dropped: [idenSha256]})).toEqual({
      ...{kind: 'ticket:add', ticket: {iden: SEALED, short: IDEN.slice(0, 8), name: '00.axon'}, dropped: [SEALED]},
    })
    for (const kind of ['ticket:issue', 'ticket:use']) {
      expect(argumentOf({kind, idenSha256, certificate: null})).toEqual({kind, iden: SEALED, certificate: null})
    }
    expect(argumentOf({kind: 'ticket:del', tickets: [idenSha256]})).toEqual({kind: 'ticket:del', idens: [SEALED]})
    expect(argumentOf({kind: 'ticket:hash'})).toEqual({kind: 'ticket:hash'})
  })
})
