import {chmod, stat, writeFile} from 'node:fs/promises'
import {createServer} from 'node:net'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../../src/base/errors.ts'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import type {Call, Opened} from '../../../src/wire/telepath/share.ts'
import {stopClock} from '../../support/stopped-clock.ts'
import {aborted, stream, TestShare, value} from './demo.ts'
import {bodyOf, callMessage, errorOf, RawLink} from './raw-link.ts'
import {Served} from './served.ts'

/** Serves one object under any name. */
function serving(share: TestShare, more: Partial<Opened> = {}): () => Opened {
  return () => ({share, ...more})
}

describe('framing', () => {
  test('a call that comes byte by byte is answered as a whole one', async () => {
    await using served = await Served.start()
    const {sess} = await served.session()
    const link = await served.link()
    link.socket.setNoDelay(true)
    for (const byte of Buffer.from(encode(callMessage(sess, 'add', [41])))) link.write(Buffer.of(byte))
    expect(bodyOf(await link.next())).toEqual({retn: [true, 42]})
  })

  test('a message cut at any place is read the same', async () => {
    await using served = await Served.start()
    const {sess} = await served.session()
    const link = await served.link()
    link.socket.setNoDelay(true)
    const bytes = Buffer.from(encode(callMessage(sess, 'add', [41])))
    for (let at = 1; at < bytes.length; at++) {
      link.write(bytes.subarray(0, at))
      await new Promise(setImmediate)
      link.write(bytes.subarray(at))
      expect(bodyOf(await link.next())).toEqual({retn: [true, 42]})
    }
  })

  test('answers to calls that came together leave in their order, in one piece', async () => {
    await using served = await Served.start()
    const {sess} = await served.session()
    const link = await served.link()
    link.send(...Array.from({length: 50}, (_, i) => callMessage(sess, 'echo', [i])))
    for (let i = 0; i < 50; i++) expect(bodyOf(await link.next())).toEqual({retn: [true, i]})
    expect(link.received).toHaveLength(1)
  })

  test('a link that ends within a message is closed without a word', async () => {
    await using served = await Served.start()
    const {sess} = await served.session()
    const link = await served.link()
    link.socket.end(Buffer.from(encode(callMessage(sess, 'add', [41]))).subarray(0, 20))
    expect(await link.ended()).toEqual([])
  })
})

describe('calls', () => {
  test('of one link run one after the other, those of others meanwhile', async () => {
    const begun: Value[] = []
    const release: (() => void)[] = []
    const share = new TestShare('Slow', {
      slow: async ({args}) => {
        begun.push(args[0])
        await new Promise<void>((resolve) => release.push(resolve))
        return value(args[0])
      },
      now: () => value('now'),
    })
    await using served = await Served.start({greet: serving(share)})
    const {sess} = await served.session()
    const link = await served.link()
    link.send(callMessage(sess, 'slow', ['first']), callMessage(sess, 'slow', ['second']), callMessage(sess, 'now'))
    const other = await served.link()
    expect(await other.call(sess, 'now')).toEqual({retn: [true, 'now']})
    expect(begun).toEqual(['first'])
    release.shift()?.()
    expect(bodyOf(await link.next())).toEqual({retn: [true, 'first']})
    expect(begun).toEqual(['first', 'second'])
    release.shift()?.()
    expect(bodyOf(await link.next())).toEqual({retn: [true, 'second']})
    expect(bodyOf(await link.next())).toEqual({retn: [true, 'now']})
  })

  test('that fail for a mistake of ours tell the peer nothing of it, and the log all', async () => {
    const share = new TestShare('Bad', {
      soon: () => {
        throw new Error('database password is hunter2')
      },
      later: async () => {
        throw new Error('secret of later')
      },
    })
    await using served = await Served.start({greet: serving(share)})
    const {control, sess} = await served.session()
    for (const method of ['soon', 'later']) {
      const body = await control.call(sess, method)
      expect(errorOf(body)).toBe('SynErr')
      expect(JSON.stringify(body)).not.toMatch(/hunter2|secret/)
    }
    expect(served.lines.filter((line) => line.includes('telepath.call.failed'))).toHaveLength(2)
  })

  test('abort their signal when the caller leaves', async () => {
    const {promise: seen, resolve} = Promise.withResolvers<void>()
    const share = new TestShare('Slow', {
      slow: async ({signal}) => {
        await aborted(signal)
        resolve()
        return value(null)
      },
      now: () => value(null),
    })
    await using served = await Served.start({greet: serving(share)})
    const {control, sess} = await served.session()
    const link = await served.link()
    link.send(callMessage(sess, 'slow'))
    await control.call(sess, 'now')
    link[Symbol.dispose]()
    await seen
  })

  test('a signal that is asked for late has aborted already', async () => {
    const gate = Promise.withResolvers<void>()
    const seen = Promise.withResolvers<boolean>()
    const over = Promise.withResolvers<void>()
    const share = new TestShare('Slow', {
      slow: async (call: Call) => {
        await gate.promise
        seen.resolve(call.signal.aborted)
        return value(null)
      },
    })
    await using served = await Served.start({greet: serving(share, {closed: () => over.resolve()})})
    const {control, sess} = await served.session()
    control.send(callMessage(sess, 'slow'))
    control.socket.end()
    await over.promise
    gate.resolve()
    expect(await seen.promise).toBe(true)
  })

  test('named arguments arrive by name, and other keys than names are refused', async () => {
    const share = new TestShare('Args', {give: ({kwargs}) => value({...kwargs})})
    await using served = await Served.start({greet: serving(share)})
    const {control, sess} = await served.session()
    const ask = async (kwargs: Value): Promise<Record<string, Value>> => {
      control.send(['t2:init', {todo: ['give', [], kwargs], name: null, sess}])
      return bodyOf(await control.next())
    }
    expect(await ask({x: 1, constructor: 2})).toEqual({retn: [true, {x: 1, constructor: 2}]})
    expect(errorOf(await ask(new Map([[1, 2]])))).toBe('BadMesgFormat')
  })
})

describe('streams', () => {
  test('are returned, and their signal aborts, when the caller leaves', async () => {
    const left = Promise.withResolvers<string>()
    const share = new TestShare('Endless', {
      'tick*': ({signal}) => stream(ticks(signal, left.resolve)),
    })
    await using served = await Served.start({greet: serving(share)})
    const {sess} = await served.session()
    const link = await served.link()
    link.send(callMessage(sess, 'tick'))
    expect((await link.next()) as Value[]).toEqual(['t2:genr', {}])
    expect(bodyOf(await link.next())).toEqual({retn: [true, 'tick']})
    link[Symbol.dispose]()
    expect(await left.promise).toBe('returned')
  })

  test('that wait for no signal are returned as well', async () => {
    const returned = Promise.withResolvers<void>()
    const items: AsyncIterable<Value> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: async () => {
          returned.resolve()
          return {done: true, value: undefined}
        },
      }),
    }
    const share = new TestShare('Silent', {'wait*': () => stream(items)})
    await using served = await Served.start({greet: serving(share)})
    const {sess} = await served.session()
    const link = await served.link()
    link.send(callMessage(sess, 'wait'))
    await link.next()
    link[Symbol.dispose]()
    await returned.promise
  })

  test('are read no faster than the peer takes them', async () => {
    const item = Buffer.alloc(64 * 1024, 'x')
    let made = 0
    const share = new TestShare('Big', {
      'many*': () =>
        stream(
          (async function* () {
            for (; made < 2000; made++) yield item
          })(),
        ),
      now: () => value(made),
    })
    await using served = await Served.start({greet: serving(share)})
    const {control, sess} = await served.session()
    const link = await served.link()
    link.socket.pause()
    link.send(callMessage(sess, 'many'))
    // Stalled when many turns of the event loop make no item more.
    let before = -1
    for (let same = 0; same < 20; ) {
      const {retn} = await control.call(sess, 'now')
      const [, now] = retn as [true, number]
      same = now > 0 && now === before ? same + 1 : 0
      before = now
    }
    expect(made).toBeLessThan(1000)
    link.socket.resume()
    await link.next()
    for (let i = 0; i < 2000; i++)
      expect((bodyOf(await link.next())['retn'] as [true, Buffer])[1]).toHaveLength(item.length)
    expect(bodyOf(await link.next())).toEqual({retn: null})
  })

  test('that never wait leave the others their turn', async () => {
    let made = 0
    const share = new TestShare('Fast', {
      'run*': ({signal}) =>
        stream(
          (async function* () {
            for (; !signal.aborted; made++) yield 'x'.repeat(100)
          })(),
        ),
      now: () => value(made),
    })
    await using served = await Served.start({greet: serving(share)})
    const {control, sess} = await served.session()
    control.socket.setNoDelay(true)
    const link = await served.link()
    link.send(callMessage(sess, 'run'))
    await link.next()
    // Client and server share one event loop here: a call takes some turns of it, and each makes 64 KiB of items at most.
    for (let i = 0, before = 0; i < 20; i++) {
      const {retn} = await control.call(sess, 'now')
      const [, now] = retn as [true, number]
      if (i > 0) expect(now - before).toBeLessThan(20 * 600)
      before = now
    }
  })

  test('end with an error at an item that cannot be sent, and are returned', async () => {
    let isReturned = false
    const share = new TestShare('Odd', {
      'items*': () =>
        stream(
          (async function* () {
            try {
              yield 1
              yield Symbol('odd') as unknown as Value
            } finally {
              isReturned = true
            }
          })(),
        ),
    })
    await using served = await Served.start({greet: serving(share)})
    const {control, sess} = await served.session()
    control.send(callMessage(sess, 'items'))
    await control.next()
    expect(bodyOf(await control.next())).toEqual({retn: [true, 1]})
    expect(errorOf(bodyOf(await control.next()))).toBe('NotMsgpackSafe')
    expect(isReturned).toBe(true)
  })
})

describe('shares', () => {
  test('end when the client drops them on the link of the session, else with the session', async () => {
    const closed: string[] = []
    const inner = new TestShare('Inner', {hi: () => value('hi')})
    const share = new TestShare('Outer', {
      make: ({args}) => ({kind: 'share', share: inner, closed: () => void closed.push(String(args[0]))}),
    })
    await using served = await Served.start({greet: serving(share, {closed: () => void closed.push('session')})})
    const {control, sess} = await served.session()
    const link = await served.link()
    const [one, two] = [await link.call(sess, 'make', ['one']), await link.call(sess, 'make', ['two'])]
    link.send(['share:fini', {share: one['iden']}])
    expect(await link.call(sess, 'hi', [], String(one['iden']))).toEqual({retn: [true, 'hi']})
    control.send(['share:fini', {share: one['iden']}])
    await control.call(sess, 'newp')
    expect(closed).toEqual(['one'])
    expect(errorOf(await link.call(sess, 'hi', [], String(one['iden'])))).toBe('NoSuchObj')
    expect(await link.call(sess, 'hi', [], String(two['iden']))).toEqual({retn: [true, 'hi']})
    control.socket.end()
    await control.ended()
    expect(closed).toEqual(['one', 'two', 'session'])
  })

  test('that are made when the caller has left are closed at once', async () => {
    const gate = Promise.withResolvers<void>()
    const closed = Promise.withResolvers<void>()
    const over = Promise.withResolvers<void>()
    const share = new TestShare('Outer', {
      make: async () => {
        await gate.promise
        return {kind: 'share', share: new TestShare('Inner', {}), closed: closed.resolve}
      },
    })
    await using served = await Served.start({greet: serving(share, {closed: over.resolve})})
    const {control, sess} = await served.session()
    control.send(callMessage(sess, 'make'))
    control[Symbol.dispose]()
    await over.promise
    gate.resolve()
    await closed.promise
  })
})

describe('sessions', () => {
  test('are opened with what the owner says of them, and listed', async () => {
    await using served = await Served.start({
      greet: async ({name, path, auth, peer}) => ({
        share: new TestShare('synapse.lib.cell.CellApi', {
          echo: () => value({name, path, user: auth?.user, family: peer.family}),
        }),
        features: {tasks: 1},
        ahaInfo: {name: null},
        user: {iden: 'a'.repeat(32), name: 'visi'},
      }),
    })
    const link = await served.unixLink()
    link.send(['tele:syn', {vers: [3, 0], name: '*/a/b', auth: ['visi', {passwd: 'x'}]}])
    const body = bodyOf(await link.next())
    expect(Object.keys(body)).toEqual(['vers', 'retn', 'ahainfo', 'features', 'sharinfo', 'sess'])
    expect(body).toMatchObject({
      vers: [3, 0],
      retn: [true, null],
      ahainfo: {name: null},
      features: {tasks: 1},
      sharinfo: {meths: {echo: {}}, classes: ['synapse.lib.cell.CellApi'], 'syn:version': [2, 256, 0]},
    })
    const answer = await link.call(String(body['sess']), 'echo')
    expect(answer).toEqual({retn: [true, {name: '*', path: ['a', 'b'], user: 'visi', family: 'unix'}]})
    expect(served.daemon.sessions()).toEqual([
      {
        id: body['sess'],
        peer: {family: 'unix', address: served.path, port: null},
        user: {iden: 'a'.repeat(32), name: 'visi'},
        items: new Map([[null, 'synapse.lib.cell.CellApi']]),
      },
    ])
  })

  test('that are refused leave the link open for another try', async () => {
    await using served = await Served.start({
      greet: async ({name}) => {
        if (name === 'good') return {share: new TestShare('Good', {})}
        throw new RegistryError('REG_DENIED', 'Invalid password', {info: {username: 'visi'}})
      },
    })
    const link = await served.link()
    link.send(['tele:syn', {vers: [3, 0], name: 'bad'}])
    expect(bodyOf(await link.next())).toEqual({
      vers: [3, 0],
      retn: [false, ['AuthDeny', {username: 'visi', mesg: 'Invalid password'}]],
    })
    await link.greet('good')
    expect(served.daemon.sessions()).toHaveLength(1)
  })

  test.each([
    ['no body', ['tele:syn']],
    ['a body that is no map', ['tele:syn', 5]],
    ['a name that is no text', ['tele:syn', {vers: [3, 0], name: 5}]],
    ['a login that is none', ['tele:syn', {vers: [3, 0], auth: 'visi'}]],
    ['a password that is no text', ['tele:syn', {vers: [3, 0], auth: ['visi', {passwd: 5}]}]],
  ])('a greeting with %s is answered with what is wrong', async (_, message) => {
    await using served = await Served.start()
    const link = await served.link()
    link.send(message)
    expect(errorOf(bodyOf(await link.next()))).toBe('BadMesgFormat')
  })

  test('are not to be used by other peers', async () => {
    await using served = await Served.start()
    const {control, sess} = await served.session()
    const stranger = await served.unixLink()
    const unknown = await stranger.call('0'.repeat(32), 'add', [1])
    expect(await stranger.call(sess, 'add', [1])).toEqual(unknown)
    expect(errorOf(unknown)).toBe('NoSuchObj')
    expect(await control.call(sess, 'add', [1])).toEqual({retn: [true, 2]})
  })

  test('are cut with all their links when they are closed here', async () => {
    const closed: string[] = []
    const share = new TestShare('Any', {hi: () => value('hi')})
    await using served = await Served.start({
      greet: ({name}) => ({share, user: {iden: name, name}, closed: () => void closed.push(name)}),
    })
    const [visi, other] = [await served.session('visi'), await served.session('other')]
    const link = await served.link()
    await link.call(visi.sess, 'hi')
    served.daemon.closeSessionsOf('visi')
    await Promise.all([visi.control.ended(), link.ended()])
    expect(closed).toEqual(['visi'])
    expect(await other.control.call(other.sess, 'hi')).toEqual({retn: [true, 'hi']})
    served.daemon.closeSession(other.sess)
    await other.control.ended()
    expect(closed).toEqual(['visi', 'other'])
    expect(served.daemon.sessions()).toEqual([])
  })

  test('end with the peer that they belong to', async () => {
    await using served = await Served.start()
    const {control} = await served.session()
    const local = await served.unixLink()
    const sess = await local.greet()
    served.daemon.closePeers((peer) => peer.family === 'tcp')
    await control.ended()
    expect(await local.call(sess, 'add', [1])).toEqual({retn: [true, 2]})
  })

  test('of a client that leaves before its login is decided are closed', async () => {
    const gate = Promise.withResolvers<void>()
    const [asked, closed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    await using served = await Served.start({
      greet: async () => {
        asked.resolve()
        await gate.promise
        return {share: new TestShare('Any', {}), closed: closed.resolve}
      },
    })
    const link = await served.link()
    link.send(['tele:syn', {vers: [3, 0]}])
    await asked.promise
    link[Symbol.dispose]()
    await served.daemon.stop({graceMs: 0})
    gate.resolve()
    await closed.promise
    expect(served.daemon.sessions()).toEqual([])
  })

  test('of a client that leaves end the calls on its other links', async () => {
    const ended = Promise.withResolvers<string>()
    const share = new TestShare('Endless', {'tick*': ({signal}) => stream(ticks(signal, ended.resolve))})
    await using served = await Served.start({greet: serving(share)})
    const {control, sess} = await served.session()
    const link = await served.link()
    link.send(callMessage(sess, 'tick'))
    await link.next()
    control[Symbol.dispose]()
    await link.ended()
    expect(await ended.promise).toBe('returned')
  })

  test('of two thousand clients that leave at once are all noticed', async () => {
    const everyone = 2000
    let left = 0
    const all = Promise.withResolvers<void>()
    const share = new TestShare('Any', {})
    const closed = (): void => {
      if (++left === everyone) all.resolve()
    }
    await using served = await Served.start({greet: serving(share, {closed})})
    const links: RawLink[] = []
    for (let i = 0; i < everyone; i++) {
      links.push(await RawLink.open(served.port))
      await links.at(-1)?.greet()
    }
    expect(served.daemon.sessions()).toHaveLength(everyone)
    for (const link of links) link[Symbol.dispose]()
    await all.promise
    expect(served.daemon.sessions()).toEqual([])
  })
})

describe('a daemon', () => {
  test('that is not ready closes without a word, and takes links again when it is', async () => {
    await using served = await Served.start()
    const {control} = await served.session()
    served.daemon.setReady(false)
    expect(await control.ended()).toEqual([])
    expect(await (await served.link()).ended()).toEqual([])
    served.daemon.setReady(true)
    await served.session()
  })

  test('that stops ends idle links, lets calls answer, and aborts them after their time', async () => {
    const clock = stopClock()
    const gate = Promise.withResolvers<void>()
    const left = Promise.withResolvers<string>()
    const share = new TestShare('Any', {
      slow: async () => {
        await gate.promise
        return value('done')
      },
      'tick*': ({signal}) => stream(ticks(signal, left.resolve)),
    })
    await using served = await Served.start({greet: serving(share)})
    const {control, sess} = await served.session()
    const [slow, ticking, idle] = [await served.link(), await served.link(), await served.link()]
    await idle.call(sess, 'newp')
    slow.send(callMessage(sess, 'slow'), callMessage(sess, 'slow'))
    ticking.send(callMessage(sess, 'tick'))
    await ticking.next()
    await ticking.next()
    // Its own link must be busy, or the session ends with it.
    control.send(callMessage(sess, 'slow'))
    await served.unixLink().then((link) => link.greet())
    const stopped = served.daemon.stop({graceMs: 300})
    await idle.ended()
    gate.resolve()
    expect(bodyOf(await slow.next())).toEqual({retn: [true, 'done']})
    await clock.pass(300)
    // The second of its calls had not begun.
    expect(await slow.ended()).toEqual([])
    await stopped
    expect(await left.promise).toBe('returned')
    expect(served.daemon.linkCount).toBe(0)
  })

  test('that stops does not wait for a call that does not end', async () => {
    const share = new TestShare('Any', {stuck: () => new Promise(() => {})})
    await using served = await Served.start({greet: serving(share)})
    const {control, sess} = await served.session()
    control.send(callMessage(sess, 'stuck'))
    await served.unixLink().then((link) => link.greet())
    await served.daemon.stop({graceMs: 0})
    await control.ended()
  })

  test('tells a caller whose stream it cuts short that this is not the end', async () => {
    const share = new TestShare('Any', {'tick*': ({signal}) => stream(ticks(signal, () => {}))})
    await using served = await Served.start({greet: serving(share)})
    const {control, sess} = await served.session()
    control.send(callMessage(sess, 'tick'))
    await control.next()
    await control.next()
    await served.daemon.stop({graceMs: 0})
    const [last] = await control.ended()
    expect(errorOf(bodyOf(last))).toBe('IsFini')
  })
})

describe('a UNIX socket', () => {
  test('is open to its owner only', async () => {
    await using served = await Served.start()
    expect((await stat(served.path)).mode & 0o777).toBe(0o600)
  })

  test('whose path is too long is refused with the limit', async () => {
    await using served = await Served.start()
    const path = `${served.path}${'x'.repeat(108 - Buffer.byteLength(served.path))}`
    await expect(served.daemon.listenUnix(path)).rejects.toMatchObject({
      code: 'REG_LISTEN_FAILED',
      message: expect.stringContaining('at most 107'),
    })
    const longest = path.slice(0, -1)
    await served.daemon.listenUnix(longest)
    const link = await RawLink.open(longest)
    await link.greet()
    link[Symbol.dispose]()
  })

  test('that somebody serves is not taken away; one that nobody serves is', async () => {
    await using served = await Served.start()
    await using other = await Served.start()
    await expect(other.daemon.listenUnix(served.path)).rejects.toMatchObject({code: 'REG_LISTEN_FAILED'})
    const link = await served.unixLink()
    await link.greet()
    const stale = `${other.path}2`
    await leaveStale(stale)
    await other.daemon.listenUnix(stale)
    const again = await RawLink.open(stale)
    await again.greet()
    again[Symbol.dispose]()
  })

  test('does not replace a file', async () => {
    await using served = await Served.start()
    const path = `${served.path}.txt`
    await writeFile(path, 'mine')
    await expect(served.daemon.listenUnix(path)).rejects.toMatchObject({code: 'REG_LISTEN_FAILED'})
  })
})

test('a port that is taken is a clear error', async () => {
  await using served = await Served.start()
  await expect(served.daemon.listenTcp({host: '127.0.0.1', port: served.port})).rejects.toMatchObject({
    code: 'REG_LISTEN_FAILED',
    message: `cannot listen on tcp://127.0.0.1:${served.port}: the port is taken by another program`,
  })
})

/** Leaves a socket behind as a process does that is killed. */
async function leaveStale(path: string): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(path, resolve)
  })
  const {rename} = await import('node:fs/promises')
  await rename(path, `${path}.kept`)
  await new Promise((resolve) => {
    server.close(resolve)
  })
  await rename(`${path}.kept`, path)
  await chmod(path, 0o600)
}

async function* ticks(signal: AbortSignal, left: (how: string) => void): AsyncGenerator<Value> {
  try {
    yield 'tick'
    await aborted(signal)
  } finally {
    left('returned')
  }
}
