import {array, assert, asyncProperty, integer, oneof, string, uint8Array} from 'fast-check'
import {expect, test} from 'vitest'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {bodyOf, callMessage, RawLink} from './raw-link.ts'
import {Served} from './served.ts'

const values = array(oneof(integer(), string(), array(integer(), {maxLength: 5})), {minLength: 1, maxLength: 8})

test('calls are answered in order, however the bytes of them are cut', async () => {
  await using served = await Served.start()
  const {sess} = await served.session()
  await assert(
    asyncProperty(values, array(integer({min: 1, max: 60}), {maxLength: 20}), async (arguments_, cuts) => {
      using link = await RawLink.open(served.port)
      link.socket.setNoDelay(true)
      let bytes = Buffer.concat(
        arguments_.map((value) => Buffer.from(encode(callMessage(sess, 'echo', [value as Value])))),
      )
      for (const cut of cuts) {
        link.write(bytes.subarray(0, cut))
        bytes = bytes.subarray(cut)
        await new Promise(setImmediate)
      }
      link.write(bytes)
      for (const value of arguments_) expect(bodyOf(await link.next())).toEqual({retn: [true, value]})
    }),
    {numRuns: 50},
  )
})

test('no bytes, before or after the login, harm the sessions of others', async () => {
  await using served = await Served.start()
  const {control, sess} = await served.session()
  await assert(
    asyncProperty(uint8Array({maxLength: 300}), uint8Array({maxLength: 300}), async (before, after) => {
      using stranger = await RawLink.open(served.port)
      stranger.write(before)
      using guest = await RawLink.open(served.port)
      await guest.greet()
      guest.write(after)
      expect(await control.call(sess, 'add', [1])).toEqual({retn: [true, 2]})
    }),
    {numRuns: 100},
  )
  expect(served.lines.filter((line) => line.includes('[ERROR]'))).toEqual([])
})
