// A second server that becomes a member of the first one by a one-time URL, both built and in processes of their own.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest'
import {parse} from 'yaml'
import {openTelepath} from '../../src/client/telepath/open.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {startAhaServer} from '../support/aha-server.ts'
import {cleanEnv, LAUNCHER, runCli} from '../support/cli.ts'
import {startServer, type TestServer} from '../support/server.ts'

const WITHIN_MS = 150_000

let stack: AsyncDisposableStack
let leader: TestServer
/** Of the member of the test. */
let host: string
let members = 0
beforeAll(async () => {
  // Members of other tests are gone, and nobody is to be asked.
  leader = await startAhaServer({'leader:alone': true})
})
afterAll(() => leader[Symbol.asyncDispose]())
beforeEach(() => {
  stack = new AsyncDisposableStack()
  members += 1
  host = `${members}.aha.demo.net`
})
afterEach(() => stack.disposeAsync())

async function ask(server: {readonly dir: string}, method: string, ...args: readonly Value[]): Promise<Value> {
  await using root = await openTelepath(`cell://${server.dir}`)
  return await root.call(method, {args})
}

/** A one-time URL; its name leads here. */
async function cloneUrl(): Promise<string> {
  const {status, stdout} = await runCli(['clone', host, '--only-url'], {env: {REGISTRY_DIR: leader.dir}})
  expect(status).toBe(0)
  return stdout.trim().replace('aha.demo.net', '127.0.0.1')
}

function listeners(): Readonly<Record<string, string>> {
  const listen = `ssl://127.0.0.1:0?hostname=${host}`
  return {'dmon:listen': `${listen}&ca=demo.net`, 'provision:listen': listen}
}

async function newDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-member-'))
  stack.defer(() => rm(dir, {recursive: true, force: true}))
  return dir
}

async function member(clone: string): Promise<TestServer> {
  return stack.use(await startServer({dir: await newDir(), conf: {...listeners(), clone}}))
}

/** Starts a member on a directory with the configuration that it has. */
async function resumed(dir: string): Promise<TestServer> {
  const conf = parse(await readFile(join(dir, 'cell.yaml'), 'utf8')) as Readonly<Record<string, unknown>>
  return stack.use(await startServer({dir, conf}))
}

/** Waits until the log of a member is as long as that of the leader. */
async function caughtUp(server: TestServer): Promise<void> {
  const offset = Number(await ask(leader, 'getNexsIndx')) - 1
  expect(await ask(server, 'waitNexsOffs', offset, 10)).toBe(true)
}

describe('a clone', () => {
  test('has all that the leader has, and follows it', async () => {
    await ask(leader, 'addUser', 'visi')
    const clone = await cloneUrl()
    const mirror = await member(clone)
    expect(await ask(mirror, 'getUserDefByName', 'visi')).toMatchObject({name: 'visi'})
    expect(await ask(mirror, 'getCellIden')).toBe(await ask(leader, 'getCellIden'))
    await ask(leader, 'addUser', 'later')
    await caughtUp(mirror)
    expect(await ask(mirror, 'getUserDefByName', 'later')).toMatchObject({name: 'later'})
    const [log, conf] = [mirror.output(), await readFile(join(mirror.dir, 'cell.yaml'), 'utf8')]
    for (const event of ['clone.admitted', 'copy.begun', 'copy.checked', 'copy.done', 'mirror.attached']) {
      expect(log).toContain(event)
    }
    expect(log).not.toContain(new URL(clone).pathname.slice(1))
    expect(conf).toMatch(/^mirror:/m)
    expect((await readdir(mirror.dir)).filter((name) => /part|pending/.test(name))).toEqual([])
    expect(await readdir(join(leader.dir, 'tmp'))).toEqual([])
    const listed = JSON.parse((await runCli(['provision', 'list', '--json'], {env: {REGISTRY_DIR: leader.dir}})).stdout)
    expect(listed.provisions).toContainEqual(
      expect.objectContaining({
        kind: 'clone',
        name: host,
        state: 'used',
        used: expect.objectContaining({from: '127.0.0.1'}),
      }),
    )
    const taken = await runCli(['clone', host.toUpperCase(), '--json'], {env: {REGISTRY_DIR: leader.dir}})
    expect({status: taken.status, said: JSON.parse(taken.stdout)}).toMatchObject({
      ...{
        status: 2,
        said: {error: {message: expect.stringContaining(`${host} is a member of this cell, and is there`)}},
      },
    })
    const forget = ['clone', host, '--forget', '--yes', '--json']
    const refused = await runCli(forget, {env: {REGISTRY_DIR: leader.dir}})
    expect({status: refused.status, said: JSON.parse(refused.stdout)}).toMatchObject({
      ...{status: 5, said: {error: {code: 'REG_CONFLICT', message: expect.stringContaining('is there')}}},
    })
    // The URL in its cell.yaml is done with; what it brought counts.
    await mirror.restart()
    await caughtUp(mirror)
    expect(mirror.output().match(/copy\.begun/g)).toHaveLength(1)
    await mirror.stop()
    await expect.poll(async () => JSON.stringify(await ask(leader, 'getMembers'))).toContain('"isOnline":false')
    const dryTrim = ['trim', '--dry-run', '--json']
    const wouldFail = await runCli(dryTrim, {env: {REGISTRY_DIR: leader.dir}})
    expect(wouldFail).toMatchObject({status: 6, stdout: expect.stringContaining(`${host} is away`)})
    const wouldCut = await runCli([...dryTrim, '--force'], {env: {REGISTRY_DIR: leader.dir}})
    expect(wouldCut).toMatchObject({status: 0, stdout: expect.stringContaining(`${host} is cut off`)})
    const completed = await runCli(['complete', 'bash', '--', 'registry clone --forget '], {
      env: {REGISTRY_DIR: leader.dir},
    })
    expect(completed).toMatchObject({status: 0, stdout: expect.stringContaining(host)})
    const forgotten = await runCli(forget, {env: {REGISTRY_DIR: leader.dir}})
    expect(JSON.parse(forgotten.stdout)).toMatchObject({name: host, dryRun: false, member: expect.any(String)})
    expect(JSON.stringify(await ask(leader, 'getMembers'))).not.toContain(host)
  })

  test('of a used URL is refused, and nothing is left of it', async () => {
    const clone = await cloneUrl()
    await member(clone)
    const dir = await newDir()
    const said = await run(dir, {...listeners(), clone})
    expect(said).toContain('clone: ssl://127.0.0.1:')
    expect(said).toContain('registry clone NAME, at the leader')
    const left = (await readdir(dir)).filter((name) => !['cell.yaml', 'lock.db'].includes(name))
    expect(left).toEqual([])
  })

  test('of a second URL for the same name is refused while the first is there, and the URL stays good', async () => {
    const [first, second] = [await cloneUrl(), await cloneUrl()]
    const mirror = await member(first)
    await caughtUp(mirror)
    const dir = await newDir()
    expect(await run(dir, {...listeners(), clone: second})).toContain(`${host} is a member of this cell, and is there`)
    await mirror.stop()
    await expect.poll(async () => JSON.stringify(await ask(leader, 'getMembers'))).toContain('"isOnline":false')
    await caughtUp(await member(second))
  })

  test('is not made of a directory that has data', async () => {
    const other = stack.use(await startServer())
    await other.stop()
    const yaml = await readFile(join(other.dir, 'cell.yaml'), 'utf8')
    await writeFile(join(other.dir, 'cell.yaml'), `${yaml}\nclone: ${await cloneUrl()}\n`)
    await expect(other.start()).rejects.toThrow('has a registry of its own already')
  })
})

test('a member whose configuration was lost before it had a store does not become a registry of its own', async () => {
  const dir = await newDir()
  const clone = await cloneUrl()
  await run(dir, {...listeners(), clone}, 'clone.admitted')
  const said = await run(dir, {...listeners(), clone})
  expect(said).toContain('mirror is set no more')
  expect(await readdir(dir)).not.toContain('registry.db')
})

/** Events of the log at which the new member is killed. */
const STEPS = ['certificate.made', 'clone.admitted', 'copy.begun', 'copy.checked', 'copy.done', 'registry.listening']

describe('a clone that is killed', () => {
  test.each(STEPS)('after %s is complete with the next start', async (step) => {
    await ask(leader, 'addUser', host)
    const dir = await newDir()
    const clone = await cloneUrl()
    expect(await run(dir, {...listeners(), clone}, step)).toContain(step)
    const mirror = await resumed(dir)
    await caughtUp(mirror)
    expect(await ask(mirror, 'getUserDefByName', host)).toMatchObject({name: host})
    expect(await ask(mirror, 'getCellIden')).toBe(await ask(leader, 'getCellIden'))
    expect((await readdir(mirror.dir)).filter((name) => /part|pending/.test(name))).toEqual([])
  })
})

/** Starts a registry on a directory and kills it when its log tells of an event; gives what it wrote when it ends. */
async function run(dir: string, conf: Readonly<Record<string, unknown>>, killAt?: string): Promise<string> {
  const lines = Object.entries(conf).map(([name, value]) => `"${name}": ${JSON.stringify(value)}\n`)
  await writeFile(join(dir, 'cell.yaml'), lines.join(''), {mode: 0o600})
  const ports = ['req', 'pub', 'hb'].flatMap((port) => [`--zmq-${port}-port`, '0'])
  const child = spawn(LAUNCHER, ['serve', dir, ...ports, '--https', 'null'], {
    env: cleanEnv(),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (killAt !== undefined && output.includes(killAt)) child.kill('SIGKILL')
  })
  await once(child, 'close', {signal: AbortSignal.timeout(WITHIN_MS)})
  return output
}
