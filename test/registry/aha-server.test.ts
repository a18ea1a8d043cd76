import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {
  type AhaServerChange,
  byServer,
  decodeServer,
  decodeServerChange,
  encodeServer,
  encodeServerChange,
  readAhaServer,
  serverAfter,
} from '../../src/registry/aha-server.ts'

const host = fc.constantFrom('aha.net', 'a.net', '__proto__')
const port = fc.integer({min: 1, max: 65_535})
const change: fc.Arbitrary<AhaServerChange> = fc.oneof(
  fc.record({kind: fc.constant('aha:server:add'), host, port, isOwn: fc.boolean()} as const),
  fc.record({kind: fc.constant('aha:server:del'), host, port} as const),
)

describe('a change of the AHA servers', () => {
  test('is the same when it is read from the log, and what it leaves when it is read from the store', () => {
    fc.assert(
      fc.property(change, (made) => {
        expect(decodeServerChange(encodeServerChange(made))).toEqual(made)
        const server = serverAfter(made)
        if (server !== undefined) expect(decodeServer(encodeServer(server))).toEqual(server)
      }),
    )
  })

  test.each([
    ['{"v":2,"kind":"aha:server:del","host":"a","port":1}', 'not a change of version 1'],
    ['{"v":1,"kind":"aha:server:new","host":"a","port":1}', 'not a change of a known kind'],
    ['{"v":1,"kind":"aha:server:del","host":"a"}', 'not a place'],
    ['{"v":1,"kind":"aha:server:add","host":"a","port":1}', 'not a server'],
  ])('that is none is not read: %s', (text, why) => {
    expect(() => decodeServerChange(text)).toThrow(why)
  })
})

test('servers are in the order of the peer: by the length of the name, the name, the port', () => {
  const places = [
    ['b.demo.net', 30_000],
    ['aha.demo.net', 27_492],
    ['b.demo.net', 200],
    ['01.aha.demo.net', 100],
    ['a.demo.net', 99],
  ] as const
  const servers = places.map(([name, at]) => ({host: name, port: at, isOwn: false}))
  expect(servers.toSorted(byServer).map((server) => [server.host, server.port])).toEqual([
    ['a.demo.net', 99],
    ['b.demo.net', 200],
    ['b.demo.net', 30_000],
    ['aha.demo.net', 27_492],
    ['01.aha.demo.net', 100],
  ])
})

describe('what is said of a server', () => {
  test('needs no port', () => {
    expect(readAhaServer({host: 'aha.net'})).toEqual({host: 'aha.net', port: 27_492, isOwn: false})
  })

  test.each([
    [7, 'server must be a map'],
    [{port: 1}, 'server.host must be the name of a host'],
    [{host: 'a\u0000'}, 'server.host must be the name of a host'],
    [{host: 'a/b'}, 'server.host must be the name of a host'],
    [{host: 'user@a'}, 'server.host must be the name of a host'],
    [{host: 'a?certname=b'}, 'server.host must be the name of a host'],
    [{host: 'a', port: 0}, 'server.port must be an integer from 1 to 65535'],
    [{host: 'a', port: null}, 'server.port must be an integer from 1 to 65535'],
    [{host: 'a', isOwn: true}, 'server must not have isOwn'],
  ])('is refused: %j', (value, why) => {
    expect(() => readAhaServer(value)).toThrow(why)
  })
})
