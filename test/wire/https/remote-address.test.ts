import {describe, expect, test} from 'vitest'
import {addressGroup, forwardedAddress, plainAddress} from '../../../src/wire/https/remote-address.ts'

describe('the address of a client behind a proxy', () => {
  const at = (forwardedFor?: string, realIp?: string) =>
    forwardedAddress({socketAddress: '::ffff:10.0.0.1', forwardedFor, realIp})

  test('is that of the socket when the proxy says nothing', () => {
    expect(at()).toBe('10.0.0.1')
  })

  test('is the last one of X-Forwarded-For: those before it are what the client says', () => {
    expect(at('6.6.6.6, 198.51.100.7')).toBe('198.51.100.7')
  })

  test('is X-Real-IP where there is one', () => {
    expect(at('198.51.100.7', '2001:db8::1')).toBe('2001:db8::1')
  })

  test('is that of the socket when the proxy says something else than an address', () => {
    expect(at('unknown', 'localhost')).toBe('10.0.0.1')
    expect(at('1.2.3.4,')).toBe('10.0.0.1')
  })
})

describe('what limits count by', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:0001:2::7', '2001:db8:1:2::/64'],
    ['2001:db8::7', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
  ])('%s is in %s', (address, group) => {
    expect(addressGroup(address)).toBe(group)
  })

  test('an IPv4 address over IPv6 is the IPv4 address', () => {
    expect(plainAddress('::FFFF:10.1.2.3')).toBe('10.1.2.3')
    expect(plainAddress('2001:db8::1')).toBe('2001:db8::1')
  })
})
