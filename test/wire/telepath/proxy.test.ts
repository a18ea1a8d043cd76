import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import {Float, type Value} from '../../../src/wire/msgpack/value.ts'
import type {TelepathProxy} from '../../../src/wire/telepath/caller.ts'
import type {ProxyOptions} from '../../../src/wire/telepath/client-session.ts'
import {openProxy} from '../../../src/wire/telepath/proxy.ts'
import {stopClock} from '../../support/stopped-clock.ts'
import {type PeerLink, partsOf, TelepathPeer, WELCOME, welcoming} from '../../support/telepath-peer.ts'

const failing = (code: string, message: unknown = expect.any(String)) => expect.objectContaining({code, message})
const VALUE: Value = ['t2:fini', {retn: [true, 7]}]
const ITEM: Value = ['t2:yield', {retn: [true, 7]}]
const STREAM: Value = ['t2:genr', {}]
const END: Value = ['t2:yield', {retn: null}]
const SHARE: Value = ['t2:share', {iden: 'a5', sharinfo: {meths: {add: {}}, classes: ['a.Counter']}}]

function open(peer: TelepathPeer, options: Partial<ProxyOptions> = {}): Promise<TelepathProxy> {
  return openProxy({dial: peer.dial, peer: 'the peer', name: 'probe', spareLinks: 0, timeoutMs: 0, ...options})
}

async function collect(items: AsyncIterable<Value>): Promise<Value[]> {
  return await Array.fromAsync(items)
}

/** The method of a call. */
function methodOf(message: Value): string {
  const [method] = partsOf(message)[1]['todo'] as [string]
  return method
}

describe('the session', () => {
  test('tells what the peer says of itself', async () => {
    await using peer = await TelepathPeer.start(welcoming(() => undefined))
    await using proxy = await open(peer, {login: {user: 'visi', passwd: 'secret'}})
    expect(proxy).toMatchObject({features: {tellready: 1}, ahaName: '00.probe.loop.test', peerVersion: [2, 256, 0]})
    expect(proxy.info).toEqual({
      classes: ['a.Probe'],
      methods: new Map([
        ['add', {isGenerator: false}],
        ['count', {isGenerator: true}],
      ]),
    })
    expect(peer.received).toEqual([['tele:syn', {auth: ['visi', {passwd: 'secret'}], vers: [3, 0], name: 'probe'}]])
  })

  test.each<[string, Value, string]>([
    ['is none', 7, 'does not speak Telepath'],
    ['is of another type', ['t2:fini', {}], 'does not speak Telepath'],
    ['has no version', ['tele:syn', {retn: [true, null], sess: 'a'}], 'another version'],
    ['has another version', ['tele:syn', {vers: [2, 0], retn: [true, null], sess: 'a'}], 'another version'],
    ['says neither yes nor no', ['tele:syn', {vers: [3, 0], sess: 'a'}], 'not one of this protocol'],
    ['opens no session', ['tele:syn', {vers: [3, 0], retn: [true, null]}], 'too old'],
  ])('is refused when the answer %s', async (_what, answer, text) => {
    await using peer = await TelepathPeer.start((_message, link) => link.send(answer))
    await expect(open(peer)).rejects.toEqual(failing('REG_BAD_ANSWER', expect.stringContaining(text)))
    await peer.links[0]?.closed
  })

  test('is refused when the answer cannot be read, or is too large', async () => {
    await using garbage = await TelepathPeer.start((_message, link) => link.sendRaw(Buffer.of(0xc1)))
    await expect(open(garbage)).rejects.toEqual(failing('REG_BAD_ANSWER', expect.stringContaining('not readable')))
    await using large = await TelepathPeer.start((_message, link) => link.sendRaw(Buffer.of(0xdb, 0, 0x20, 0, 0)))
    await expect(open(large)).rejects.toEqual(
      failing('REG_BAD_ANSWER', expect.stringContaining('more than 1048576 bytes')),
    )
  })

  test('is given up when no answer comes in time, and the connection is closed', async () => {
    await using peer = await TelepathPeer.start(() => undefined)
    await expect(open(peer, {connectMs: 50})).rejects.toEqual(
      failing('REG_TIMED_OUT', 'the peer did not answer the greeting within 0.05 s'),
    )
    await peer.links[0]?.closed
  })

  test('is given up when there is no connection in time', async () => {
    const dial = (signal: AbortSignal) =>
      new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    await expect(openProxy({dial, peer: 'the peer', name: '', connectMs: 20})).rejects.toEqual(
      failing('REG_TIMED_OUT', 'there was no connection to the peer within 0.02 s'),
    )
  })

  test('gives floats as such to who wants them exact', async () => {
    await using peer = await TelepathPeer.start(
      welcoming((_message, link) => link.send(['t2:fini', {retn: [true, new Float(2)]}])),
    )
    await using plain = await open(peer)
    expect(await plain.call('add')).toBe(2)
    await using exact = await open(peer, {isExact: true})
    expect(await exact.call('add')).toEqual(new Float(2))
    expect(exact.info).toEqual(plain.info)
  })

  test('is given up when its signal aborts', async () => {
    const aborter = new AbortController()
    await using peer = await TelepathPeer.start(() => aborter.abort(new Error('enough')))
    await expect(open(peer, {signal: aborter.signal})).rejects.toThrow('enough')
    await peer.links[0]?.closed
    await expect(open(peer, {signal: aborter.signal})).rejects.toThrow('enough')
    expect(peer.links).toHaveLength(1)
  })

  test('outlives the signal that it was opened with', async () => {
    const aborter = new AbortController()
    await using peer = await TelepathPeer.start(welcoming((_message, link) => link.send(VALUE)))
    await using proxy = await open(peer, {signal: aborter.signal})
    aborter.abort()
    expect(await proxy.call('add')).toBe(7)
  })

  test('ends with its link: calls under way fail, and so do later ones', async () => {
    await using peer = await TelepathPeer.start(welcoming(() => void peer.links[0]?.socket.destroy()))
    const proxy = await open(peer)
    const calls = [proxy.call('wait'), collect(proxy.stream('count')), proxy.share('share')]
    const outcomes = await Promise.allSettled(calls)
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({status: 'rejected', reason: {code: 'REG_LINK_CLOSED'}})
    expect(await proxy.closed).toMatchObject({code: 'REG_LINK_CLOSED'})
    await expect(proxy.call('wait')).rejects.toEqual(failing('REG_LINK_CLOSED'))
    await Promise.all(peer.links.map(({closed}) => closed))
  })

  test('closes all links when it is closed, and fails what is under way', async () => {
    await using peer = await TelepathPeer.start(
      welcoming((message, link) => {
        if (methodOf(message) === 'add') link.send(VALUE)
      }),
    )
    const proxy = await open(peer)
    await Promise.all([proxy.call('add'), proxy.call('add')])
    const waiting = expect(proxy.call('wait')).rejects.toMatchObject({code: 'REG_LINK_CLOSED', telepath: 'IsFini'})
    await proxy.close()
    await waiting
    expect(await proxy.closed).toBeUndefined()
    await Promise.all(peer.links.map(({closed}) => closed))
    await expect(proxy.call('add')).rejects.toMatchObject({code: 'REG_LINK_CLOSED', telepath: 'IsFini'})
  })
})

describe('calls', () => {
  test('send method, arguments and session, without arguments that are undefined', async () => {
    await using peer = await TelepathPeer.start(welcoming((_message, link) => link.send(VALUE)))
    await using proxy = await open(peer)
    expect(await proxy.call('add', {args: [1, 'a'], kwargs: {y: 2, z: undefined}})).toBe(7)
    expect(await proxy.call('add')).toBe(7)
    const sess = '5e55'.repeat(8)
    expect(peer.links[1]?.received).toEqual([
      ['t2:init', {todo: ['add', [1, 'a'], {y: 2}], name: null, sess}],
      ['t2:init', {todo: ['add', [], {}], name: null, sess}],
    ])
  })

  test('made at the same time go on links of their own, which are used again in turn', async () => {
    const waiting: PeerLink[] = []
    await using peer = await TelepathPeer.start(
      welcoming((_message, link) => {
        waiting.push(link)
        if (waiting.length === 3) for (const one of waiting.splice(0)) one.send(VALUE)
      }),
    )
    await using proxy = await open(peer)
    const three = () => Promise.all([1, 2, 3].map(() => proxy.call('add')))
    expect([await three(), await three()]).toEqual([
      [7, 7, 7],
      [7, 7, 7],
    ])
    expect(peer.links.map(({received}) => received.length)).toEqual([1, 2, 2, 2])
  })

  test('find links opened ahead, up to the low mark', async () => {
    const opened: (() => void)[] = []
    const all = new Promise<void>((resolve) => opened.push(resolve))
    await using peer = await TelepathPeer.start(
      welcoming((_message, link) => link.send(VALUE)),
      ({number}) => number === 6 && opened[0]?.(),
    )
    await using proxy = await open(peer, {spareLinks: 4})
    for (let i = 0; i < 6; i++) expect(await proxy.call('add')).toBe(7)
    await all
    for (let i = 0; i < 10; i++) await proxy.call('add')
    expect(peer.links).toHaveLength(6)
    expect(peer.links.slice(1).every(({received}) => received.length >= 2)).toBe(true)
  })

  test('that fail leave their link usable', async () => {
    const refusal: Value = ['t2:fini', {retn: [false, ['AuthDeny', {mesg: 'no', user: 'visi'}]]}]
    await using peer = await TelepathPeer.start(
      welcoming((message, link) => link.send(methodOf(message) === 'deny' ? refusal : VALUE)),
    )
    await using proxy = await open(peer)
    await expect(proxy.call('deny')).rejects.toMatchObject({
      code: 'REG_DENIED',
      telepath: 'AuthDeny',
      message: 'no',
      info: {user: 'visi'},
    })
    expect(await proxy.call('add')).toBe(7)
    expect(peer.links).toHaveLength(2)
  })

  test('with a value that cannot be sent fail before anything is', async () => {
    await using peer = await TelepathPeer.start(welcoming((_message, link) => link.send(VALUE)))
    await using proxy = await open(peer)
    await expect(proxy.call('add', {args: [new Date(0) as unknown as Value]})).rejects.toMatchObject({
      telepath: 'NotMsgpackSafe',
    })
    expect(peer.links).toHaveLength(1)
  })

  test('end at their time limit or signal, and their link with them', async () => {
    await using peer = await TelepathPeer.start(
      welcoming((message, link) => {
        if (methodOf(message) === 'add') link.send(VALUE)
      }),
    )
    await using proxy = await open(peer, {timeoutMs: 30})
    await expect(proxy.call('wait')).rejects.toEqual(
      failing('REG_TIMED_OUT', 'wait of the peer was not answered within 0.03 s'),
    )
    await expect(proxy.call('wait', {timeoutMs: 10})).rejects.toEqual(failing('REG_TIMED_OUT'))
    await expect(proxy.call('wait', {signal: AbortSignal.abort(new Error('enough'))})).rejects.toThrow('enough')
    const aborter = new AbortController()
    const waiting = proxy.call('wait', {signal: aborter.signal, timeoutMs: 0})
    aborter.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(await proxy.call('add', {timeoutMs: 0})).toBe(7)
    await Promise.all([1, 2].map((i) => peer.links[i]?.closed))
  })

  test('whose patience ends while their link is opened leave it to others', async () => {
    const held = Promise.withResolvers<void>()
    await using peer = await TelepathPeer.start(welcoming((_message, link) => link.send(VALUE)))
    let dials = 0
    const dial = async (signal: AbortSignal) => {
      if (++dials === 2) await held.promise
      return peer.dial(signal)
    }
    await using proxy = await open(peer, {dial})
    await expect(proxy.call('add', {timeoutMs: 10})).rejects.toEqual(failing('REG_TIMED_OUT'))
    held.resolve()
    expect(await proxy.call('add')).toBe(7)
    expect(await proxy.call('add')).toBe(7)
    expect(peer.links[1]?.received.concat(peer.links[2]?.received ?? [])).toHaveLength(2)
  })

  test.each<[string, Value]>([
    ['a stream', STREAM],
    ['a share', SHARE],
    ['an item without a stream', ITEM],
    ['the end of a stream that did not begin', END],
    ['a message that is none of Telepath', ['newp', {}]],
    ['a message that is none of Telepath', ['t2:fini']],
    ['a message that is none of Telepath', null],
  ])('answered with %s are refused', async (what, answer) => {
    await using peer = await TelepathPeer.start(
      welcoming((message, link) => link.send(methodOf(message) === 'odd' ? answer : VALUE)),
    )
    await using proxy = await open(peer)
    const text = what.startsWith('a message') ? expect.any(String) : expect.stringContaining(what)
    await expect(proxy.call('odd')).rejects.toEqual(failing('REG_BAD_ANSWER', text))
    expect(await proxy.call('add')).toBe(7)
  })

  test('take no answer that comes without a question', async () => {
    await using peer = await TelepathPeer.start(
      welcoming((_message, link) => link.send(VALUE, ['t2:fini', {retn: [true, 'not yours']}])),
    )
    await using proxy = await open(peer)
    for (let i = 0; i < 5; i++) {
      expect(await proxy.call('add')).toBe(7)
      await peer.links[i + 1]?.closed
    }
  })

  test('are answered byte by byte as well', async () => {
    await using peer = await TelepathPeer.start(async (message, link) => {
      await link.sendBytewise(
        partsOf(message)[0] === 'tele:syn' ? WELCOME : ['t2:fini', {retn: [true, {a: 'ü', b: [1, 2n ** 70n]}]}],
      )
    })
    await using proxy = await open(peer)
    expect(await proxy.call('add')).toEqual({a: 'ü', b: [1, 2n ** 70n]})
  })

  test('take answers up to the limit', async () => {
    await using peer = await TelepathPeer.start(
      welcoming((message, link) =>
        link.send(['t2:fini', {retn: [true, 'x'.repeat(methodOf(message) === 'much' ? 100_000 : 1000)]}]),
      ),
    )
    await using proxy = await open(peer, {maxMessageBytes: 50_000})
    expect(await proxy.call('little')).toHaveLength(1000)
    await expect(proxy.call('much')).rejects.toEqual(
      failing('REG_BAD_ANSWER', expect.stringContaining('more than 50000 bytes')),
    )
  })
})

describe('streams', () => {
  test('give their items in order and leave their link usable', async () => {
    await using peer = await TelepathPeer.start(welcoming((_message, link) => link.send(STREAM, ITEM, ITEM, END)))
    await using proxy = await open(peer)
    expect(await collect(proxy.stream('count'))).toEqual([7, 7])
    expect(await collect(proxy.stream('count'))).toEqual([7, 7])
    expect(peer.links).toHaveLength(2)
  })

  test('that are a plain nil are empty; another value is refused', async () => {
    await using peer = await TelepathPeer.start(
      welcoming((message, link) => link.send(['t2:fini', {retn: [true, methodOf(message) === 'none' ? null : 7]}])),
    )
    await using proxy = await open(peer)
    expect(await collect(proxy.stream('none'))).toEqual([])
    await expect(collect(proxy.stream('value'))).rejects.toEqual(
      failing('REG_BAD_ANSWER', expect.stringContaining('a value')),
    )
    expect(peer.links).toHaveLength(2)
  })

  test('that fail give what came before, then the error, and leave their link usable', async () => {
    const error: Value = ['t2:yield', {retn: [false, ['BadArg', {mesg: 'no further'}]]}]
    await using peer = await TelepathPeer.start(welcoming((_message, link) => link.send(STREAM, ITEM, error)))
    await using proxy = await open(peer)
    for (const _round of [1, 2]) {
      const stream = proxy.stream('count')
      expect(await stream.next()).toEqual({done: false, value: 7})
      await expect(stream.next()).rejects.toMatchObject({code: 'REG_BAD_REQUEST', message: 'no further'})
      expect(await stream.next()).toEqual({done: true, value: undefined})
    }
    expect(peer.links).toHaveLength(2)
  })

  test('that are left early close their link', async () => {
    await using peer = await TelepathPeer.start(welcoming((_message, link) => link.send(STREAM, ITEM, ITEM)))
    await using proxy = await open(peer)
    for await (const item of proxy.stream('count')) {
      expect(item).toBe(7)
      break
    }
    await peer.links[1]?.closed
  })

  test('end at their time limit, which counts from one item to the next and not while nobody asks', async () => {
    await using peer = await TelepathPeer.start(welcoming((_message, link) => link.send(STREAM, ITEM, ITEM)))
    await using proxy = await open(peer)
    const clock = stopClock()
    const stream = proxy.stream('count', {timeoutMs: 40})
    expect(await stream.next()).toEqual({done: false, value: 7})
    await clock.pass(100)
    expect(await stream.next()).toEqual({done: false, value: 7})
    const late = expect(stream.next()).rejects.toEqual(failing('REG_TIMED_OUT'))
    await clock.pass(40)
    await late
    await peer.links[1]?.closed
  })

  test('end with their signal, also while nobody asks', async () => {
    const aborter = new AbortController()
    await using peer = await TelepathPeer.start(welcoming((_message, link) => link.send(STREAM, ITEM, ITEM)))
    await using proxy = await open(peer)
    const stream = proxy.stream('count', {signal: aborter.signal})
    await stream.next()
    aborter.abort(new Error('enough'))
    await peer.links[1]?.closed
    await expect(stream.next()).rejects.toThrow('enough')
  })

  test('give all that came before the peer closed, also to a slow reader', async () => {
    await using peer = await TelepathPeer.start(
      welcoming((_message, link) => {
        link.send(STREAM, ITEM, ITEM, ITEM)
        link.socket.end()
      }),
    )
    await using proxy = await open(peer)
    const stream = proxy.stream('count')
    expect(await stream.next()).toEqual({done: false, value: 7})
    await peer.links[1]?.closed
    expect(await stream.next()).toEqual({done: false, value: 7})
    expect(await stream.next()).toEqual({done: false, value: 7})
    await expect(stream.next()).rejects.toEqual(failing('REG_LINK_CLOSED'))
  })

  test.each<[string, Value]>([
    ['a value', VALUE],
    ['an error in a stream', ['t2:fini', {retn: [false, ['BadArg', {}]]}]],
    ['a stream', STREAM],
    ['a message that is none of Telepath', ['newp', {}]],
  ])('with %s in them are refused, and their link is closed', async (what, message) => {
    await using peer = await TelepathPeer.start(welcoming((_message, link) => link.send(STREAM, ITEM, message)))
    await using proxy = await open(peer)
    await expect(collect(proxy.stream('count'))).rejects.toEqual(
      failing('REG_BAD_ANSWER', expect.stringContaining(what)),
    )
    await peer.links[1]?.closed
  })

  test('are not read faster than they are asked for', async () => {
    const many = 4000
    let taken = 0
    await using peer = await TelepathPeer.start(
      welcoming(async (_message, link) => {
        link.send(STREAM)
        const item = encode(['t2:yield', {retn: [true, 'x'.repeat(10_000)]}])
        for (let i = 0; i < many; i++) {
          if (!link.socket.write(item))
            await Promise.race([new Promise<void>((resolve) => link.socket.once('drain', resolve)), link.closed])
          taken = i
        }
        link.send(END)
      }),
    )
    await using proxy = await open(peer)
    const stream = proxy.stream('fill')
    await stream.next()
    let before = -1
    while (before !== taken) {
      before = taken
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    // 40 MB in all; what the system buffers on a loopback connection is some 6.
    expect(taken).toBeLessThan(many / 2)
    expect(await collect(stream)).toHaveLength(many - 1)
  })
})

describe('shares', () => {
  test('are called by their name, and dropped on the link of the session', async () => {
    const dropped = Promise.withResolvers<void>()
    await using peer = await TelepathPeer.start((message, link) => {
      const [type] = partsOf(message)
      if (type === 'tele:syn') link.send(WELCOME)
      else if (type === 'share:fini') dropped.resolve()
      else
        link.send(
          methodOf(message) === 'share' ? SHARE : methodOf(message) === 'count' ? STREAM : VALUE,
          ...(methodOf(message) === 'count' ? [END] : []),
        )
    })
    await using proxy = await open(peer)
    {
      await using share = await proxy.share('share', {args: [3]})
      expect(share.info).toEqual({classes: ['a.Counter'], methods: new Map([['add', {isGenerator: false}]])})
      expect(await share.call('add')).toBe(7)
      expect(await collect(share.stream('count'))).toEqual([])
      await share[Symbol.asyncDispose]()
    }
    await dropped.promise
    const names = peer.links[1]?.received.map((message) => partsOf(message)[1]['name'])
    expect(names).toEqual([null, 'a5', 'a5'])
    expect(peer.links[0]?.received.slice(1)).toEqual([['share:fini', {share: 'a5'}]])
  })

  test('that nobody asked for are dropped at once', async () => {
    await using peer = await TelepathPeer.start(
      welcoming((message, link) => {
        if (partsOf(message)[0] === 't2:init') link.send(methodOf(message) === 'share' ? SHARE : VALUE)
      }),
    )
    await using proxy = await open(peer)
    await expect(proxy.call('share')).rejects.toEqual(failing('REG_BAD_ANSWER'))
    await expect(proxy.share('add')).rejects.toEqual(failing('REG_BAD_ANSWER', expect.stringContaining('a value')))
    expect(peer.links[0]?.received.slice(1)).toEqual([['share:fini', {share: 'a5'}]])
  })
})

test('a peer may send anything: every call ends, with a value or an error', async () => {
  let script: Buffer = Buffer.alloc(0)
  await using peer = await TelepathPeer.start(
    welcoming((_message, link) => {
      link.sendRaw(script)
      link.socket.end()
    }),
  )
  const piece = fc.oneof(
    fc
      .constantFrom(
        VALUE,
        ITEM,
        STREAM,
        END,
        SHARE,
        ['share:fini', {share: 'a5'}] as Value,
        ['t2:fini', {retn: 5}] as Value,
        null,
      )
      .map((value) => encode(value)),
    fc.uint8Array({maxLength: 8}).map((bytes) => Buffer.from(bytes)),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, {maxLength: 4}),
      fc.constantFrom('call', 'stream', 'share'),
      async (pieces, kind) => {
        await using proxy = await open(peer)
        script = Buffer.concat(pieces)
        const asked =
          kind === 'stream' ? collect(proxy.stream('x')) : kind === 'call' ? proxy.call('x') : proxy.share('x')
        const [outcome] = await Promise.allSettled([asked])
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({name: 'RegistryError'})
      },
    ),
    {numRuns: 150},
  )
})
