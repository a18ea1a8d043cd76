import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, onTestFinished, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {checkAhaUrls} from '../../src/config/provisioned.ts'
import {AhaMember, type AhaMemberSettings, type MemberState} from '../../src/server/aha-member.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {freshCerts} from '../pki/certs.ts'
import {type PeerLink, partsOf, TelepathPeer, WELCOME} from '../support/telepath-peer.ts'

const SELF = {
  cellIden: 'c'.repeat(32),
  runId: 'd'.repeat(32),
  url: 'ssl://0.0.0.0:4711?hostname=00.registry.demo.net&ca=demo.net',
}
const INFO = {
  run: SELF.runId,
  iden: SELF.cellIden,
  leader: 'registry',
  urlinfo: {scheme: 'ssl', port: 4711, path: '', hostname: '00.registry.demo.net', ca: 'demo.net'},
  ready: true,
  promotable: true,
}
const MOD = ['modAhaSvcInfo', ['00.registry.demo.net', {ready: true}], {}]
const add = (name: string, info: Value = INFO) => ['addAhaSvc', [name, info], {network: 'demo.net'}]
const ASK = ['getAhaUrls', [], {user: 'root'}]

type Answer = Value | Error

/** An AHA that answers as it is told, and hears what it is called. */
class Aha {
  readonly calls: Value[] = []
  readonly links: PeerLink[] = []
  answer: (method: string, args: readonly Value[]) => Answer = () => null
  #peer: TelepathPeer | undefined
  #wake: (() => void)[] = []

  static async start(place: number | string = 0): Promise<Aha> {
    const aha = new Aha()
    aha.#peer = await TelepathPeer.start((message, link) => aha.#take(message, link), undefined, place)
    onTestFinished(() => aha.stop())
    return aha
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}`
  }

  get port(): number {
    return this.#peer?.port ?? 0
  }

  /** Resolves when that many calls have come. */
  async called(times: number): Promise<readonly Value[]> {
    while (this.calls.length < times) await new Promise<void>((resolve) => this.#wake.push(resolve))
    return this.calls.slice(0, times)
  }

  cut(): void {
    this.#peer?.cut()
  }

  async stop(): Promise<void> {
    await this.#peer?.[Symbol.asyncDispose]()
    this.#peer = undefined
  }

  #take(message: Value, link: PeerLink): void {
    const [type, body] = partsOf(message)
    if (type === 'tele:syn') {
      link.send(WELCOME)
      return
    }
    const todo = body['todo'] as readonly [string, Value[], Value]
    this.calls.push(todo)
    for (const wake of this.#wake.splice(0)) wake()
    const value = this.answer(todo[0], todo[1])
    const retn: Value = value instanceof Error ? [false, ['AuthDeny', {mesg: value.message}]] : [true, value]
    link.send(['t2:fini', {retn}])
  }
}

async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-member-'))
  onTestFinished(() => rm(dir, {recursive: true}))
  return dir
}

interface TestMember {
  readonly member: AhaMember
  readonly events: string[]
  readonly saved: (readonly string[])[]
  /** Resolves at that event. */
  logged(event: string): Promise<void>
}

async function memberOf(urls: readonly string[], more: Partial<AhaMemberSettings> = {}): Promise<TestMember> {
  const certs = await freshCerts()
  const events: string[] = []
  const saved: (readonly string[])[] = []
  const waiting: (() => void)[] = []
  const note = (event: string): void => {
    events.push(event)
    for (const wake of waiting.splice(0)) wake()
  }
  const member = new AhaMember(
    {
      certs: certs.dir,
      log: {info: note, warning: note},
      clock: {wallMs: () => 7},
      checkUrls: checkAhaUrls,
      saveUrls: async (list) => void saved.push(list),
    },
    {
      urls,
      name: '00.registry',
      network: 'demo.net',
      leader: 'registry',
      user: 'root',
      isPromotable: true,
      svcinfo: undefined,
      ...more,
    },
  )
  onTestFinished(() => member.stop())
  return {
    member,
    events,
    saved,
    logged: async (event) => {
      while (!events.includes(event)) await new Promise<void>((resolve) => waiting.push(resolve))
    },
  }
}

const REGISTERED: MemberState = {kind: 'registered', name: '00.registry.demo.net', sinceMs: 7}

describe('a registry under an AHA', () => {
  test('registers as the peer does: asks for the servers, says that it is ready, adds its name and its alias', async () => {
    const aha = await Aha.start()
    const {member, logged} = await memberOf([aha.url])
    expect(member.state).toEqual({kind: 'waiting', name: '00.registry.demo.net', reason: 'not tried yet'})
    member.start(SELF)
    await logged('aha.registered')
    expect(aha.calls).toEqual([ASK, MOD, add('00.registry'), add('registry')])
    expect(member.state).toEqual(REGISTERED)
  })

  test('without an alias adds its name alone; a fixed registration is sent as it is', async () => {
    const aha = await Aha.start()
    const svcinfo = {urlinfo: {scheme: 'ssl', host: 'proxy', port: 1}}
    const {member, logged} = await memberOf([aha.url], {leader: undefined, svcinfo, user: 'reg'})
    member.start({...SELF, url: null})
    await logged('aha.registered')
    expect(aha.calls).toEqual([['getAhaUrls', [], {user: 'reg'}], MOD, add('00.registry', svcinfo)])
  })

  test('registers again when its session is over, and when the AHA comes back', async () => {
    const aha = await Aha.start()
    const {member, events} = await memberOf([aha.url])
    member.start(SELF)
    await aha.called(4)
    aha.cut()
    expect((await aha.called(8)).slice(4)).toEqual([ASK, MOD, add('00.registry'), add('registry')])
    const {port} = aha
    await aha.stop()
    const next = await Aha.start(port)
    await next.called(4)
    expect(events.filter((event) => event === 'aha.not-registered').length).toBeGreaterThan(0)
  })

  test('goes to the next server when one is away', async () => {
    const gone = await Aha.start()
    const {url} = gone
    await gone.stop()
    const aha = await Aha.start()
    const {member, logged} = await memberOf([url, aha.url])
    member.start(SELF)
    await logged('aha.registered')
    expect(member.state).toEqual(REGISTERED)
  })

  test('tries a call again that is refused, and does not do twice what was done: each is a change at the AHA', async () => {
    const aha = await Aha.start()
    let refusals = 2
    aha.answer = (method, [name]) => {
      if (method !== 'addAhaSvc' || name !== 'registry' || refusals === 0) return null
      refusals -= 1
      return new Error('User must have permission aha.service.add')
    }
    const {member, events, logged} = await memberOf([aha.url])
    member.start(SELF)
    await aha.called(5)
    expect(member.state).toMatchObject({kind: 'waiting', reason: expect.stringContaining('must have permission')})
    await logged('aha.registered')
    expect(aha.calls).toEqual([ASK, MOD, add('00.registry'), add('registry'), add('registry'), add('registry')])
    // The same reason is told once.
    expect(events).toEqual(['aha.not-registered', 'aha.registered'])
  })

  test('takes the servers that the AHA tells, and keeps them; it goes there when it has to come again', async () => {
    const path = join(await tempDir(), 'sock')
    const aha = await Aha.start(path)
    const other = await Aha.start()
    aha.answer = (method) => (method === 'getAhaUrls' ? [other.url] : null)
    const {member, saved, logged} = await memberOf([`unix://${path}`])
    member.start(SELF)
    await logged('aha.registered')
    expect(saved).toEqual([[other.url]])
    aha.cut()
    expect(await other.called(4)).toHaveLength(4)
  })

  test('leaves the servers of an AHA without TLS as they are, as the peer does', async () => {
    const aha = await Aha.start()
    aha.answer = (method) => (method === 'getAhaUrls' ? ['ssl://aha.demo.net'] : null)
    const {member, saved, logged} = await memberOf([aha.url])
    member.start(SELF)
    await logged('aha.registered')
    expect(saved).toEqual([])
  })

  test.each([[null], [[]], [['not a url']], [[7]]])(
    'registers, whatever the AHA tells of servers: %j',
    async (told) => {
      const path = join(await tempDir(), 'sock')
      const aha = await Aha.start(path)
      aha.answer = (method) => (method === 'getAhaUrls' ? (told as Value) : null)
      const {member, saved, logged} = await memberOf([`unix://${path}`])
      member.start(SELF)
      await logged('aha.registered')
      expect(saved).toEqual([])
    },
  )

  test('leaves when it is stopped: its session ends, and nothing comes after', async () => {
    const aha = await Aha.start()
    const {member, logged, events} = await memberOf([aha.url])
    member.start(SELF)
    await logged('aha.registered')
    await member.stop()
    await member.stop()
    expect(events.at(-1)).toBe('aha.registered')
  })

  test('can be stopped before it has registered, and before it was started', async () => {
    const aha = await Aha.start()
    aha.answer = () => new RegistryError('REG_DENIED', 'no')
    const {member} = await memberOf([aha.url])
    member.start(SELF)
    await aha.called(1)
    await member.stop()
    const never = await memberOf(['ssl://127.0.0.1:1'])
    await never.member.stop()
  })
})
