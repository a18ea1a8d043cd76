// A cell that cannot write: changes of users are refused and nothing else is, on all listeners; it says why, and takes changes again by itself.
import {execFileSync} from 'node:child_process'
import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {setTimeout as delay} from 'node:timers/promises'
import {expect, test} from 'vitest'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {ask, basic, sessionOf} from '../support/https.ts'
import {idenOf, ServedCell} from '../support/served-cell.ts'

const ROOT = basic('root', 'rootpass')
type Health = {
  readonly status: string
  readonly components: readonly {readonly status: string; readonly mesg: string}[]
}

interface Obstacle {
  readonly name: string
  /** Until then it writes no more. */
  put(cell: ServedCell): Promise<() => unknown>
  readonly says: RegExp
}

const limitTo = ({server}: ServedCell, bytes: number | 'unlimited') =>
  execFileSync('prlimit', ['--pid', String(server.pid), `--fsize=${bytes}:`])

const OBSTACLES: readonly Obstacle[] = [
  {
    name: 'a used up quota',
    says: /SQLITE_(FULL|IOERR)/,
    put: async (cell) => {
      // Below the first frame of the write-ahead log: a checkpoint that lets it begin again wins no room.
      limitTo(cell, 4096)
      return () => limitTo(cell, 'unlimited')
    },
  },
  {
    name: 'a database that another process holds',
    says: /locked/,
    put: async (cell) => {
      const lock = new DatabaseSync(join(cell.dir, 'registry.db'))
      lock.exec('BEGIN EXCLUSIVE')
      return () => lock.close()
    },
  },
  {
    name: 'too little free space',
    says: /free/,
    put: async (cell) => {
      const conf = join(cell.dir, 'cell.mods.yaml')
      const limit = async (percent: number, says: RegExp) => {
        const seen = cell.server.output().match(new RegExp(says, 'g'))?.length ?? 0
        await writeFile(conf, `limit:disk:free: ${percent}\n`)
        process.kill(cell.server.pid, 'SIGHUP')
        while ((cell.server.output().match(new RegExp(says, 'g'))?.length ?? 0) === seen) await delay(10)
      }
      await limit(100, /disk\.low/)
      return () => limit(0, /disk\.enough/)
    },
  },
]

/** Changes until one is refused: what was asked first may still find room. */
async function refusalOf(change: () => Promise<unknown>): Promise<unknown> {
  for (let count = 0; count < 2000; count += 1) {
    try {
      await change()
    } catch (error) {
      return error
    }
  }
  throw new Error('all changes were taken')
}

test.each(OBSTACLES)('$name: changes of users are refused, logins go on, health says why', async ({put, says}) => {
  await using cell = await ServedCell.start({certificates: ['root', 'visi'], conf: {'auth:passwd': 'rootpass'}})
  const visi = await cell.addUser('visi', 'visipass')
  const [key] = (await cell.asRoot('addUserApiKey', 'k', null, visi)) as [string, Value]
  await using root = await cell.local()
  const {https} = await cell.listeners()
  const remove = await put(cell)

  let count = 0
  const email = () => root.call('setUserEmail', {args: [visi, `${count++}@example.net`]})
  expect(await refusalOf(email)).toMatchObject({telepath: 'IsReadOnly'})
  const before = (await root.call('getUserDef', {args: [visi]})) as {readonly email: string}
  for (const [method, ...args] of [
    ['addUser', 'eve', 'evepass'],
    ['setUserPasswd', visi, 'another'],
    ['setUserLocked', visi, true],
    ['addUserApiKey', 'more', null, visi],
    ['genUserOnepass', visi],
    ['addRole', 'keepers'],
    ['delUser', visi],
  ] as readonly (readonly [string, ...Value[]])[]) {
    await expect(root.call(method, {args}), method).rejects.toMatchObject({telepath: 'IsReadOnly'})
  }
  const posted = await ask(https, '/api/v1/auth/adduser', {headers: ROOT, body: {name: 'eve'}})
  expect([posted.status, posted.json]).toMatchObject([503, {status: 'err', code: 'IsReadOnly'}])
  expect(await root.call('getUserDef', {args: [visi]})).toEqual(before)
  expect(await root.call('getUserDefByName', {args: ['eve']})).toBeNull()

  const status = async (headers: Record<string, string>) => (await ask(https, '/api/v1/auth/roles', {headers})).status
  await using byCertificate = await cell.byCertificate('visi')
  expect(await byCertificate.call('getCellUser')).toMatchObject({name: 'visi'})
  const login = await ask(https, '/api/v1/login', {body: {user: 'visi', passwd: 'visipass'}})
  const ways = [{cookie: `sess=${sessionOf(login)}`}, {'x-api-key': key}, basic('visi', 'visipass')]
  expect(await Promise.all(ways.map(status))).toEqual([200, 200, 200])
  expect(await status(basic('visi', 'another'))).toBe(401)

  const health = (await root.call('getHealthCheck')) as unknown as Health
  expect(health.status).toBe('degraded')
  expect(health.components.map(({mesg}) => mesg).join()).toMatch(says)
  const byHttps = await ask(https, '/api/v1/healthcheck', {headers: ROOT})
  expect(byHttps.json).toMatchObject({result: {status: 'degraded'}})
  const info = (await root.call('getCellInfo')) as unknown as {readonly cell: {readonly writeable?: boolean}}
  expect(JSON.stringify(info)).not.toContain('rootpass')

  await remove()
  while (((await root.call('getHealthCheck')) as unknown as Health).status !== 'nominal') await delay(20)
  await root.call('setUserPasswd', {args: [visi, 'another']})
  expect(idenOf(await root.call('addUser', {args: ['eve']}))).toMatch(/^[0-9a-f]{32}$/)
  expect(await status(basic('visi', 'another'))).toBe(200)
})
