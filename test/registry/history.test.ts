import {beforeEach, describe, expect, test} from 'vitest'
import {encodeAhaChange} from '../../src/registry/aha-change.ts'
import {encodeFenceChange} from '../../src/registry/aha-fence.ts'
import {encodeCertChange} from '../../src/registry/cert-change.ts'
import {History, type HistoryEvent} from '../../src/registry/history.ts'
import type {Ticket, TicketCertificate} from '../../src/registry/ticket.ts'
import {encodeTicketChange} from '../../src/registry/ticket-text.ts'

const IDEN = 'ab12cd34'.repeat(4)
const HASH = `hash of ${IDEN}`
const SECRETS = {hash: (iden: string) => `hash of ${iden}`, seal: (_iden: string, text: string) => text}
const FULL = '00.axon.demo.net'
const CERTIFICATE: TicketCertificate = {
  ...{purpose: 'host', name: FULL, keySha256: 'aa', serial: '3f', issuedMs: 1, from: '10.0.0.9', pem: 'PEM'},
}
const TICKET: Ticket = {
  ...{
    idenSha256: HASH,
    short: 'ab12cd34',
    kind: 'service',
    name: '00.axon',
    wants: [{purpose: 'host', name: FULL}],
    leader: 'axon',
    sealed: 'geheim',
  },
  ...{createdMs: 1, createdBy: 'unix/root', expiresMs: 0, certificates: [], used: null},
}

let offset: number
let history: History
beforeEach(() => {
  offset = 0
  history = new History(SECRETS)
})

function read(change: string, actor = 'telepath/visi/10.0.0.7'): readonly HistoryEvent[] {
  offset += 1
  return history.read({offset: offset - 1, timeMs: 1000, actor, change})
}

/** What happened, to whom, by which id. */
function shown(events: readonly HistoryEvent[]): readonly unknown[] {
  return events.map(({event, name, id, facts}) => [event, name, id, facts])
}

function registered(seq: number, name: string, id: string): string {
  return `{"v":1,"kind":"register","seq":${seq},"ttl":30,"info":{"name":"${name}","host":"h","port":1,"id":"${id}","type":"camera"}}`
}

describe('the history of a service at the ZeroMQ ports', () => {
  const where = {type: 'camera', host: 'h', port: 1}

  test('has its name in every event', () => {
    expect(shown(read(registered(7, 'cam', 'cam-1')))).toEqual([['registered', 'cam', 'cam-1', where]])
    expect(shown(read(registered(7, 'cam', 'cam-1')))).toEqual([['registered again', 'cam', 'cam-1', where]])
    const on = '{"reason":"new lens","since":1,"by":"unix/root"}'
    expect(shown(read(`{"v":1,"kind":"maintenance","seq":7,"id":"cam-1","maintenance":${on}}`))).toEqual([
      ['maintenance on', 'cam', 'cam-1', {reason: 'new lens'}],
    ])
    expect(shown(read('{"v":1,"kind":"maintenance","seq":7,"id":"cam-1","maintenance":null}'))).toEqual([
      ['maintenance off', 'cam', 'cam-1', {}],
    ])
    expect(shown(read('{"v":1,"kind":"expire","seq":7,"id":"cam-1"}'))).toEqual([['expired', 'cam', 'cam-1', {}]])
    expect(shown(read('{"v":1,"kind":"deregister","seq":9,"id":"x"}'))).toEqual([['deregistered', undefined, 'x', {}]])
  })

  test('says who asked, and from where', () => {
    expect(read(registered(7, 'cam', 'cam-1'), 'zmq:anon/6b')).toEqual([
      {
        ...{offset: 0, timeMs: 1000, world: 'zeromq', event: 'registered', name: 'cam', id: 'cam-1', facts: where},
        by: {via: 'zeromq', who: undefined, from: '6b'},
      },
    ])
    expect(read('{"v":1,"kind":"expire","seq":7,"id":"cam-1"}', 'registry:sweeper')[0]?.by.who).toBe('registry:sweeper')
  })

  test('is found by name and by id, and no other is', () => {
    for (const wanted of ['cam', 'cam-1']) {
      history = new History(SECRETS, wanted)
      expect(read(registered(7, 'cam', 'cam-1'))).toHaveLength(1)
      expect(read(registered(8, 'lamp', 'lamp-1'))).toEqual([])
      expect(read('{"v":1,"kind":"deregister","seq":8,"id":"lamp-1"}')).toEqual([])
      expect(read('{"v":1,"kind":"deregister","seq":7,"id":"cam-1"}')).toHaveLength(1)
    }
  })
})

test('the history of a service of AHA', () => {
  const urlinfo = {scheme: 'ssl', host: '10.0.0.9', port: 27_492}
  const entry = {full: FULL, name: '00.axon', network: 'demo.net', info: {urlinfo}}
  const changes = [
    encodeAhaChange({kind: 'aha:svc:add', entry}),
    encodeAhaChange({kind: 'aha:svc:mod', full: FULL, isReady: true}),
    encodeAhaChange({kind: 'aha:svc:mod', full: FULL, isReady: false}),
    encodeAhaChange({kind: 'aha:svc:down', full: FULL, online: 'token'}),
    encodeAhaChange({kind: 'aha:svc:del', full: FULL}),
  ]
  for (const wanted of [undefined, FULL, '00.axon']) {
    history = new History(SECRETS, wanted)
    expect(changes.flatMap((change) => shown(read(change)))).toEqual([
      ['up', FULL, undefined, {url: 'ssl://10.0.0.9:27492'}],
      ...['ready', 'not ready', 'down', 'removed'].map((event) => [event, FULL, undefined, {}]),
    ])
  }
  history = new History(SECRETS, '01.axon')
  expect(changes.flatMap((change) => read(change))).toEqual([])
})

test('the history of a service that was replaced by force', () => {
  const fence = {name: FULL, iden: 'i0', alias: 'axon.demo.net', leader: '01.axon.demo.net', sinceMs: 5}
  const changes = [
    encodeFenceChange({kind: 'aha:fence:set', ...fence}),
    encodeFenceChange({kind: 'aha:fence:refuse', name: FULL, run: 'r1', atMs: 6, from: '10.0.0.9'}),
    encodeFenceChange({kind: 'aha:fence:lift', name: FULL, why: 'provisioned'}),
  ]
  for (const wanted of [undefined, FULL, '00.axon']) {
    history = new History(SECRETS, wanted)
    const events = changes.flatMap((change) => read(change, 'aha'))
    expect(shown(events)).toEqual([
      ['fenced', FULL, undefined, {alias: 'axon.demo.net', leader: '01.axon.demo.net'}],
      ['refused to lead', FULL, undefined, {run: 'r1'}],
      ['fence lifted', FULL, undefined, {why: 'provisioned'}],
    ])
    expect(events[1]?.by.from).toBe('10.0.0.9')
  }
})

describe('the history of how a service was let in', () => {
  const issued = ['certificate issued', '00.axon', 'ab12cd34', {certificate: FULL, serial: '3f'}]

  function steps(ticket: Ticket): readonly HistoryEvent[] {
    const use = {atMs: 1, from: '10.0.0.9'}
    return [
      ...read(encodeTicketChange({kind: 'ticket:add', ticket, dropped: []})),
      ...read(
        encodeTicketChange({kind: 'ticket:issue', idenSha256: HASH, certificate: CERTIFICATE}),
        'provision/00.axon',
      ),
      ...read(
        encodeTicketChange({kind: 'ticket:use', idenSha256: HASH, certificate: CERTIFICATE, use}),
        'provision/00.axon',
      ),
    ]
  }

  test.each([undefined, '00.axon', FULL, 'ab12cd34'])(
    'names the URL by its beginning only (asked for %s)',
    (wanted) => {
      history = new History(SECRETS, wanted)
      const events = steps(TICKET)
      const minted = ['URL minted', '00.axon', 'ab12cd34', {expires: '1970-01-01T00:00:00.000Z'}]
      expect(shown(events)).toEqual([minted, issued, issued, ['URL used', '00.axon', 'ab12cd34', {}]])
      expect(events.at(-1)?.by).toEqual({via: 'provision', who: '00.axon', from: '10.0.0.9'})
      expect(JSON.stringify(events)).not.toContain(HASH)
      expect(JSON.stringify(events)).not.toContain('geheim')
    },
  )

  test('ends when it is taken back', () => {
    read(encodeTicketChange({kind: 'ticket:add', ticket: TICKET, dropped: []}))
    const del = encodeTicketChange({kind: 'ticket:del', tickets: [HASH, 'newp']})
    expect(shown(read(del))).toEqual([['URL revoked', '00.axon', 'ab12cd34', {}]])
    expect(read(del)).toEqual([])
  })

  test('is not that of a user', () => {
    expect(steps({...TICKET, kind: 'user'})).toEqual([])
  })

  test('has certificates that were signed without a URL', () => {
    const change = {kind: 'cert:issue', purpose: 'host', name: FULL, authority: 'demo.net', serial: '40'} as const
    expect(read(encodeCertChange({...change, keySha256: 'aa', from: '10.0.0.8'}))).toMatchObject([
      {name: '00.axon', facts: {certificate: FULL, serial: '40'}, by: {who: 'visi', from: '10.0.0.8'}},
    ])
    expect(read(encodeCertChange({...change, purpose: 'user', keySha256: 'aa', from: 'x'}))).toEqual([])
  })
})

test('changes of users and roles are not read at all, one that is no change is refused', () => {
  expect(read('{"v":9,"kind":"user:newer"}')).toEqual([])
  expect(() => read('{"kind":"x"}')).toThrow(TypeError)
  expect(() => read('{"v":2,"kind":"expire","seq":1,"id":"x"}')).toThrow(TypeError)
})
