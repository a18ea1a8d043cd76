import {execFileSync, spawnSync} from 'node:child_process'
import {chmod, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, onTestFinished, test} from 'vitest'
import {Subscriber} from 'zeromq'
import {type Answer, RawClient} from '../support/raw-client.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {serveInVain} from './in-vain.ts'

/** Becomes the command after it, with a disk of 4 MB of its own at the directory given first. */
const MOUNT = [
  'unshare',
  '--user',
  '--map-root-user',
  '--mount',
  'sh',
  '-c',
  'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"',
]
const canMount = spawnSync(MOUNT[0] ?? '', [...MOUNT.slice(1), tmpdir(), 'true']).status === 0

interface Disk {
  readonly name: string
  readonly wrapper?: readonly string[] | undefined
  readonly fill: (server: TestServer) => unknown
  readonly free: (server: TestServer) => unknown
}

const ballastOf = ({pid, dir}: TestServer) => join(`/proc/${pid}/root`, dir, 'ballast')
const limitTo = ({pid}: TestServer, bytes: number | 'unlimited') =>
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`])

/** A small disk of our own where the system lets us mount one; and everywhere a limit on the size of files, set while the server runs. */
const DISKS: readonly Disk[] = [
  ...(canMount
    ? [
        {
          name: 'full disk',
          wrapper: MOUNT,
          fill: (server: TestServer) => writeFile(ballastOf(server), Buffer.alloc(8_000_000)).catch(() => undefined),
          free: (server: TestServer) => rm(ballastOf(server)),
        },
      ]
    : []),
  {
    name: 'used up quota',
    fill: async (server) => limitTo(server, (await stat(join(server.dir, 'registry.db-wal'))).size + 5000),
    free: (server) => limitTo(server, 'unlimited'),
  },
]

async function healthTurns(client: RawClient, status: 'ok' | 'degraded'): Promise<Answer> {
  for (;;) {
    const health = await client.health()
    if (health['status'] === status) return health
    await delay(20)
  }
}

/** Everything but changes goes on: reads, renewals, heartbeats; and the registry says what is wrong. */
async function assertReadsGoOn(server: TestServer, client: RawClient, problem: RegExp): Promise<void> {
  expect(await client.get('a')).toMatchObject({success: true, service: {id: 'a', health: 'passing'}})
  expect(await client.ask({action: 'discover', service_type: 'cam'})).toMatchObject({success: true})
  expect(await client.renew('a')).toMatchObject({success: true})
  using heart = new RawClient(server.ports.hb)
  const [answer] = await heart.exchange([JSON.stringify({action: 'renew', service_id: 'a'})])
  expect(JSON.parse(`${answer}`)).toMatchObject({success: true})
  expect(await client.health()).toMatchObject({success: true, problem: expect.stringMatching(problem)})
  const {status, registry} = await client.ask({action: 'info'})
  expect(status).toBe('degraded')
  expect(registry).toMatchObject({store: {kind: 'sqlite', problem: expect.stringMatching(problem)}})
}

async function listed(client: RawClient): Promise<string[]> {
  const {services} = await client.ask({action: 'list'})
  return (services as {id: string}[]).map(({id}) => id).sort()
}

describe.each(DISKS)('a $name', ({wrapper, fill, free}) => {
  test('refuses changes and nothing else, and is used again by itself when there is room', async () => {
    const server = await startServer(wrapper === undefined ? {} : {wrapper: (dir) => [...wrapper, dir]})
    onTestFinished(() => server[Symbol.asyncDispose]())
    using client = new RawClient(server.ports.req)
    const events = new Subscriber({linger: 0})
    onTestFinished(() => events.close())
    events.subscribe('')
    events.connect(`tcp://127.0.0.1:${server.ports.pub}`)
    const filler = {filler: 'x'.repeat(30_000)}
    expect(await client.register('a', {type: 'cam', ...filler})).toMatchObject({success: true})
    await fill(server)

    const stored = ['a']
    let refused: Answer | undefined
    for (let count = 0; refused === undefined && count < 500; count += 1) {
      const answer = await client.register(`s${count}`, filler)
      if (answer.success) stored.push(`s${count}`)
      else refused = answer
    }
    expect(refused?.error).toMatch(
      /^Failed to register service: cannot write to the database: .*\(SQLITE_(FULL|IOERR)\)/,
    )
    await assertReadsGoOn(server, client, /SQLITE_(FULL|IOERR)/)
    expect(await client.deregister('a')).toMatchObject({
      success: false,
      error: expect.stringMatching(/^Failed to deregister/),
    })
    expect(await listed(client)).toEqual(stored.sort())

    await free(server)
    await healthTurns(client, 'ok')
    expect(await client.register('after', filler)).toMatchObject({success: true})
    expect(await client.deregister('a')).toMatchObject({success: true})
    const now = [...stored.slice(1), 'after'].sort()
    expect(await listed(client)).toEqual(now)
    expect(server.output()).toMatch(/\[ERROR\] store\.failed (.|\n)*\[INFO\] store\.recovered/)
    if (wrapper !== undefined) return // its disk goes with its process
    await server.kill()
    await server.start()
    using again = new RawClient(server.ports.req)
    expect(await listed(again)).toEqual(now)
  })
})

test('while another process holds the database changes are refused and nothing else; afterwards they are taken by itself', async () => {
  await using server = await startServer()
  using client = new RawClient(server.ports.req)
  expect(await client.register('a', {type: 'cam'})).toMatchObject({success: true})
  using lock = new DatabaseSync(join(server.dir, 'registry.db'))
  lock.exec('BEGIN EXCLUSIVE')
  const [first, read] = await Promise.all([client.registerOnce('first'), client.get('first')])
  expect(first.error, 'in time, before it is known how it ends').toBe('not confirmed, ask again')
  expect(read).toMatchObject({success: false})
  await healthTurns(client, 'degraded')
  expect(await client.register('second')).toMatchObject({
    error: expect.stringMatching(/Failed to register service: .*locked.*SQLITE_BUSY/),
  })
  await assertReadsGoOn(server, client, /database is locked/)
  await delay(3000)
  expect(await client.deregister('a')).toMatchObject({success: false})
  lock.exec('ROLLBACK')
  await healthTurns(client, 'ok')
  expect(await listed(client)).toEqual(['a'])
  expect(await client.register('first')).toMatchObject({success: true})
  expect(server.output().match(/store\.(failed|recovered)/g)).toEqual(['store.failed', 'store.recovered'])
})

test('a database file that may not be written is refused at the start: it would never be writable without another start', async () => {
  await using server = await startServer()
  await server.stop()
  const path = join(server.dir, 'registry.db')
  await chmod(path, 0o400)
  // Root may write everything, unless it gives up just that.
  const asUser = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override'] : []
  const {status, error} = await serveInVain(server.dir, asUser)
  expect([status, error.code]).toEqual([1, 'REG_STORE_FAILED'])
  expect(error.message).toBe(`cannot open ${path}: EACCES`)
})
