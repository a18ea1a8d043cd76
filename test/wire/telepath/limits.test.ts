import {once} from 'node:events'
import {describe, expect, test} from 'vitest'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {stopClock} from '../../support/stopped-clock.ts'
import {aborted, TestShare, value} from './demo.ts'
import {bodyOf, callMessage, errorOf, type RawLink} from './raw-link.ts'
import {Served} from './served.ts'

/** How often the log says that a limit is reached. */
function said(served: Served, limit: string): number {
  return served.lines.filter((line) => line.includes(`telepath.limit limit=${limit} `)).length
}

/** A call with an argument of so many bytes. */
function bigCall(sess: string, bytes: number): Buffer {
  return Buffer.from(encode(callMessage(sess, 'echo', [Buffer.alloc(bytes)])))
}

describe('the size of a message', () => {
  test('is small before the login, and large after it', async () => {
    await using served = await Served.start()
    const link = await served.link()
    const sess = await link.greet()
    link.write(bigCall(sess, 1_000_000))
    expect(bodyOf(await link.next())).toMatchObject({retn: [true, {length: 1_000_000}]})
    const stranger = await served.unixLink()
    stranger.write(bigCall(sess, 1_000_000).subarray(0, 100))
    expect(await stranger.ended()).toEqual([])
    expect(served.lines.join('\n')).toContain('telepath.link.refused')
  })

  test('may be large on the first call of a further link of the same peer', async () => {
    await using served = await Served.start()
    const early = await served.link()
    const {sess} = await served.session()
    for (const link of [early, await served.link()]) {
      link.write(bigCall(sess, 1_000_000))
      expect(bodyOf(await link.next())).toMatchObject({retn: [true, {length: 1_000_000}]})
    }
  })

  test('has a limit after the login, too', async () => {
    await using served = await Served.start({limits: {messageBytes: 100_000}})
    const {control, sess} = await served.session()
    control.write(bigCall(sess, 90_000))
    expect(bodyOf(await control.next())).toMatchObject({retn: [true, {length: 90_000}]})
    control.write(bigCall(sess, 100_000))
    expect(await control.ended()).toEqual([])
  })
})

describe('the room for messages that have not all come', () => {
  const LIMITS = {largeBytes: 1_000_000, pipelinedBytes: 10_000}

  test('is one for all links: the one that goes beyond is closed, the others go on', async () => {
    await using served = await Served.start({limits: LIMITS})
    const {control, sess} = await served.session()
    const [first, second] = [await served.link(), await served.link()]
    const message = bigCall(sess, 600_000)
    first.write(message.subarray(0, 500_000))
    await expect.poll(() => first.socket.bytesWritten).toBe(500_000)
    await control.call(sess, 'echo', ['the server has had its turn'])
    second.write(message.subarray(0, 550_000))
    expect(await second.ended()).toEqual([])
    expect(said(served, 'largeBytes')).toBe(1)
    control.write(bigCall(sess, 9000))
    expect(bodyOf(await control.next())).toMatchObject({retn: [true, {length: 9000}]})
    first.write(message.subarray(500_000))
    expect(bodyOf(await first.next())).toMatchObject({retn: [true, {length: 600_000}]})
  })

  test('is given back when a message is whole, and when a link ends without', async () => {
    await using served = await Served.start({limits: LIMITS})
    const {control, sess} = await served.session()
    const message = bigCall(sess, 900_000)
    for (let round = 0; round < 3; round += 1) {
      const leaving = await served.link()
      leaving.write(message.subarray(0, 800_000))
      await control.call(sess, 'echo', ['the server has had its turn'])
      leaving.socket.end()
      await leaving.ended()
      control.write(message)
      expect(bodyOf(await control.next())).toMatchObject({retn: [true, {length: 900_000}]})
    }
    expect(said(served, 'largeBytes')).toBe(0)
  })
})

describe('the time before the login', () => {
  test('is limited for those who say nothing, who say half, and who say nonsense', async () => {
    await using served = await Served.start({limits: {handshakeMs: 300}})
    const [silent, half, junk] = [await served.link(), await served.link(), await served.link()]
    half.write(Buffer.from(encode(['tele:syn', {vers: [3, 0]}])).subarray(0, 8))
    junk.send(1, 2, 3)
    expect(await silent.ended()).toEqual([])
    expect(await half.ended()).toEqual([])
    expect(await junk.ended()).toEqual([])
    expect(said(served, 'handshakeMs')).toBe(1)
  })

  test('does not count while a login is decided', async () => {
    const clock = stopClock()
    const [asked, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    await using served = await Served.start({
      greet: async () => {
        asked.resolve()
        await gate.promise
        return {share: new TestShare('Any', {})}
      },
    })
    const link = await served.link()
    link.send(['tele:syn', {vers: [3, 0]}])
    await asked.promise
    const silent = await served.unixLink()
    await expect.poll(() => served.daemon.linkCount).toBe(2)
    await clock.pass(60_000)
    await silent.ended()
    gate.resolve()
    expect(bodyOf(await link.next())['sess']).toHaveLength(32)
  })

  test('is not limited for further links of a peer with a session, until that is over', async () => {
    const clock = stopClock()
    await using served = await Served.start()
    const early = await served.link()
    const {control, sess} = await served.session()
    const later = await served.link()
    const stranger = await served.unixLink()
    await expect.poll(() => served.daemon.linkCount).toBe(4)
    await clock.pass(60_000)
    // Came last, so its time is over last.
    await stranger.ended()
    expect([early.isEnded, later.isEnded]).toEqual([false, false])
    expect(await early.call(sess, 'add', [1])).toEqual({retn: [true, 2]})
    control.socket.end()
    await control.ended()
    await expect.poll(() => served.daemon.linkCount).toBe(2)
    await clock.pass(60_000)
    await Promise.all([early.ended(), later.ended()])
  })
})

describe('the number of links', () => {
  test('is limited in all, and links that are gone do not count', async () => {
    await using served = await Served.start({limits: {links: 3}})
    const {control} = await served.session()
    const [local] = [await served.unixLink(), await served.link()]
    await local.greet()
    expect(await (await served.link()).ended()).toEqual([])
    expect(await (await served.unixLink()).ended()).toEqual([])
    expect(said(served, 'links')).toBe(1)
    control.socket.end()
    await control.ended()
    await (await served.link()).greet()
  })

  test('is limited by address', async () => {
    await using served = await Served.start({limits: {linksPerAddress: 2}})
    await served.session()
    await served.link()
    expect(await (await served.link()).ended()).toEqual([])
    await (await served.unixLink()).greet()
    expect(said(served, 'linksPerAddress')).toBe(1)
  })

  test('is limited by session', async () => {
    await using served = await Served.start({limits: {linksPerSession: 2}})
    const {control, sess} = await served.session()
    const [one, two, three] = [await served.link(), await served.link(), await served.link()]
    for (const link of [one, two, one]) expect(await link.call(sess, 'add', [1])).toEqual({retn: [true, 2]})
    expect(errorOf(await three.call(sess, 'add', [1]))).toBe('HitLimit')
    expect(errorOf(await control.call(sess, 'add', [1]))).toBe('HitLimit')
    one.socket.end()
    await one.ended()
    expect(await three.call(sess, 'add', [1])).toEqual({retn: [true, 2]})
    expect(said(served, 'linksPerSession')).toBe(1)
  })
})

describe('the number of sessions', () => {
  test('is limited by address, and those that are over do not count', async () => {
    await using served = await Served.start({limits: {sessionsPerAddress: 2}})
    const {control} = await served.session()
    await served.session()
    const link = await served.link()
    const refused = async (): Promise<Value> => {
      link.send(['tele:syn', {vers: [3, 0], name: 'demo'}])
      return errorOf(bodyOf(await link.next()))
    }
    expect(await refused()).toBe('HitLimit')
    expect(await refused()).toBe('HitLimit')
    expect(said(served, 'sessionsPerAddress')).toBe(1)
    await (await served.unixLink()).greet()
    control.socket.end()
    await control.ended()
    await link.greet()
  })

  test('does not count logins that were refused', async () => {
    await using served = await Served.start({limits: {sessionsPerAddress: 1}})
    const link = await served.link()
    for (let i = 0; i < 3; i++) await expect(link.greet('newp')).rejects.toThrow(/NoSuchName/)
    await link.greet()
  })

  test('is limited by link', async () => {
    await using served = await Served.start({limits: {sessionsPerLink: 2}})
    const link = await served.link()
    await link.greet()
    await link.greet()
    await expect(link.greet()).rejects.toThrow(/HitLimit/)
  })
})

test('the number of shares of a session is limited, and those that are dropped do not count', async () => {
  await using served = await Served.start({limits: {sharesPerSession: 2}})
  const {control, sess} = await served.session()
  const {iden} = await control.call(sess, 'counter', [1])
  await control.call(sess, 'counter', [1])
  expect(errorOf(await control.call(sess, 'counter', [1]))).toBe('HitLimit')
  control.send(['share:fini', {share: iden}])
  expect((await control.call(sess, 'counter', [1]))['iden']).toHaveLength(32)
})

describe('a client that sends more calls than it takes', () => {
  test('is not read any further while a call of it runs, and loses nothing', async () => {
    const gate = Promise.withResolvers<void>()
    const share = new TestShare('Any', {
      wait: async () => {
        await gate.promise
        return value('waited')
      },
      echo: ({args}) => value(args[0]),
    })
    await using served = await Served.start({greet: () => ({share}), limits: {pipelinedBytes: 10_000}})
    const {sess} = await served.session()
    const link = await served.link()
    const call = Buffer.from(encode(callMessage(sess, 'echo', [Buffer.alloc(10_000)])))
    link.send(callMessage(sess, 'wait'))
    const sent = await fill(link, call)
    gate.resolve()
    expect(bodyOf(await link.next())).toEqual({retn: [true, 'waited']})
    for (let i = 0; i < sent; i++) expect(bodyOf(await link.next())).toMatchObject({retn: [true, {length: 10_000}]})
  })

  test('does not make the server keep what it does not read', async () => {
    let done = 0
    const answer = Buffer.alloc(1_000_000)
    const share = new TestShare('Any', {
      get: () => {
        done++
        return value(answer)
      },
      done: () => value(done),
    })
    await using served = await Served.start({greet: () => ({share})})
    const {control, sess} = await served.session()
    const link = await served.link()
    link.socket.pause()
    const calls = 500
    link.send(...Array.from({length: calls}, () => callMessage(sess, 'get')))
    let before = -1
    for (let same = 0; same < 20; ) {
      const {retn} = await control.call(sess, 'done')
      same = before === (retn as [true, number])[1] && before > 0 ? same + 1 : 0
      before = (retn as [true, number])[1]
    }
    expect(done).toBeLessThan(50)
    link.socket.resume()
    for (let i = 0; i < calls; i++) expect(bodyOf(await link.next())).toMatchObject({retn: [true, {length: 1_000_000}]})
  })

  test('is still noticed to leave while little waits behind its call', async () => {
    const left = Promise.withResolvers<void>()
    const share = new TestShare('Any', {
      wait: async ({signal}) => {
        await aborted(signal)
        left.resolve()
        return value(null)
      },
    })
    await using served = await Served.start({greet: () => ({share})})
    const {sess} = await served.session()
    const link = await served.link()
    link.send(callMessage(sess, 'wait'), callMessage(sess, 'wait'))
    await served.unixLink().then((other) => other.greet())
    link.socket.end()
    await left.promise
  })
})

/** Sends until the other side does not take any more; gives how often it sent. */
async function fill(link: RawLink, bytes: Buffer): Promise<number> {
  for (let sent = 1; ; sent++) {
    if (link.socket.write(bytes)) continue
    const drained = once(link.socket, 'drain').then(() => true)
    // It has stopped when hundreds of turns of the event loop let nothing leave.
    let turns = 0
    while (
      turns < 500 &&
      !(await Promise.race([drained, new Promise<false>((resolve) => setImmediate(() => resolve(false)))]))
    ) {
      turns++
    }
    if (turns === 500) return sent
  }
}
