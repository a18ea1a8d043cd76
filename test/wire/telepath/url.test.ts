import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {
  addressText,
  formatUrl,
  mergeAhaInfo,
  parseUrl,
  placeOf,
  sanitizeUrl,
  type TelepathUrl,
} from '../../../src/wire/telepath/url.ts'

/** Parts as Synapse 2.256.0 gives them (`telepath.chopurl`). */
const READ: readonly (readonly [url: string, parts: Record<string, string | number | null>])[] = [
  [
    'tcp://visi:se%40cret@h:1/a/b?c=d&e',
    {scheme: 'tcp', passwd: 'se@cret', user: 'visi', port: 1, host: 'h', path: '/a/b', c: 'd', e: null},
  ],
  ['unix:///a/b:c/d', {scheme: 'unix', host: '', path: '/a/b:c/d'}],
  ['cell:///a/b:c', {scheme: 'cell', host: '', path: '/a/b:c'}],
  ['cell://rel/d:x?name=y', {scheme: 'cell', host: 'rel', path: '/d:x', name: 'y'}],
  ['ssl://[::1]:22/', {scheme: 'ssl', port: 22, host: '::1', path: '/'}],
  ['tcp://::1/x', {scheme: 'tcp', host: '::1', path: '/x'}],
  ['tcp://fe80::1%eth0/x', {scheme: 'tcp', host: 'fe80::1%eth0', path: '/x'}],
  ['aha://u@svc.../p/q?mirror=true', {scheme: 'aha', user: 'u', host: 'svc...', path: '/p/q', mirror: 'true'}],
  ['tcp://h', {scheme: 'tcp', host: 'h', path: ''}],
  ['TCP://HOST/', {scheme: 'tcp', host: 'HOST', path: '/'}],
  ['tcp://h/a?x=1?y=2&z', {scheme: 'tcp', host: 'h', path: '/a', x: '1?y=2', z: null}],
  ['tcp://a@b:c@h:5/', {scheme: 'tcp', passwd: 'c', user: 'a@b', port: 5, host: 'h', path: '/'}],
  ['tcp://u%3Ax:p%2Fq@h/x%20y', {scheme: 'tcp', passwd: 'p/q', user: 'u:x', host: 'h', path: '/x%20y'}],
  ['tcp://h?name=foo', {scheme: 'tcp', host: 'h', path: '', name: 'foo'}],
  ['tcp://:27492/', {scheme: 'tcp', port: 27492, host: '', path: '/'}],
  ['unix://u@/x', {scheme: 'unix', user: 'u', host: '', path: '/x'}],
  ['ssl://h/?certname=a=b', {scheme: 'ssl', host: 'h', path: '/', certname: 'a=b'}],
  ['tcp:///x', {scheme: 'tcp', host: '', path: '/x'}],
  ['tcp://h/x?a=1&&b=', {scheme: 'tcp', host: 'h', path: '/x', a: '1', '': null, b: ''}],
  ['ssl://u:@h', {scheme: 'ssl', passwd: '', user: 'u', host: 'h', path: ''}],
  ['tcp://a@h/p?host=x&user=b&path=/q', {scheme: 'tcp', user: 'b', host: 'x', path: '/q'}],
]

test.each(READ)('%s is read as Synapse reads it', (text, parts) => {
  const {params, ...url} = parseUrl(text)
  expect({...url, ...Object.fromEntries(params)}).toEqual(parts)
})

test('what was written reads the same', () => {
  const name = fc.stringMatching(/^[a-z0-9._-]{1,12}$/)
  const url: fc.Arbitrary<TelepathUrl> = fc
    .record(
      {
        scheme: fc.constantFrom('tcp', 'ssl', 'aha', 'unix'),
        user: fc.string({unit: 'grapheme'}),
        passwd: fc.string({unit: 'grapheme'}),
        host: fc.oneof(name, fc.ipV6(), fc.constant('')),
        port: fc.nat(65_535),
        path: fc.oneof(fc.constant(''), fc.stringMatching(/^\/[^?]{0,12}$/)),
        params: fc.dictionary(name, fc.option(fc.stringMatching(/^[^&]{0,12}$/))),
      },
      {requiredKeys: ['scheme', 'host', 'path', 'params']},
    )
    .map(({params, passwd, ...rest}) => ({
      ...rest,
      ...(passwd === undefined || rest.user === undefined ? {} : {passwd}),
      params: new Map(
        Object.entries(params).filter(([key]) => !['host', 'port', 'path', 'user', 'passwd', 'scheme'].includes(key)),
      ),
    }))
  fc.assert(
    fc.property(url, (one) => {
      expect(parseUrl(formatUrl(one))).toEqual(one)
    }),
  )
})

test('a password is found in no text that was made of a URL', () => {
  const secret = fc.stringMatching(/^[A-Z]{8}[%@:/?&=A-Z]{0,6}$/)
  const form = fc.constantFrom(
    (passwd: string) => `tcp://visi:${encodeURIComponent(passwd)}@host:27492/share?name=x`,
    (passwd: string) => `ssl://a@b:${encodeURIComponent(passwd)}@[::1]/a@b?certname=visi@demo.net`,
    (passwd: string) => `tcp://visi:${passwd}@host:99999/`,
    (passwd: string) => `visi:${passwd}@host`,
    (passwd: string) => `tcp://host/?user=a&passwd=${passwd.replaceAll('&', '')}`,
  )
  fc.assert(
    fc.property(secret, form, (passwd, make) => {
      const text = make(passwd)
      expect(sanitizeUrl(text)).not.toContain(passwd.slice(0, 8))
      try {
        const url = parseUrl(text)
        expect(addressText(url)).not.toContain(passwd.slice(0, 8))
        placeOf(url)
      } catch (error) {
        expect(JSON.stringify([error, (error as Error).message, (error as {info?: unknown}).info])).not.toContain(
          passwd.slice(0, 8),
        )
      }
    }),
    {numRuns: 500, examples: [['AAAAAAAA://', (passwd: string) => `visi:${passwd}@host`]]},
  )
})

test.each([
  ['tcp://visi:secret@h:1/a', 'tcp://visi:****@h:1/a'],
  ['tcp://visi@h:1/a', 'tcp://visi@h:1/a'],
  ['tcp://visi:se:cr@et@[::1]:1/a?certname=visi@demo.net', 'tcp://visi:****@[::1]:1/a?certname=visi@demo.net'],
  ['ssl://aha.demo.net:27492?certname=visi@demo.net', 'ssl://aha.demo.net:27492?certname=visi@demo.net'],
  ['tcp://h?passwd=secret&x=1', 'tcp://h?passwd=****&x=1'],
  ['not a url', 'not a url'],
  ['tcp://u:pa/ss@h/', 'tcp://u:****@h/'],
])('%s is shown as %s', (url, shown) => {
  expect(sanitizeUrl(url)).toBe(shown)
})

test.each([
  ['cell:rel', ':// is missing'],
  ['alias/x', ':// is missing'],
  ['tcp://a:b:c/x', 'more than one colon'],
  ['tcp://h:abc/', 'the port must be'],
  ['tcp://h:/x', 'the port must be'],
  ['tcp://h:65536/x', 'the port must be'],
  ['tcp://h?port=x', 'the port must be'],
  ['tcp://u:%zz@h/', 'percent sign'],
])('%s is refused: %s', (url, why) => {
  expect(() => parseUrl(url)).toThrow(
    expect.objectContaining({code: 'REG_USAGE', telepath: 'BadUrl', message: expect.stringContaining(why)}),
  )
})

describe('places', () => {
  test.each([
    ['tcp://h', {kind: 'tcp', host: 'h', port: 27492, share: ''}],
    ['tcp://h/', {kind: 'tcp', host: 'h', port: 27492, share: ''}],
    ['ssl://u@[::1]:1/a/b', {kind: 'tls', host: '::1', port: 1, share: 'a/b'}],
    ['ssl://h/a?name=b', {kind: 'tls', host: 'h', port: 27492, share: 'b'}],
    ['unix:///run/sock', {kind: 'unix', path: '/run/sock', share: '*'}],
    ['unix:///run/sock:axon', {kind: 'unix', path: '/run/sock', share: 'axon'}],
    ['unix://root@/run/sock?name=x', {kind: 'unix', path: '/run/sock', share: 'x'}],
    ['cell:///srv/axon', {kind: 'unix', path: '/srv/axon/sock', share: '*'}],
    ['cell:///srv/axon/', {kind: 'unix', path: '/srv/axon/sock', share: '*'}],
    ['cell:///srv/axon:view/a', {kind: 'unix', path: '/srv/axon/sock', share: 'view/a'}],
    ['cell://rel/axon', {kind: 'unix', path: 'rel/axon/sock', share: '*'}],
    ['cell://rel', {kind: 'unix', path: 'rel/sock', share: '*'}],
  ])('%s', (url, place) => expect(placeOf(parseUrl(url))).toEqual(place))

  test.each([
    'tcp:///x',
    'tcp://h:0',
    'unix://rel/sock',
    'unix://',
    'cell://',
    'unix:///a:b:c',
    'http://h',
    'aha://x',
    'x+y://h',
  ])('%s has none', (url) =>
    expect(() => placeOf(parseUrl(url))).toThrow(expect.objectContaining({code: 'REG_USAGE', telepath: 'BadUrl'})),
  )

  test('Consul is not supported', () =>
    expect(() => placeOf(parseUrl('tcp+consul://h'))).toThrow(
      expect.objectContaining({telepath: 'FeatureNotSupported'}),
    ))
})

describe('what AHA says', () => {
  const urlinfo = {
    scheme: 'ssl',
    host: '127.0.0.1',
    port: 31030,
    path: '/other',
    hostname: '00.js.demo.net',
    ca: 'demo.net',
    user: 'visi',
  }

  test('decides, but for the path', () => {
    const merged = mergeAhaInfo(parseUrl('aha://js.../*/x?mirror=true&hostname=no&certname=me@demo.net'), urlinfo)
    expect(merged).toEqual({
      scheme: 'ssl',
      user: 'visi',
      host: '127.0.0.1',
      port: 31030,
      path: '/*/x',
      params: new Map([
        ['mirror', 'true'],
        ['hostname', '00.js.demo.net'],
        ['certname', 'me@demo.net'],
        ['ca', 'demo.net'],
      ]),
    })
  })

  test('does not replace a user that was given', () => {
    expect(mergeAhaInfo(parseUrl('aha://root@js...'), urlinfo)).toMatchObject({user: 'root', path: ''})
  })

  test('is refused with a port that is none', () => {
    expect(() => mergeAhaInfo(parseUrl('aha://js...'), {...urlinfo, port: 'x'})).toThrow('the port must be')
  })
})
