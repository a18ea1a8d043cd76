import {describe, expect, test} from 'vitest'
import {parseRegistryUrl, tcpAddress} from '../../src/client/url.ts'

describe('the URL of a registry', () => {
  test.each([
    ['zmq://127.0.0.1:6100', {host: '127.0.0.1', port: 6100, url: 'zmq://127.0.0.1:6100'}],
    ['zmq://reg.lab.example', {host: 'reg.lab.example', port: 5556, url: 'zmq://reg.lab.example:5556'}],
    ['zmq://[::1]:5556', {host: '::1', port: 5556, url: 'zmq://[::1]:5556'}],
    ['ZMQ://[fe80::1%eth0]', {host: 'fe80::1%eth0', port: 5556, url: 'zmq://[fe80::1%eth0]:5556'}],
    [' zmq://host:1/ ', {host: 'host', port: 1, url: 'zmq://host:1'}],
  ])('%s is taken', (text, address) => {
    expect(parseRegistryUrl(text)).toEqual(address)
  })

  test.each([
    ['', 'it begins with zmq://'],
    ['127.0.0.1:5556', 'it begins with zmq://'],
    ['tcp://127.0.0.1:5556', 'tcp:// is no address of ZeroMQ requests'],
    ['zmq://', 'after zmq:// stand a host'],
    ['zmq://::1:5556', 'after zmq:// stand a host'],
    ['zmq://host:5556/path', 'after zmq:// stand a host'],
    ['zmq://user@host:5556', 'after zmq:// stand a host'],
    ['zmq://host:0', 'the port must be from 1 to 65535'],
    ['zmq://host:65536', 'the port must be from 1 to 65535'],
  ])('%j is refused: %s', (text, why) => {
    expect(() => parseRegistryUrl(text)).toThrow(
      expect.objectContaining({code: 'REG_USAGE', message: expect.stringContaining(why)}),
    )
  })

  test('becomes the address of a socket with brackets where they are needed', () => {
    expect([tcpAddress('::1', 5), tcpAddress('host', 5)]).toEqual(['tcp://[::1]:5', 'tcp://host:5'])
  })
})
