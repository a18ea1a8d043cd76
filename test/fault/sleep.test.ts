import {setTimeout as delay} from 'node:timers/promises'
import {expect, onTestFinished, test} from 'vitest'
import {Subscriber} from 'zeromq'
import {RawClient} from '../support/raw-client.ts'
import {startServer} from '../support/server.ts'
import {outputOf} from './output.ts'

/** Of the leases: much longer than what happens between two renewals, on a busy machine too. */
const TTL_S = 5
const STOPPED_MS = 7000

test('a server that was stopped for 7 s ends no lease of 5 s that lives, and ends those that do not', async () => {
  await using server = await startServer({conf: {'lease:grace': '100ms'}})
  using client = new RawClient(server.ports.req)
  // What comes from one DEALER without an envelope: heartbeats as the stock clients send them.
  using heart = new RawClient(server.ports.hb)
  const events = new Subscriber({linger: 0})
  onTestFinished(() => events.close())
  events.subscribe('expire')
  events.connect(`tcp://127.0.0.1:${server.ports.pub}`)
  const beating = Array.from({length: 20}, (_, index) => `beating-${index}`)
  // Their clients were asleep as well, as on a suspended machine.
  const sleeping = Array.from({length: 20}, (_, index) => `sleeping-${index}`)
  await Promise.all([...beating, ...sleeping, 'dead'].map((id) => client.register(id, {}, TTL_S)))
  const beat = (ids: readonly string[]) =>
    Promise.all(ids.map((id) => heart.exchange([JSON.stringify({action: 'renew', service_id: id})], id)))

  // However long the disk took.
  await beat([...beating, ...sleeping, 'dead'])
  process.kill(server.pid, 'SIGSTOP')
  const beats = []
  for (let sleptMs = 0; sleptMs < STOPPED_MS; sleptMs += 1000) {
    await delay(1000)
    beats.push(beat(beating))
  }
  process.kill(server.pid, 'SIGCONT')
  await outputOf(server, /clock\.stood-still lostMs=\d{4}/)
  const {services} = await client.ask({action: 'list'})
  expect((services as {health: string}[]).map(({health}) => health)).toEqual(Array(41).fill('passing'))
  for (const answers of await Promise.all(beats)) {
    expect(answers.map(([answer]) => JSON.parse(`${answer}`).success)).toEqual(Array(20).fill(true))
  }
  const woken = await beat(sleeping)
  expect(woken.map(([answer]) => JSON.parse(`${answer}`).success)).toEqual(Array(20).fill(true))

  let first: string | undefined
  const ended = events.receive().then(([, body]) => {
    first = JSON.parse(`${body}`).data.service_id
  })
  while (first === undefined) {
    await beat([...beating, ...sleeping])
    await Promise.race([ended, delay(500)])
  }
  expect(first).toBe('dead')
  const after = (await client.ask({action: 'list'}))['services'] as {health: string}[]
  expect(after.map(({health}) => health)).toEqual(Array(40).fill('passing'))
})
