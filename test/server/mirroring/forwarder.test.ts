import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../../src/base/errors.ts'
import {encodeAnswer, type ForwardedAnswer} from '../../../src/server/mirroring/forwarded-call.ts'
import {Forwarder, type OwnLog, type Uplink} from '../../../src/server/mirroring/forwarder.ts'
import type {TelepathProxy} from '../../../src/wire/telepath/caller.ts'
import {FakeClock} from '../../support/api.ts'
import {ALL_HERE, proxyOf, TestRole} from '../../support/mirror-cell.ts'

const CALL = {via: 'lock', user: 'u', actor: 'a'} as const
const AT = {nextOffset: 8, epoch: 1, lastHash: 'h8'}
const here = () => Promise.resolve('here')

function done(result: string): ForwardedAnswer {
  return {kind: 'done', at: AT, result}
}

/** Answers each call with the next of these, and with the last one from then on. A function stands for a link that ends before it answers. */
function leader(...answers: readonly (ForwardedAnswer | (() => never))[]) {
  const seen = {calls: 0}
  const proxy = proxyOf(async (_bytes, {onSent}) => {
    const answer = answers[Math.min(seen.calls, answers.length - 1)]
    seen.calls += 1
    onSent?.()
    if (typeof answer === 'function') answer()
    return encodeAnswer(answer as ForwardedAnswer)
  })
  return {seen, proxy}
}

function gone(): never {
  throw new RegistryError('REG_LINK_CLOSED', 'ssl://leader:1 closed the connection')
}

/** A link to a leader that a test opens. */
class TestUplink implements Uplink {
  lostForMs: number | undefined = undefined
  readonly #ready = Promise.withResolvers<TelepathProxy>()
  waiting = Promise.withResolvers<void>()

  open(proxy: TelepathProxy): void {
    this.#ready.resolve(proxy)
  }

  leaderProxy(signal: AbortSignal): Promise<TelepathProxy> {
    this.waiting.resolve()
    const left = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
    return Promise.race([this.#ready.promise, left])
  }
}

function setUp(proxy: TelepathProxy | undefined, log: OwnLog = ALL_HERE) {
  const role = new TestRole('follows')
  const uplink = new TestUplink()
  if (proxy !== undefined) uplink.open(proxy)
  return {role, uplink, forwarder: new Forwarder({role, uplink, log, clock: new FakeClock()})}
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    (value) => value,
    (thrown: RegistryError) => thrown,
  )
  return error instanceof RegistryError ? `${error.code} ${error.telepath}` : `value ${String(error)}`
}

describe('a member', () => {
  test('needs its leader while it follows, gives the lead away, or is not sure of it', () => {
    const {role, forwarder} = setUp(undefined)
    const needs = (['leads', 'follows', 'closing', 'confirms', 'fenced'] as const).map((kind) => {
      role.set(kind)
      return [kind, forwarder.isNeeded]
    })
    expect(needs).toEqual([
      ['leads', false],
      ['follows', true],
      ['closing', true],
      ['confirms', true],
      ['fenced', false],
    ])
  })
})

describe('a call', () => {
  test('is done by the leader', async () => {
    const {proxy, seen} = leader(done('there'))
    expect(await setUp(proxy).forwarder.run(CALL, here)).toBe('there')
    expect(seen.calls).toBe(1)
  })

  test('is done here by who leads', async () => {
    const {proxy, seen} = leader(done('there'))
    const {role, forwarder} = setUp(proxy)
    role.set('leads')
    expect(await forwarder.run(CALL, here)).toBe('here')
    expect(seen.calls).toBe(0)
  })

  test('ends with the error of the leader, as it was there', async () => {
    const error = new RegistryError('REG_CONFLICT', 'User visi already exists.', {
      telepath: 'DupUserName',
      info: {name: 'visi'},
      hints: ['registry cell user list'],
    })
    const {proxy} = leader({kind: 'failed', at: AT, error})
    const {code, telepath, message, info, hints} = error
    await expect(setUp(proxy).forwarder.run(CALL, here)).rejects.toMatchObject({code, telepath, message, info, hints})
  })

  test('waits for a link', async () => {
    const {forwarder, uplink} = setUp(undefined)
    const answer = forwarder.run(CALL, here)
    await uplink.waiting.promise
    uplink.open(leader(done('there')).proxy)
    expect(await answer).toBe('there')
  })

  test('waits until it is settled who leads, and is done here when it is this one', async () => {
    const {role, forwarder} = setUp(undefined)
    role.set('closing')
    const answer = forwarder.run(CALL, here)
    role.set('leads')
    expect(await answer).toBe('here')
  })

  test('waits until it is settled who leads, and goes there when it is another one', async () => {
    const {role, forwarder} = setUp(leader(done('there')).proxy)
    role.set('confirms')
    const answer = forwarder.run(CALL, here)
    role.set('follows')
    expect(await answer).toBe('there')
  })

  test('that waits for a link is done here when this one gets the lead', async () => {
    const {role, forwarder, uplink} = setUp(undefined)
    const answer = forwarder.run(CALL, here)
    await uplink.waiting.promise
    role.set('leads')
    expect(await answer).toBe('here')
  })

  test('goes to another one when the first does not lead and did nothing', async () => {
    const {proxy, seen} = leader({kind: 'not-leader'}, {kind: 'not-leader'}, done('there'))
    expect(await setUp(proxy).forwarder.run(CALL, here)).toBe('there')
    expect(seen.calls).toBe(3)
  })

  test('whose link ends after it was sent is not confirmed, and not sent again', async () => {
    const {proxy, seen} = leader(gone, done('there'))
    expect(await codeOf(setUp(proxy).forwarder.run(CALL, here))).toBe('REG_NOT_CONFIRMED TimeOut')
    expect(seen.calls).toBe(1)
  })

  test('whose link ends before it was sent is sent on another one', async () => {
    let calls = 0
    const proxy = proxyOf(async (_bytes, {onSent}) => {
      calls += 1
      if (calls === 1) gone()
      onSent?.()
      return encodeAnswer(done('there'))
    })
    expect(await setUp(proxy).forwarder.run(CALL, here)).toBe('there')
  })

  test('that the leader refuses as such ends with his reason', async () => {
    const refuse = (): never => {
      throw new RegistryError('REG_DENIED', 'no member', {info: {errname: 'AuthDeny'}})
    }
    expect(await codeOf(setUp(leader(refuse).proxy).forwarder.run(CALL, here))).toBe('REG_DENIED AuthDeny')
  })
})

describe('without a leader', () => {
  test('a call ends with LinkErr when its time is over', async () => {
    const {role, uplink} = setUp(undefined)
    const forwarder = new Forwarder({role, uplink, log: ALL_HERE})
    expect(await codeOf(forwarder.run(CALL, here, {waitMs: 5}))).toBe('REG_UNREACHABLE LinkErr')
  })

  test('a call is read-only at once when there was none for a minute, and not before', async () => {
    const {forwarder, uplink} = setUp(undefined)
    uplink.lostForMs = 60_000
    expect(await codeOf(forwarder.run(CALL, here))).toBe('REG_NOT_LEADER IsReadOnly')
    uplink.lostForMs = 59_999
    const answer = forwarder.run(CALL, here)
    uplink.open(leader(done('there')).proxy)
    expect(await answer).toBe('there')
  })

  test('who leaves waits no longer', async () => {
    const {forwarder, uplink} = setUp(undefined)
    const leave = new AbortController()
    const answer = forwarder.run(CALL, here, {signal: leave.signal})
    await uplink.waiting.promise
    leave.abort(new RegistryError('REG_CANCELLED', 'left'))
    expect(await codeOf(answer)).toBe('REG_CANCELLED SynErr')
  })
})

describe('what was done', () => {
  test('is told when the log of this member has it', async () => {
    const come = Promise.withResolvers<boolean>()
    const asked = Promise.withResolvers<number>()
    const written = (offset: number) => {
      asked.resolve(offset)
      return come.promise
    }
    const {forwarder} = setUp(leader(done('there')).proxy, {...ALL_HERE, written})
    let isOver = false
    const answer = forwarder.run(CALL, here).finally(() => {
      isOver = true
    })
    expect(await asked.promise).toBe(7)
    expect(isOver).toBe(false)
    come.resolve(true)
    expect(await answer).toBe('there')
  })

  test('is not confirmed when it does not come', async () => {
    const log = {...ALL_HERE, written: () => Promise.resolve(false)}
    expect(await codeOf(setUp(leader(done('there')).proxy, log).forwarder.run(CALL, here))).toMatch(
      /^REG_NOT_CONFIRMED/,
    )
  })

  test('is not confirmed when another one leads now, who did not have it', async () => {
    const log = {...ALL_HERE, epoch: 2, hashAt: () => Promise.resolve('other')}
    expect(await codeOf(setUp(leader(done('there')).proxy, log).forwarder.run(CALL, here))).toMatch(
      /^REG_NOT_CONFIRMED/,
    )
    const same = {...log, hashAt: (offset: number) => Promise.resolve(`h${offset + 1}`)}
    expect(await setUp(leader(done('there')).proxy, same).forwarder.run(CALL, here)).toBe('there')
  })
})

test('calls beyond the limit are refused at once, and room is made by those that end', async () => {
  const {forwarder, uplink} = setUp(undefined)
  const many = Array.from({length: 512}, () => forwarder.run(CALL, here))
  expect(await codeOf(forwarder.run(CALL, here))).toBe('REG_BUSY HitLimit')
  uplink.open(leader(done('there')).proxy)
  await Promise.all(many)
  expect(await forwarder.run(CALL, here)).toBe('there')
})

test('calls of more than 64 MiB together are refused at once', async () => {
  const {forwarder, uplink} = setUp(undefined)
  const large = {via: 'lock', user: 'u', actor: 'x'.repeat(8 * 1024 * 1024 - 100)} as const
  const many = Array.from({length: 8}, () => forwarder.run(large, here))
  expect(await codeOf(forwarder.run(large, here))).toBe('REG_BUSY HitLimit')
  uplink.open(leader(done('there')).proxy)
  await Promise.all(many)
})
