import fc from 'fast-check'
import {expect, test} from 'vitest'
import {Veil} from '../../src/backup/veil.ts'

const bytes = fc.uint8Array({maxLength: 200})
/** Also beyond 2^32 blocks. */
const place = fc.oneof(fc.nat(100), fc.nat(2 ** 20), fc.maxSafeNat())

test('what is turned twice at its place is what it was, cut wherever it may be', () => {
  fc.assert(
    fc.property(bytes, place, fc.nat(200), (given, at, cut) => {
      const veil = new Veil()
      const veiled = veil.turned('a', given, at)
      const middle = Math.min(cut, given.length)
      const parts = [
        veil.turned('a', veiled.subarray(0, middle), at),
        veil.turned('a', veiled.subarray(middle), at + middle),
      ]
      expect(Buffer.concat(parts)).toEqual(Buffer.from(given))
    }),
  )
})

test('no two files, places and veils are turned alike', () => {
  const zeros = new Uint8Array(64)
  const veil = new Veil()
  const turned = [
    ...[veil.turned('a', zeros, 0), veil.turned('b', zeros, 0), veil.turned('a', zeros, 16)],
    ...[veil.turned('a', zeros, 2 ** 36), veil.turned('a', zeros, 2 ** 37), new Veil().turned('a', zeros, 0)],
  ].map((one) => one.toString('hex'))
  expect(new Set(turned).size).toBe(turned.length)
})

test('a file is given in clear from its beginning on', async () => {
  const veil = new Veil()
  const whole = veil.turned('a', Buffer.from('whatever it is that is in it'), 0)
  const pieces = (async function* () {
    for (let at = 0; at < whole.length; at += 5) yield whole.subarray(at, at + 5)
  })()
  expect(Buffer.concat(await Array.fromAsync(veil.clear('a', pieces))).toString()).toBe('whatever it is that is in it')
})
