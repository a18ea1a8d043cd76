import {afterEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../../src/base/errors.ts'
import type {ForwardedCall, ZeromqRequest} from '../../../src/server/mirroring/forwarded-call.ts'
import {ZeromqLane} from '../../../src/server/mirroring/zeromq-lane.ts'
import {FakeClock, settle, TestApi, TestPeer} from '../../support/api.ts'

const CAM = {name: 'cam', type: 'camera', host: '127.0.0.1', port: 1}

/** A leader and a mirror of it without sockets: requests of the mirror's clients go to the leader when its link is there. */
class Pair {
  readonly clock = new FakeClock()
  readonly leader: TestApi
  readonly mirror: TestApi
  /** What came to the leader, batch by batch. */
  readonly batches: (readonly ZeromqRequest[])[] = []
  /** What is wrong with the link. */
  fault: RegistryError | undefined
  isMirror = true
  #open = Promise.withResolvers<void>()

  private constructor(leader: TestApi, open: (lane: ZeromqLane) => TestApi) {
    this.leader = leader
    const ports = {
      forwarder: {isNeeded: true, run: (call: ForwardedCall, here: () => Promise<unknown>) => this.#run(call, here)},
      here: (request: ZeromqRequest) => this.mirror.api.execute(request),
      withinMs: () => 400,
      nowMs: () => this.clock.nowMs,
    }
    Object.defineProperty(ports.forwarder, 'isNeeded', {get: () => this.isMirror})
    this.mirror = open(new ZeromqLane(ports as ConstructorParameters<typeof ZeromqLane>[0]))
    this.link()
  }

  static async start(): Promise<Pair> {
    const store = await TestApi.emptyStore()
    return new Pair(await TestApi.start(), (lane) => TestApi.on({store, lane}))
  }

  link(): void {
    this.#open.resolve()
  }

  unlink(): void {
    this.#open = Promise.withResolvers()
  }

  async #run(call: ForwardedCall, here: () => Promise<unknown>): Promise<unknown> {
    await this.#open.promise
    if (this.fault !== undefined) throw this.fault
    if (!this.isMirror) return await here()
    const requests = call.via === 'zeromq' ? call.requests : []
    this.batches.push(requests)
    return await Promise.all(requests.map((request) => this.leader.api.execute(request)))
  }

  close(): void {
    this.leader.close()
    this.mirror.close()
  }
}

let pair: Pair
afterEach(() => pair.close())

/** Sends without waiting for an answer. */
function send(peer: TestPeer, request: object | string, port: 'req' | 'hb' = 'req'): void {
  const text = typeof request === 'string' ? request : JSON.stringify(request)
  const frames = [Buffer.from('REQ'), Buffer.from(text)]
  if (port === 'hb') pair.mirror.api.onHeartbeat(peer, frames)
  else pair.mirror.api.onRequest(peer, frames, 'envelope')
}

function answers(peer: TestPeer): readonly Record<string, unknown>[] {
  return peer.received.map(([, text = '']) => JSON.parse(text) as Record<string, unknown>)
}

async function received(peer: TestPeer, count: number): Promise<readonly Record<string, unknown>[]> {
  while (peer.received.length < count) await settle()
  return answers(peer)
}

describe('at a mirror', () => {
  test('a registration goes to the leader as it came, with who asked, and is answered as there', async () => {
    pair = await Pair.start()
    const peer = new TestPeer('cam-01')
    const text = `{"service_info": {"port": 1, "x": 12345678901234567890, "host":"h",  "name":"cam","id":"cam-1","b":1.50,"a":1e400},"action":"register","ttl":30}`
    send(peer, text)
    expect(await received(peer, 1)).toEqual([{success: true, service_id: 'cam-1', message: expect.any(String)}])
    expect(pair.batches).toEqual([[{action: 'register', text, actor: 'zmq:anon/cam-01'}]])
    expect(pair.leader.catalog.get('cam-1')?.storedText()).toContain('12345678901234567890')
    expect(pair.mirror.changes.nextOffset).toBe(0)
  })

  test('refusals are those of the leader', async () => {
    pair = await Pair.start()
    const peer = new TestPeer()
    const requests = [
      {action: 'register'},
      {action: 'register', service_info: 7},
      {action: 'register', service_info: {...CAM, singleton: true, allow_duplicate_service_type: true}},
      {action: 'deregister', service_id: 'newp'},
      {action: 'deregister'},
    ]
    for (const request of requests) send(peer, request)
    const expected = await Promise.all(requests.map((request) => pair.leader.ask(request)))
    expect(await received(peer, requests.length)).toEqual(expected)
  })

  test('changes of one connection are made in their order, and answered in it', async () => {
    pair = await Pair.start()
    const peer = new TestPeer()
    for (let round = 0; round < 40; round += 1) {
      send(peer, {action: 'register', service_info: {...CAM, id: 'cam-1'}})
      send(peer, {action: 'deregister', service_id: 'cam-1'})
    }
    const got = await received(peer, 80)
    expect(got.map(({success}) => success)).toEqual(Array.from({length: 80}, () => true))
    expect(pair.leader.catalog.size).toBe(0)
  })

  test('what comes while a batch is on its way goes together with the next', async () => {
    pair = await Pair.start()
    pair.unlink()
    const peer = new TestPeer()
    for (let at = 0; at < 700; at += 1) {
      send(peer, {action: 'register', service_info: {...CAM, id: `cam-${at}`}})
      if (at === 0) await settle()
    }
    pair.link()
    await received(peer, 700)
    expect(pair.batches.map(({length}) => length)).toEqual([1, 300, 300, 99])
  })

  test('a read behind a change waits for it', async () => {
    pair = await Pair.start()
    pair.unlink()
    const peer = new TestPeer()
    send(peer, {action: 'register', service_info: {...CAM, id: 'cam-1'}})
    send(peer, {action: 'get', service_id: 'cam-1'})
    await settle()
    expect(peer.received).toEqual([])
    pair.link()
    expect((await received(peer, 2)).map(({success}) => success)).toEqual([true, false])
  })

  test('while there is no leader the client is told to ask again', async () => {
    pair = await Pair.start()
    pair.fault = new RegistryError('REG_UNREACHABLE', 'no leader')
    const peer = new TestPeer()
    send(peer, {action: 'register', service_info: CAM})
    expect(await received(peer, 1)).toEqual([{success: false, error: 'not confirmed, ask again'}])
  })

  test('for long without a leader, the client is told why', async () => {
    pair = await Pair.start()
    pair.fault = new RegistryError('REG_NOT_LEADER', 'this mirror has no link')
    const peer = new TestPeer()
    send(peer, {action: 'register', service_info: CAM})
    expect(await received(peer, 1)).toEqual([{success: false, error: 'this mirror has no link'}])
  })

  test('what its client does not wait for any more is not sent', async () => {
    pair = await Pair.start()
    pair.unlink()
    const peer = new TestPeer()
    send(peer, {action: 'register', service_info: {...CAM, id: 'first'}})
    await settle()
    send(peer, {action: 'register', service_info: {...CAM, id: 'late'}})
    pair.clock.nowMs += 401
    pair.link()
    expect(await received(peer, 2)).toMatchObject([{success: true}, {success: false}])
    expect(pair.leader.catalog.get('late')).toBeUndefined()
  })

  test('what waits is done here when this one gets the lead, before what comes then', async () => {
    pair = await Pair.start()
    pair.unlink()
    const peer = new TestPeer()
    send(peer, {action: 'register', service_info: {...CAM, id: 'cam-1'}})
    await settle()
    pair.isMirror = false
    send(peer, {action: 'deregister', service_id: 'cam-1'})
    pair.link()
    expect(await received(peer, 2)).toMatchObject([{success: true}, {success: true}])
    expect(pair.mirror.changes.nextOffset).toBe(2)
    // From here on nothing is in the way any more.
    send(peer, {action: 'register', service_info: {...CAM, id: 'cam-2'}})
    await received(peer, 3)
    expect(pair.mirror.catalog.get('cam-2')).toBeDefined()
  })
})

describe('a renewal at a mirror', () => {
  test('of an unknown id is asked of the leader, on both ports', async () => {
    pair = await Pair.start()
    await pair.leader.ask({action: 'register', service_info: {...CAM, id: 'cam-1'}})
    const peer = new TestPeer()
    send(peer, {action: 'renew', service_id: 'cam-1'})
    send(peer, {service_id: 'cam-1'}, 'hb')
    send(peer, {action: 'renew', service_id: 'newp'})
    expect((await received(peer, 3)).map(({success}) => success)).toEqual([true, true, false])
  })

  test('of a known one asks nobody', async () => {
    pair = await Pair.start()
    pair.isMirror = false
    await pair.mirror.ask({action: 'register', service_info: {...CAM, id: 'cam-1'}})
    pair.isMirror = true
    expect(await pair.mirror.ask({action: 'renew', service_id: 'cam-1'})).toMatchObject({success: true})
    expect(pair.batches).toEqual([])
  })

  test('of one unknown id by many is one question', async () => {
    pair = await Pair.start()
    pair.unlink()
    const peers = Array.from({length: 50}, (_, at) => new TestPeer(`peer-${at}`))
    for (const peer of peers) send(peer, {action: 'renew', service_id: 'newp'})
    pair.link()
    for (const peer of peers) expect(await received(peer, 1)).toMatchObject([{success: false}])
    expect(pair.batches.map(({length}) => length)).toEqual([1])
  })

  test('behind a registration by the same client is asked after it', async () => {
    pair = await Pair.start()
    pair.unlink()
    const [other, peer] = [new TestPeer('other'), new TestPeer('peer')]
    send(other, {action: 'renew', service_id: 'cam-1'})
    send(peer, {action: 'register', service_info: {...CAM, id: 'cam-1'}})
    send(peer, {action: 'renew', service_id: 'cam-1'})
    pair.link()
    expect((await received(other, 1)).map(({success}) => success)).toEqual([false])
    expect((await received(peer, 2)).map(({success}) => success)).toEqual([true, true])
  })

  test('of very many unknown ids is refused beyond a thousand', async () => {
    pair = await Pair.start()
    pair.unlink()
    const peers = Array.from({length: 1002}, (_, at) => new TestPeer(`peer-${at}`))
    for (const [at, peer] of peers.entries()) send(peer, {action: 'renew', service_id: `newp-${at}`})
    const last = peers.slice(-2)
    for (const peer of last)
      expect((await received(peer, 1))[0]).toMatchObject({error: expect.stringContaining('too many')})
    pair.link()
    await Promise.all(peers.map((peer) => received(peer, 1)))
    expect(pair.batches.flat()).toHaveLength(1000)
  })
})
