import {expect, test} from 'vitest'
import {parseOnceUrl} from '../../../src/client/enroll/once-url.ts'

const IDEN = '2d0815f2eef616baa1a2ef92330503d6'

test('a one-time URL has a host, perhaps a port, and an iden; only the address is shown', () => {
  const {url, ...once} = parseOnceUrl(`ssl://aha.demo.net/${IDEN}?certhash=ab`)
  expect(once).toEqual({iden: IDEN, shown: 'ssl://aha.demo.net:27272', host: 'aha.demo.net'})
  expect(url.params.get('certhash')).toBe('ab')
  expect(parseOnceUrl(`tcp://[::1]:1/${IDEN}`)).toMatchObject({shown: 'tcp://[::1]:1', host: '::1'})
})

test('who it is for comes from the AHA: a user in it is left out', () => {
  expect(parseOnceUrl(`ssl://root:secret@aha/${IDEN}`).url).toEqual({
    scheme: 'ssl',
    host: 'aha',
    port: 27_272,
    path: `/${IDEN}`,
    params: new Map(),
  })
})

test.each([
  IDEN,
  `https://aha/${IDEN}`,
  `aha://aha/${IDEN}`,
  'ssl://aha:27272',
  `ssl://aha/${IDEN}/more`,
  `ssl://aha/${IDEN.toUpperCase()}`,
  `ssl:///${IDEN}`,
  `ssl://aha:70000/${IDEN}`,
])('%s is none, and no error shows it', (text) => {
  expect(() => parseOnceUrl(text)).toThrow(expect.objectContaining({code: 'REG_USAGE', telepath: 'BadUrl'}))
  try {
    parseOnceUrl(text)
  } catch (error) {
    expect(JSON.stringify(error) + String(error)).not.toMatch(/[0-9a-f]{32}/i)
  }
})
