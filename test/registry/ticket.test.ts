import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {
  FETCH_AGAIN_MS,
  isServiceName,
  isUserName,
  outdated,
  standingOf,
  type Ticket,
  type TicketCertificate,
  ticketRecords,
} from '../../src/registry/ticket.ts'
import {
  decodeTicket,
  decodeTicketChange,
  encodeTicket,
  encodeTicketChange,
  type TicketSecrets,
} from '../../src/registry/ticket-text.ts'

const NOW_MS = 1_800_000_000_000
const TICKET: Ticket = {
  idenSha256: '0f'.repeat(32),
  short: 'abcdef01',
  kind: 'service',
  name: '00.axon',
  wants: [
    {purpose: 'host', name: '00.axon.demo.net'},
    {purpose: 'user', name: 'root@demo.net'},
  ],
  leader: 'axon',
  sealed: 'c2VhbGVk',
  createdMs: NOW_MS,
  createdBy: 'unix/root',
  expiresMs: NOW_MS + 1000,
  certificates: [],
  used: null,
}
const CERTIFICATE: TicketCertificate = {
  purpose: 'host',
  name: '00.axon.demo.net',
  keySha256: 'ab'.repeat(32),
  serial: '1f',
  issuedMs: NOW_MS,
  from: '127.0.0.1',
  pem: 'PEM',
}

const time = fc.integer({min: 0, max: NOW_MS})
const certificate = fc.record({
  purpose: fc.constantFrom('host', 'user'),
  name: fc.string(),
  keySha256: fc.string(),
  serial: fc.string(),
  issuedMs: time,
  from: fc.string(),
  pem: fc.string(),
})
/** Plain to see, which real ones are not. */
const SECRETS: TicketSecrets = {hash: (iden) => `#${iden}`, seal: (iden, text) => `${iden}:${text}`}

const anyTicket: fc.Arbitrary<Ticket> = fc.record({
  idenSha256: fc.string(),
  short: fc.string(),
  kind: fc.constantFrom('service', 'user', 'clone'),
  name: fc.string(),
  wants: fc.array(fc.record({purpose: fc.constantFrom('host', 'user'), name: fc.string()}), {maxLength: 2}),
  leader: fc.option(fc.string()),
  sealed: fc.option(fc.string()),
  createdMs: time,
  createdBy: fc.string(),
  expiresMs: fc.option(time),
  certificates: fc.array(certificate, {maxLength: 3}),
  used: fc.option(fc.record({atMs: time, from: fc.string()})),
})

describe('a ticket', () => {
  test('is the same when it is read from the store', () => {
    fc.assert(
      fc.property(anyTicket, (ticket) => {
        expect(decodeTicket(encodeTicket(ticket), SECRETS)).toEqual({ticket, isFirst: false})
      }),
    )
  })

  test.each([
    [{kind: 'pool'}],
    [{createdMs: '1'}],
    [{sealed: {}}],
    [{wants: {}}],
    [{wants: [{purpose: 'code', name: 'x'}]}],
    [{used: true}],
    [{certificates: [{...CERTIFICATE, serial: 1}]}],
  ])('is not read from something else: %j', (damage) => {
    expect(() => decodeTicket(JSON.stringify({...TICKET, ...damage}), SECRETS)).toThrow(TypeError)
  })

  test('is open until it expires', () => {
    expect(standingOf(TICKET, NOW_MS + 999)).toBe('open')
    expect(standingOf(TICKET, NOW_MS + 1000)).toBe('expired')
    expect(standingOf({...TICKET, expiresMs: null}, NOW_MS * 2)).toBe('open')
  })

  test('can be fetched again for a while after its use, and never be used again', () => {
    const used = {...TICKET, used: {atMs: NOW_MS, from: ''}}
    expect(standingOf(used, NOW_MS + FETCH_AGAIN_MS - 1)).toBe('fetchable')
    expect(standingOf(used, NOW_MS + FETCH_AGAIN_MS)).toBe('spent')
    expect(standingOf({...used, expiresMs: null}, NOW_MS + FETCH_AGAIN_MS)).toBe('spent')
  })
})

describe('a change of tickets', () => {
  const {idenSha256} = TICKET
  const tickets = new Map([[idenSha256, TICKET]])

  test('adds one, and forgets others', () => {
    expect(ticketRecords(new Map(), {kind: 'ticket:add', ticket: TICKET, dropped: ['old']})).toEqual([
      {idenSha256: 'old', ticket: undefined},
      {idenSha256, ticket: TICKET},
    ])
  })

  test('keeps what was signed, and with the last certificate the use', () => {
    const [issued] = ticketRecords(tickets, {kind: 'ticket:issue', idenSha256, certificate: CERTIFICATE})
    expect(issued).toEqual({idenSha256, ticket: {...TICKET, certificates: [CERTIFICATE]}})
    const use = {atMs: NOW_MS + 1, from: '127.0.0.2'}
    const last = {...CERTIFICATE, purpose: 'user'} as const
    const after = new Map([[idenSha256, issued?.ticket as Ticket]])
    expect(ticketRecords(after, {kind: 'ticket:use', idenSha256, certificate: last, use})).toEqual([
      {idenSha256, ticket: {...TICKET, certificates: [CERTIFICATE, last], used: use}},
    ])
    expect(ticketRecords(after, {kind: 'ticket:use', idenSha256, certificate: null, use})).toEqual([
      {idenSha256, ticket: {...TICKET, certificates: [CERTIFICATE], used: use}},
    ])
  })

  test('keeps a bounded number of what was signed in vain, the newest', () => {
    let ticket = TICKET
    for (let serial = 0; serial < 12; serial += 1) {
      const certificate = {...CERTIFICATE, serial: `${serial}`}
      const [record] = ticketRecords(new Map([[idenSha256, ticket]]), {kind: 'ticket:issue', idenSha256, certificate})
      ticket = record?.ticket as Ticket
    }
    expect(ticket.certificates.map(({serial}) => serial)).toEqual(['4', '5', '6', '7', '8', '9', '10', '11'])
  })

  test('leaves nothing of one that is not there', () => {
    expect(ticketRecords(new Map(), {kind: 'ticket:issue', idenSha256, certificate: CERTIFICATE})).toEqual([])
    expect(ticketRecords(tickets, {kind: 'ticket:del', tickets: [idenSha256]})).toEqual([
      {idenSha256, ticket: undefined},
    ])
  })

  test('writes all anew that have idens', () => {
    expect(ticketRecords(tickets, {kind: 'ticket:hash'})).toEqual([{idenSha256, ticket: TICKET}])
  })

  test('of version 1 is read as one of version 2', () => {
    const {idenSha256: _, short: __, leader: ___, sealed: ____, ...same} = TICKET
    const info = '{"conf":{"aha:leader":"axon"}}'
    const ticket = {...same, iden: 'abcdef012345', info}
    const read = (change: object) => decodeTicketChange(JSON.stringify({v: 1, ...change}), SECRETS)
    const now = {...TICKET, idenSha256: '#abcdef012345', sealed: `abcdef012345:${info}`}
    expect(read({kind: 'ticket:add', ticket, dropped: ['a']})).toEqual({
      kind: 'ticket:add',
      ticket: now,
      dropped: ['#a'],
    })
    expect(decodeTicket(JSON.stringify(ticket), SECRETS)).toEqual({ticket: now, isFirst: true})
    const user = {...ticket, kind: 'user', info: null}
    expect(decodeTicket(JSON.stringify(user), SECRETS).ticket).toMatchObject({leader: null, sealed: null})
    const clone = {...ticket, kind: 'clone'}
    expect(decodeTicket(JSON.stringify(clone), SECRETS).ticket).toMatchObject({leader: null, sealed: now.sealed})
    expect(read({kind: 'ticket:issue', iden: 'a', certificate: CERTIFICATE})).toEqual({
      ...{kind: 'ticket:issue', idenSha256: '#a', certificate: CERTIFICATE},
    })
    const use = {atMs: NOW_MS, from: '::1'}
    expect(read({kind: 'ticket:use', iden: 'a', certificate: null, use})).toEqual({
      ...{kind: 'ticket:use', idenSha256: '#a', certificate: null, use},
    })
    expect(read({kind: 'ticket:del', idens: ['a', 'b']})).toEqual({kind: 'ticket:del', tickets: ['#a', '#b']})
  })

  test('stands in the log with its version, and is the same when it is read from there', () => {
    expect(encodeTicketChange({kind: 'ticket:del', tickets: ['a']})).toBe('{"v":2,"kind":"ticket:del","tickets":["a"]}')
    const use = {atMs: NOW_MS, from: '::1'}
    for (const change of [
      {kind: 'ticket:add', ticket: TICKET, dropped: ['a']},
      {kind: 'ticket:issue', idenSha256, certificate: CERTIFICATE},
      {kind: 'ticket:use', idenSha256, certificate: CERTIFICATE, use},
      {kind: 'ticket:use', idenSha256, certificate: null, use},
      {kind: 'ticket:del', tickets: ['a', 'b']},
      {kind: 'ticket:hash'},
    ] as const) {
      expect(decodeTicketChange(encodeTicketChange(change), SECRETS)).toEqual(change)
    }
  })

  test.each([
    ['{"v":3,"kind":"ticket:del","tickets":[]}'],
    ['{"v":1,"kind":"ticket:burn","idens":[]}'],
    ['{"v":2,"kind":"ticket:burn"}'],
    ['{"v":1,"kind":"ticket:del","idens":[1]}'],
    ['{"v":2,"kind":"ticket:del","idens":[]}'],
    ['{"v":1,"kind":"ticket:hash"}'],
  ])('is not read from something else: %s', (text) => {
    expect(() => decodeTicketChange(text, SECRETS)).toThrow(TypeError)
  })
})

test('finished tickets beyond a thousand are forgotten, the longest finished first; open ones never', () => {
  const used = Array.from({length: 1001}, (_, index) => ({
    ...TICKET,
    idenSha256: `used-${index}`,
    used: {atMs: 5_000_000 - index, from: ''},
  }))
  const expired = {...TICKET, idenSha256: 'expired', expiresMs: 1}
  const open = {...TICKET, idenSha256: 'open', expiresMs: null}
  expect(outdated([open, ...used, expired], NOW_MS)).toEqual(['expired', 'used-1000'])
  expect(outdated([open, ...used.slice(0, 1000)], NOW_MS)).toEqual([])
})

test.each([
  ['00.axon', true],
  ['axon', true],
  ['my_axon-2.eu', true],
  ['a'.repeat(63), true],
  ['', false],
  ['.axon', false],
  ['axon.', false],
  ['a..b', false],
  ['-a', false],
  ['a-', false],
  ['a b', false],
  ['a/b', false],
  ['a@b', false],
  ['a\n', false],
  ['axön', false],
  ['a'.repeat(64), false],
])('a service can be called %j: %s', (name, isGood) => {
  expect(isServiceName(name)).toBe(isGood)
})

test.each([
  ['visi', true],
  ['visi.kenshoto+lab', true],
  ['_v-1', true],
  ['', false],
  ['visi@demo.net', false],
  ['a..b', false],
  ['a.', false],
  ['.a', false],
  ['a b', false],
  ['a/b', false],
  ['a'.repeat(65), false],
])('a user can be called %j: %s', (name, isGood) => {
  expect(isUserName(name)).toBe(isGood)
})
