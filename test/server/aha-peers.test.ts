import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import type {AhaEntry} from '../../src/registry/aha-entry.ts'
import {AhaPeers, type PeerCall} from '../../src/server/aha-peers.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {CallOptions, TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {settle} from '../support/api.ts'

const CALL: PeerCall = {
  iden: 'i0',
  method: 'getCellIden',
  args: [],
  kwargs: {},
  timeoutMs: undefined,
  skipRun: undefined,
  isStream: false,
}
const NEVER = new AbortController().signal

/** What services do, and what happened to the sessions with them. */
class World {
  readonly happened: string[] = []
  readonly tokens = new Map<string, string>()
  calls: (full: string, options: CallOptions) => Value | Promise<Value> = (full) => full
  items: (full: string, signal: AbortSignal | undefined) => AsyncGenerator<Value, void> = async function* (full) {
    yield `${full}-0`
    yield `${full}-1`
  }
  opening: (full: string) => Promise<void> = async () => undefined
  readonly #ends: (() => void)[] = []
  readonly peers: AhaPeers

  constructor(...names: readonly string[]) {
    for (const name of names) this.tokens.set(name, `token-${name}`)
    this.peers = new AhaPeers({
      services: {byIden: (iden, isOnline, skipRun) => this.#entries(iden, isOnline, skipRun)},
      open: async ({full}) => {
        this.happened.push(`open ${full}`)
        await this.opening(full)
        return this.#proxy(full)
      },
    })
  }

  async ask(call: Partial<PeerCall> = {}, signal = NEVER): Promise<readonly Value[]> {
    return Array.fromAsync(this.peers.call({...CALL, ...call}, signal))
  }

  /** The services end all sessions. */
  endAll(): void {
    for (const end of this.#ends.splice(0)) end()
  }

  #entries(iden: string, isOnline: boolean, skipRun: string | undefined): readonly AhaEntry[] {
    if (iden !== CALL.iden || !isOnline) return []
    return [...this.tokens]
      .filter(([name]) => name !== skipRun)
      .map(([full, online]) => ({full, name: full, network: 'demo.net', info: {online, urlinfo: {}}}))
  }

  #proxy(full: string): TelepathProxy {
    const closed = Promise.withResolvers<Error | undefined>()
    this.#ends.push(() => closed.resolve(undefined))
    const close = async () => {
      this.happened.push(`close ${full}`)
      closed.resolve(undefined)
    }
    const methods = new Map([
      ['getCellIden', {isGenerator: false}],
      ['getTasks', {isGenerator: true}],
    ])
    return {
      info: {classes: [], methods},
      features: {},
      ahaName: null,
      peerVersion: [],
      closed: closed.promise,
      call: async (_method, options = {}) => this.calls(full, options),
      stream: (_method, options = {}) => this.items(full, options.signal),
      share: () => Promise.reject(new Error('there are none')),
      close,
      [Symbol.asyncDispose]: close,
    }
  }
}

describe('a call to all of an iden', () => {
  test('gives the value of each, as they come', async () => {
    const world = new World('a', 'b')
    const slow = Promise.withResolvers<Value>()
    world.calls = (full) => (full === 'a' ? slow.promise : full)
    const answers = world.peers.call(CALL, NEVER)
    expect((await answers.next()).value).toEqual(['b', [true, 'b']])
    slow.resolve('late')
    expect((await answers.next()).value).toEqual(['a', [true, 'late']])
    expect((await answers.next()).done).toBe(true)
  })

  test('leaves out who asks, and is nothing where nobody is', async () => {
    expect(await new World('a', 'b').ask({skipRun: 'a'})).toEqual([['b', [true, 'b']]])
    expect(await new World('a', 'b').ask({iden: 'i1'})).toEqual([])
  })

  test('gives the error of each that fails, and the answers of the others', async () => {
    const world = new World('a', 'b', 'c')
    world.opening = async (full) => {
      if (full === 'b') throw new RegistryError('REG_UNREACHABLE', 'nobody listens', {info: {peer: 'b'}})
    }
    world.calls = (full) => {
      if (full === 'c') throw new RegistryError('REG_NOT_FOUND', 'no such', {telepath: 'NoSuchMeth', info: {name: 'x'}})
      return full
    }
    expect((await world.ask()).toSorted()).toEqual([
      ['a', [true, 'a']],
      ['b', [false, {err: 'LinkErr', errmsg: 'nobody listens', errinfo: {mesg: 'nobody listens', peer: 'b'}}]],
      ['c', [false, {err: 'NoSuchMeth', errmsg: 'no such', errinfo: {mesg: 'no such', name: 'x'}}]],
    ])
  })

  test('has the time that was asked for to connect and to answer, and at most 10 s to connect', async () => {
    const world = new World('a')
    const limits: unknown[] = []
    world.calls = (_full, {timeoutMs}) => {
      limits.push(timeoutMs)
      throw new RegistryError('REG_TIMED_OUT', 'it took too long')
    }
    const late = {err: 'TimeoutError', errmsg: 'it took too long', errinfo: {mesg: 'it took too long'}}
    expect(await world.ask({timeoutMs: 500})).toEqual([['a', [false, late]]])
    await world.ask()
    expect(limits).toEqual([500, 0])
  })

  test.each([
    ['getTasks', false],
    ['getCellIden', true],
  ])('of %s the wrong way is refused without being made', async (method, isStream) => {
    const [answer] = await new World('a').ask({method, isStream})
    expect(answer).toMatchObject(['a', [false, {err: 'TypeError'}]])
  })

  test('goes to 16 at a time', async () => {
    const names = Array.from({length: 40}, (_, index) => `s${index}`)
    const world = new World(...names)
    let running = 0
    let most = 0
    world.calls = async (full) => {
      running += 1
      most = Math.max(most, running)
      await settle()
      running -= 1
      return full
    }
    expect(await world.ask()).toHaveLength(40)
    expect(most).toBe(16)
  })
})

describe('a stream of all of an iden', () => {
  test('gives the items of each, none of them starving the others', async () => {
    const world = new World('a', 'b')
    world.items = async function* (full) {
      for (let index = 0; index < 100; index += 1) yield `${full}-${index}`
    }
    const answers = world.peers.call({...CALL, method: 'getTasks', isStream: true}, NEVER)
    const first: string[] = []
    for await (const [full] of answers as AsyncGenerator<readonly Value[]>) {
      first.push(String(full))
      if (first.length === 20) break
    }
    expect(first.filter((full) => full === 'a').length).toBeGreaterThan(5)
    expect(first.filter((full) => full === 'b').length).toBeGreaterThan(5)
  })

  test.each(['leaves', 'is killed'])('ends at all services when who asked %s', async (how) => {
    const world = new World('a', 'b')
    const signals: AbortSignal[] = []
    world.items = async function* (full, signal) {
      if (signal !== undefined) signals.push(signal)
      yield full
      const {promise, reject} = Promise.withResolvers<never>()
      signal?.addEventListener('abort', () => reject(signal.reason))
      await promise
    }
    const caller = new AbortController()
    const answers = world.peers.call({...CALL, method: 'getTasks', isStream: true}, caller.signal)
    expect([(await answers.next()).value, (await answers.next()).value].toSorted()).toEqual([
      ['a', [true, 'a']],
      ['b', [true, 'b']],
    ])
    if (how === 'leaves') {
      await answers.return()
    } else {
      caller.abort(new Error('killed'))
      expect((await answers.next()).done).toBe(true)
    }
    await settle()
    expect(signals.map(({aborted}) => aborted)).toEqual([true, true])
  })
})

describe('a session with a service', () => {
  test('is used again', async () => {
    const world = new World('a')
    await world.ask()
    await world.ask()
    await Promise.all([world.ask(), world.ask()])
    expect(world.happened).toEqual(['open a'])
  })

  test('is opened once for those who come at the same time', async () => {
    const world = new World('a')
    await Promise.all([world.ask(), world.ask()])
    expect(world.happened).toEqual(['open a'])
  })

  test('is opened anew when the service has ended it, or has registered anew', async () => {
    const world = new World('a')
    await world.ask()
    world.endAll()
    await settle()
    await world.ask()
    world.tokens.set('a', 'token of another session')
    await world.ask()
    await settle()
    expect(world.happened).toEqual(['open a', 'open a', 'open a', 'close a'])
  })

  test('that could not be opened is tried again by the next', async () => {
    const world = new World('a')
    world.opening = async () => {
      throw new RegistryError('REG_UNREACHABLE', 'nobody listens')
    }
    expect(await world.ask()).toMatchObject([['a', [false, {err: 'LinkErr'}]]])
    world.opening = async () => undefined
    expect(await world.ask()).toEqual([['a', [true, 'a']]])
  })

  test('is not there when the server has stopped', async () => {
    const world = new World('a')
    await world.ask()
    await world.peers.close()
    expect(world.happened).toEqual(['open a', 'close a'])
    expect(await world.ask()).toMatchObject([['a', [false, {errmsg: 'the server stops'}]]])
    expect(world.happened).toEqual(['open a', 'close a'])
  })
})
