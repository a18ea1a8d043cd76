// Live backups as an operator types them: encrypted, on another volume, at a mirror; each is verified, drilled and restored.
import {existsSync} from 'node:fs'
import {mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {generateX25519Identity, identityToRecipient} from 'age-encryption'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {readManifest} from '../../src/server/backup-shelf.ts'
import {storeCensus} from '../../src/store/census.ts'
import {runCli} from '../support/cli.ts'
import {ask, basic} from '../support/https.ts'
import {copyOf, newLeader, TestMember} from '../support/mirror-pair.ts'
import {startServer, type TestServer} from '../support/server.ts'

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-live-'))
})
afterAll(() => rm(home, {recursive: true, force: true}))

async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const {status, stdout, stderr} = await runCli([...args, '--json'])
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stdout}\n${stderr}`)
  return JSON.parse(stdout) as Record<string, unknown>
}

async function addUsers(dir: string, ...names: readonly string[]): Promise<void> {
  await using root = await openTelepath(`cell://${dir}`)
  for (const name of names) await root.call('addUser', {args: [name]})
}

/** Starts what was restored; gives the names of its users. */
async function usersIn(dir: string): Promise<readonly unknown[]> {
  await using _server = await startServer({dir})
  await using root = await openTelepath(`cell://${dir}`)
  const users = (await root.call('getUserDefs')) as readonly {readonly name: string}[]
  return users.map(({name}) => name)
}

describe('a registry', () => {
  let server: TestServer
  let shelf: string
  /** Another volume than that of the data directory, where the system has one. */
  const volume = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

  beforeAll(async () => {
    shelf = await mkdtemp(join(volume, 'registry-shelf-'))
    server = await startServer({https: true, conf: {'backup:dir': join(shelf, 'own'), 'auth:passwd': 'rootpass'}})
    await addUsers(server.dir, 'ada', 'bob')
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await rm(shelf, {recursive: true, force: true})
  })

  async function healthOverHttps(): Promise<unknown> {
    const {https} = JSON.parse(await readFile(join(server.dir, 'run.json'), 'utf8')) as {https: {port: number}}
    const {text} = await ask(https.port, '/api/v1/healthcheck', {headers: basic('root', 'rootpass')})
    const {result} = JSON.parse(text) as {result: {components: readonly {name: string; data: unknown}[]}}
    return result.components.find(({name}) => name === 'backup')?.data
  }

  test('sends an encrypted archive, which is verified, proved and restored with the identity', async () => {
    const identity = await generateX25519Identity()
    const key = join(home, 'key.txt')
    await writeFile(key, `${identity}\n`)
    const archive = join(home, 'a.tar.zst.age')
    const to = await identityToRecipient(identity)
    expect(await json('livebackup', `cell://${server.dir}`, '--archive', archive, '--encrypt-to', to)).toMatchObject({
      where: 'archive',
      path: archive,
    })
    expect((await readFile(archive, 'latin1')).slice(0, 30)).toMatch(/^age-encryption\.org\/v1\n/)
    for (const args of [
      ['backup', 'verify', archive],
      ['backup', 'drill', archive],
      ['restore', archive, join(home, 'no')],
    ]) {
      expect((await runCli(args)).status).toBe(4)
    }
    expect(await json('backup', 'verify', archive, '--identity', key)).toMatchObject({ok: true})
    expect(await json('backup', 'drill', archive, '--identity', key, '--scratch', home)).toMatchObject({
      result: 'proven',
    })
    const dir = join(home, 'restored')
    await json('restore', archive, dir, '--identity', key)
    expect(await usersIn(dir)).toEqual(expect.arrayContaining(['ada', 'bob']))
  })

  test('keeps its backups on another volume, from where they are restored; its health over HTTPS tells of a drill beside it', async () => {
    const {path, name} = await json('livebackup', `cell://${server.dir}`)
    expect(path).toBe(join(shelf, 'own', String(name)))
    if (volume !== tmpdir()) expect((await stat(String(path))).dev).not.toBe((await stat(server.dir)).dev)
    expect(await json('backup', 'verify', String(path))).toMatchObject({ok: true})
    expect(await readdir(join(shelf, 'own'))).toEqual([name])
    const dir = join(home, 'from-volume')
    await json('restore', String(path), dir)
    await json('backup', 'drill', String(path), '--scratch', home)
    expect(await healthOverHttps()).toMatchObject({how: 'kept', proof: 'proven', proofof: name})
    await addUsers(server.dir, 'cyd')
    const users = await usersIn(dir)
    expect(users).toEqual(expect.arrayContaining(['ada', 'bob']))
    expect(users).not.toContain('cyd')
  })
})

describe('a mirror', () => {
  let leader: TestMember
  let mirror: TestMember
  beforeAll(async () => {
    leader = await newLeader()
    await leader.start()
    await addUsers(leader.dir, 'ada')
    await leader.stop()
    mirror = await copyOf(leader, '01.demo.net')
    await leader.start()
    await writeFile(join(mirror.dir, 'cell.yaml'), `mirror: ["${leader.url}"]\n`)
    await mirror.start()
    await mirror.reach(leader)
  })
  afterAll(async () => {
    await mirror?.[Symbol.asyncDispose]()
    await leader?.[Symbol.asyncDispose]()
  })

  test('gives a backup of what it has itself, and what is restored of that is the mirror again, from where it was', async () => {
    await leader.call('addUser', 'bob')
    await mirror.reach(leader)
    await leader.stop()
    const {path, index} = await json('livebackup', `cell://${mirror.dir}`, '--stream', join(home, 'of-mirror'))
    expect(index).toBe(await mirror.call('getNexsIndx'))
    const manifest = await readManifest(String(path))
    expect(manifest).toMatchObject({how: 'live', cell: {name: null}, log: {index}})
    expect(await storeCensus(join(String(path), 'registry.db'))).toEqual(manifest.census)
    expect(await json('backup', 'drill', String(path), '--scratch', home)).toMatchObject({result: 'proven'})
    const dir = join(home, 'was-mirror')
    expect(await json('restore', String(path), dir)).toMatchObject({
      history: {role: 'mirror', leader: leader.name, offset: Number(index) - 1, epoch: 1},
    })
    await mirror.stop()
    await leader.start()
    await leader.call('addUser', 'cyd')
    await using restored = new TestMember(dir, mirror.name)
    await restored.start()
    await restored.reach(leader)
    const users = (await restored.call('getUserDefs')) as readonly {readonly name: string}[]
    expect(users.map(({name}) => name)).toEqual(expect.arrayContaining(['ada', 'bob', 'cyd']))
  })
})
