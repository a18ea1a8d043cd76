// A cell from its start to its end: what it needs, what it leaves, what it takes over while it runs.
import type {X509Certificate} from 'node:crypto'
import {once} from 'node:events'
import {readFileSync} from 'node:fs'
import {mkdtemp, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {setTimeout as delay} from 'node:timers/promises'
import {connect} from 'node:tls'
import {expect, onTestFinished, test} from 'vitest'
import {issueInto} from '../../src/pki/issuer.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {runCli} from '../support/cli.ts'
import {connectTo} from '../support/https.ts'
import {RawClient} from '../support/raw-client.ts'
import {HOST, NETWORK, ServedCell} from '../support/served-cell.ts'
import {startServer} from '../support/server.ts'
import {TestWebsocket} from '../support/websocket.ts'
import {RawLink} from '../wire/telepath/raw-link.ts'
import {serveInVain} from './in-vain.ts'

const TERMS = {ttlMs: 3_600_000, backdateMs: 3_600_000, keyType: 'p256', replace: true} as const

async function newDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'cell-life-'))
  onTestFinished(() => rm(dir, {recursive: true, force: true}))
  return dir
}

/** A shell script for the boot hooks. */
async function hook(dir: string, name: string, text: string): Promise<void> {
  await writeFile(join(dir, name), `#!/bin/sh\n${text}\n`, {mode: 0o755})
}

/** Runs, and is more than an entry that its parent has not taken notice of. */
const isAlive = (pid: number) => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

test('SIGTERM ends it while TLS sessions idle, streams run, websockets listen and handshakes hang', async () => {
  await using cell = await ServedCell.start({certificates: ['root', 'visi'], conf: {'auth:passwd': 'rootpass'}})
  await cell.addUser('visi')
  const {telepath, https} = await cell.listeners()
  const sessions = await Promise.all(Array.from({length: 20}, () => cell.byCertificate('visi', 2)))
  const root = await cell.byCertificate('root')
  const watching = Array.fromAsync(root.stream('watch', {timeoutMs: 0})).catch((error: unknown) => error)
  const kept = await connectTo(https, await cell.keysOf('root'))
  const watcher = await TestWebsocket.open(kept, '/api/v1/behold', {})
  watcher.sendText('{"type":"call:init"}')
  expect(await watcher.message(0)).toMatchObject({type: 'init'})
  for (const port of [telepath, https]) (await connectTo(https, {})).on('error', () => undefined).setTimeout(port)
  using half = await RawLink.open(telepath)
  half.write(Buffer.from('1603010200010001fc0303', 'hex'))
  expect(await cell.server.stop()).toBe(0)
  expect(await watching).toBeInstanceOf(Error)
  for (const session of [...sessions, root]) expect(await session.closed).toBeInstanceOf(Error)
  expect(await watcher.closed()).toBe(1001)
  expect(cell.server.output()).toContain('registry.stopped')
  for (const left of ['run.json', 'lock.pid', 'sock']) {
    await expect(stat(join(cell.dir, left)), left).rejects.toMatchObject({code: 'ENOENT'})
  }
})

/** The certificate that a listener shows to a new connection. */
async function shown(port: number, options: object): Promise<string> {
  const socket = connect({host: '127.0.0.1', port, rejectUnauthorized: false, ...options})
  await once(socket, 'secureConnect')
  const {serialNumber} = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

test('SIGHUP takes over certificates for new connections, keeps old sessions, and keeps the old pair when the new one is broken', async () => {
  await using cell = await ServedCell.start({certificates: ['root']})
  const {telepath, https} = await cell.listeners()
  const keys = await cell.keysOf('root')
  const both = () => Promise.all([shown(telepath, keys), shown(https, {})])
  const before = await both()
  await using old = await cell.byCertificate('root')
  const reloaded = async (count: number, says: RegExp) => {
    process.kill(cell.server.pid, 'SIGHUP')
    while ((cell.server.output().match(new RegExp(says, 'g'))?.length ?? 0) < count) await delay(10)
  }
  const order = {...TERMS, nowMs: Date.now(), purpose: 'host', name: HOST, signAs: NETWORK} as const
  const {certificate} = await issueInto(cell.certs, order)
  const key = await cell.certs.read('host', HOST, 'key')
  await writeFile(join(cell.dir, 'sslkey.pem'), key)
  await writeFile(join(cell.dir, 'sslcert.pem'), certificate.toString())
  await reloaded(1, /config\.reloaded/)
  const wanted = [certificate.serialNumber, certificate.serialNumber]
  await expect.poll(both).toEqual(wanted)
  expect(before).not.toEqual(wanted)
  expect(await old.call('getCellType')).toBe('cell')

  const others: readonly X509Certificate[] = [(await issueInto(cell.certs, order)).certificate]
  await writeFile(await cell.certs.locate('host', HOST, 'key'), key) // not the key of the new certificate
  await writeFile(join(cell.dir, 'sslcert.pem'), others[0]?.toString() ?? '')
  await reloaded(1, /\[ERROR\] certificates\.not-reloaded/)
  expect(await both()).toEqual(wanted)
  const answer = (await cell.asRoot('reload')) as Record<string, readonly [boolean, unknown]>
  expect(answer).toMatchObject({'https:certs': [false, [expect.any(String), expect.anything()]], config: [true, {}]})
  expect(await both()).toEqual(wanted)
  expect(await old.call('getCellType')).toBe('cell')
  await writeFile(join(cell.dir, 'sslkey.pem'), 'no key\n')
  await reloaded(3, /\[ERROR\] (certificates\.not-reloaded|reload\.failed)/)
  expect(await both()).toEqual(wanted)
  await using fresh = await cell.byCertificate('root')
  expect(await fresh.call('getCellType')).toBe('cell')
})

test('a second start on its directory is refused and takes nothing from the first', async () => {
  await using cell = await ServedCell.start({isPlain: true})
  const {status, error} = await serveInVain(cell.dir)
  expect([status, error.code]).toEqual([5, 'REG_DIR_LOCKED'])
  expect(await cell.asRoot('getCellType')).toBe('cell')
  expect((await cell.listeners()).telepath).toBeGreaterThan(0)
})

test('after kill -9 the socket that was left over is taken over, private as before', async () => {
  await using cell = await ServedCell.start({isPlain: true})
  const iden = await cell.asRoot('getCellIden')
  const run = await cell.asRoot('getCellRunId')
  await cell.server.kill()
  expect((await stat(join(cell.dir, 'sock'))).isSocket()).toBe(true)
  await cell.server.start()
  expect((await stat(join(cell.dir, 'sock'))).mode & 0o777).toBe(0o600)
  expect(await cell.asRoot('getCellIden')).toBe(iden)
  expect(await cell.asRoot('getCellRunId')).not.toBe(run)
})

test('a socket path that is too long and ports that are taken are refused, naming the option and what to do', async () => {
  const long = join(await newDir(), 'x'.repeat(100))
  const tooLong = await serveInVain(long)
  expect([tooLong.status, tooLong.error.code]).toEqual([5, 'REG_LISTEN_FAILED'])
  expect(tooLong.error.message).toMatch(/the path has \d+ bytes, a UNIX socket takes at most 107/)

  const taken = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void taken.close())
  await once(taken, 'listening')
  const {port} = taken.address() as {readonly port: number}
  for (const [conf, text] of [
    [
      `dmon:listen: tcp://127.0.0.1:${port}`,
      `dmon:listen: cannot listen on tcp://127.0.0.1:${port}: the port is taken`,
    ],
    [`zmq:rep:port: ${port}`, `zmq:rep:port: cannot listen on 127.0.0.1:${port}: the port is taken`],
  ] as const) {
    const dir = await newDir()
    await writeFile(join(dir, 'cell.yaml'), `${conf}\n`)
    const {status, error, errors} = await serveInVain(dir)
    expect([status, error.code], errors).toEqual([5, 'REG_LISTEN_FAILED'])
    expect(error.message).toContain(text)
    await expect(stat(join(dir, 'sock'))).rejects.toMatchObject({code: 'ENOENT'})
  }
})

test('boot hooks: preboot.sh must succeed, may hang until SIGTERM; concurrent.sh runs beside and ends with it', async () => {
  const hooks = await newDir()
  const dir = await newDir()
  await writeFile(join(dir, 'cell.yaml'), `boothooks:dir: ${JSON.stringify(hooks)}\n`)
  await hook(hooks, 'preboot.sh', 'echo "$1" > "$(dirname "$0")/seen"; exit 7')
  const failed = await serveInVain(dir)
  expect([failed.status, failed.error.code]).toEqual([1, 'REG_HOOK_FAILED'])
  expect(failed.error.message).toMatch(/preboot\.sh must succeed .* status 7/)
  expect((await readFile(join(hooks, 'seen'), 'utf8')).trim()).toBe(dir)

  await hook(hooks, 'preboot.sh', 'exit 0')
  await hook(hooks, 'concurrent.sh', 'sleep 1000 & echo $$ $! > "$(dirname "$0")/pids"; wait')
  await using server = await startServer({dir, conf: {'boothooks:dir': hooks}})
  const pids = async () => {
    const text = await readFile(join(hooks, 'pids'), 'utf8').catch(() => '')
    return text.endsWith('\n') ? text.trim().split(' ').map(Number) : []
  }
  await expect.poll(pids).toHaveLength(2)
  const running = await pids()
  expect(running.map(isAlive)).toEqual([true, true])
  expect(await server.stop()).toBe(0)
  // What the script started has its signal by then, and ends by itself.
  await expect.poll(() => running.map(isAlive)).toEqual([false, false])
})

test('SIGTERM ends a preboot.sh that hangs, and what it started', async () => {
  const hooks = await newDir()
  await hook(hooks, 'preboot.sh', 'sleep 1000 & echo $! > "$(dirname "$0")/pid"; wait')
  const dir = await newDir()
  const starting = startServer({dir, conf: {'boothooks:dir': hooks}}).catch((error: Error) => error)
  const pid = async () => Number(await readFile(join(hooks, 'pid'), 'utf8').catch(() => '0'))
  await expect.poll(pid).toBeGreaterThan(0)
  process.kill(Number(await readFile(join(dir, 'lock.pid'), 'utf8')), 'SIGTERM')
  expect(String(await starting)).toMatch(/the server ended before it was ready/)
  expect(isAlive(await pid())).toBe(false)
})

test('inaugural users are made once, and never come back; cell:guid holds for good', async () => {
  const guid = 'a'.repeat(32)
  const inaugural = {users: [{name: 'first', email: 'first@loop.test'}], roles: [{name: 'keepers'}]}
  await using cell = await ServedCell.start({isPlain: true, conf: {'cell:guid': guid, inaugural}})
  expect(await cell.asRoot('getCellIden')).toBe(guid)
  const first = (await cell.asRoot('getUserDefByName', 'first')) as {readonly iden: string}
  await cell.asRoot('delUser', first.iden)
  await cell.server.kill()
  await cell.server.start()
  expect(await cell.asRoot('getUserDefByName', 'first')).toBeNull()
  expect(await cell.asRoot('getRoleDefByName', 'keepers')).toMatchObject({name: 'keepers'})
  await cell.server.stop()
  await writeFile(join(cell.dir, 'cell.mods.yaml'), `cell:guid: ${'b'.repeat(32)}\n`)
  const {error} = await serveInVain(cell.dir)
  expect(error.message).toMatch(/cell\.guid.*it holds a+, and the option cell:guid is b+/)
})

/** Writes a database as the first format had it, with one service: no records, and no users in its log. */
async function writeFirstFormat(path: string): Promise<void> {
  {
    await using store = new SqliteStore(path)
    await store.open()
    const service =
      '{"id":"cam-1","name":"cam","host":"h","port":1,"type":"camera","metadata":{"type": "camera"},"ttl":3600,"tags":["camera"]}'
    const change =
      '{"v":1,"kind":"register","seq":0,"ttl":3600,"info":{"id":"cam-1","name":"cam","host":"h","port":1,"type":"camera"}}'
    const effect = {kind: 'put', instance: {seq: 0, service, lastHeartbeatS: 1_700_000_000}} as const
    await store.append([{timeMs: 1_700_000_000_000, actor: 'zmq:anon/1', change, effect}])
  }
  using database = new DatabaseSync(path)
  database.exec('DROP TABLE records; PRAGMA user_version = 1')
}

test('a data directory of the first format is taken over with its services, and gets users', async () => {
  const dir = await newDir()
  await writeFirstFormat(join(dir, 'registry.db'))
  await using server = await startServer({dir})
  for (const _ of ['the start that takes it over', 'one after that']) {
    using client = new RawClient(server.ports.req)
    expect(await client.get('cam-1')).toMatchObject({success: true, service: {id: 'cam-1', type: 'camera'}})
    expect(await runCli(['user', 'list', '--url', `cell://${dir}`])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('root'),
    })
    await server.restart()
  }
  using client = new RawClient(server.ports.req)
  expect(await client.deregister('cam-1')).toMatchObject({success: true})
})
