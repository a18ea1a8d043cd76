import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {expect, test} from 'vitest'
import {parseJson} from '../../src/base/json-parse.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {ClosedError, NOT_CONFIRMED, RawClient} from '../support/raw-client.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {outputOf} from './output.ts'

async function storedIds(server: TestServer): Promise<string[]> {
  await using store = new SqliteStore(join(server.dir, 'registry.db'))
  await store.open()
  const stored = (await Array.fromAsync(store.instances())).flat()
  return stored.map(({service}) => (parseJson(service) as {readonly id: string}).id).sort()
}

interface Outcomes {
  readonly acknowledged: string[]
  /** Answered before the disk had confirmed them: they may be there or not. */
  readonly unknown: Set<string>
}

/** Registers ever new ids, `window` at a time, until the client is closed; gives those that were acknowledged. */
function registerOn(
  client: RawClient,
  name: string,
  window: number,
  {acknowledged, unknown}: Outcomes,
): Promise<unknown> {
  let count = 0
  const loop = async () => {
    for (;;) {
      const id = `${name}-${count++}`
      const {success, error} = await client.registerOnce(id)
      if (success) acknowledged.push(id)
      if (error === NOT_CONFIRMED) unknown.add(id)
    }
  }
  const ended = (error: unknown) => {
    if (!(error instanceof ClosedError)) throw error
  }
  return Promise.all(Array.from({length: window}, () => loop().catch(ended)))
}

test('SIGTERM under load: everything that was taken is answered and stored, and nothing else', async () => {
  await using server = await startServer()
  const clients = Array.from({length: 4}, () => new RawClient(server.ports.req))
  const acknowledged: string[] = []
  const unknown = new Set<string>()
  const working = clients.map((client, index) => registerOn(client, `c${index}`, 20, {acknowledged, unknown}))
  while (acknowledged.length < 500) await new Promise((resolve) => setImmediate(resolve))
  expect(await server.stop()).toBe(0)
  await Promise.all(clients.map((client) => client.disconnected()))
  for (const client of clients) client.close()
  await Promise.all(working)
  const stored = await storedIds(server)
  expect(stored.filter((id) => !unknown.has(id))).toEqual(acknowledged.sort())
})

test('a second SIGTERM ends at once what the first one has to wait for', async () => {
  await using server = await startServer()
  using client = new RawClient(server.ports.req)
  expect(await client.register('before')).toMatchObject({success: true})
  using lock = new DatabaseSync(join(server.dir, 'registry.db'))
  lock.exec('BEGIN EXCLUSIVE')
  const held = client.registerOnce('held').catch(() => undefined)
  await client.health() // answered behind it: the registration was taken
  process.kill(server.pid, 'SIGTERM')
  await outputOf(server, /registry\.stopping/)
  process.kill(server.pid, 'SIGTERM')
  expect(await server.ended(), 'no exit status: a signal ended it').toBeNull()
  lock.exec('ROLLBACK')
  client.close()
  await held
  await server.start()
  using again = new RawClient(server.ports.req)
  expect(await again.get('before')).toMatchObject({success: true})
})

test('SIGHUP takes over what can change, and keeps what was when the file is wrong, and says why', async () => {
  await using server = await startServer({conf: {'lease:grace': '7s'}})
  using client = new RawClient(server.ports.req)
  const grace = async () => ((await client.ask({action: 'info'}))['registry'] as {lease_grace: number}).lease_grace
  const reload = (conf: string) =>
    writeFile(join(server.dir, 'cell.yaml'), conf).then(() => process.kill(server.pid, 'SIGHUP'))
  expect(await grace()).toBe(7)
  await reload('lease:grace: 3s\nzmq:hwm: 5000\n')
  await outputOf(server, /config\.reloaded changed=.*lease:grace.* needRestart=.*zmq:hwm/)
  expect(await grace()).toBe(3)

  await reload('lease:grace: soon\n')
  await outputOf(server, /\[ERROR\] config\.not-reloaded .*REG_CONFIG_INVALID.*lease:grace.*soon/)
  await reload('lease:grace: [\n')
  await outputOf(server, /not-reloaded(.|\n)*not-reloaded/)
  expect(await grace()).toBe(3)
  expect(await client.register('a')).toMatchObject({success: true})

  await reload('lease:grace: 5s\nlog:level: critical\n')
  while ((await grace()) !== 5);
  await reload('lease:grace: soon\n')
  await reload('lease:grace: 6s\n')
  while ((await grace()) !== 6);
  expect(server.output().match(/not-reloaded/g), 'the level of the log was taken over, too').toHaveLength(2)
  expect(await server.stop()).toBe(0)
})

test('SIGHUP sets the rate for those who are connected', async () => {
  await using server = await startServer({conf: {'zmq:rate': 5}})
  using client = new RawClient(server.ports.req)
  const refused = async () => {
    const answers = await Promise.all(Array.from({length: 200}, () => client.health()))
    return answers.filter(({success}) => !success).length
  }
  expect(await refused()).toBeGreaterThan(150)
  await writeFile(join(server.dir, 'cell.yaml'), 'zmq:rate: 1000000\n')
  process.kill(server.pid, 'SIGHUP')
  await outputOf(server, /config\.reloaded/)
  await refused() // what came in before the new rate could fill the allowance
  expect(await refused()).toBe(0)
})
