import {createHash} from 'node:crypto'
import {cp, mkdtemp, open, readdir, readFile, rm, truncate, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {RawClient} from '../support/raw-client.ts'
import {startServer} from '../support/server.ts'
import {serveInVain} from './in-vain.ts'

describe('a directory with a server', () => {
  test('is refused to a second one, with the pid of the first, which goes on', async () => {
    await using server = await startServer()
    const {status, error} = await serveInVain(server.dir)
    expect([status, error.code, error.info['pid']]).toEqual([5, 'REG_DIR_LOCKED', server.pid])
    expect(error.message).toContain(`process ${server.pid}`)
    using client = new RawClient(server.ports.req)
    expect(await client.register('a')).toMatchObject({success: true})
    await server.kill()
    await server.start()
    using again = new RawClient(server.ports.req)
    expect(await again.get('a')).toMatchObject({success: true})
  })
})

/** A directory that a server was stopped in, and one that it was killed in (with a WAL), to be copied and damaged. */
let stopped: string
let killed: string
let copy: string

async function leftBy(end: 'stop' | 'kill'): Promise<string> {
  await using server = await startServer()
  using client = new RawClient(server.ports.req)
  await Promise.all(Array.from({length: 400}, (_, index) => client.register(`s${index}`, {filler: 'x'.repeat(500)})))
  await client.deregister('s7')
  await server[end]()
  const kept = await mkdtemp(join(tmpdir(), 'registry-left-'))
  // A socket cannot be copied, and means nothing elsewhere.
  await cp(server.dir, kept, {recursive: true, filter: (path) => !path.endsWith('/sock')})
  return kept
}

beforeAll(async () => {
  stopped = await leftBy('stop')
  killed = await leftBy('kill')
  copy = await mkdtemp(join(tmpdir(), 'registry-damaged-'))
})
afterAll(() => Promise.all([stopped, killed, copy].map((dir) => rm(dir, {recursive: true, force: true}))))

interface Damage {
  readonly name: string
  readonly make: (path: string) => void | Promise<void>
  readonly code?: string
  readonly status?: number
  readonly message: RegExp
}

function change(sql: string) {
  return (path: string) => {
    using database = new DatabaseSync(path)
    database.exec(sql)
  }
}

async function overwrite(path: string, at: number, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(bytes, 0, bytes.length, at)
}

const PAGE = 4096
const DAMAGES: readonly Damage[] = [
  {name: 'that is no database', make: (path) => writeFile(path, 'a note\n'.repeat(1000)), message: /not a database/},
  {name: 'that was cut off', make: (path) => truncate(path, 3 * PAGE), message: /malformed|damaged/},
  {name: 'with a cut page', make: (path) => truncate(path, 20 * PAGE + 100), message: /malformed|damaged/},
  {
    name: 'with noise over the schema',
    make: (path) => overwrite(path, 100, Buffer.alloc(2000, 0xa5)),
    message: /malformed|not a database/,
  },
  {
    name: 'with noise in its middle',
    make: async (path) => {
      const {length} = await readFile(path)
      for (let page = 12; page < length / PAGE; page += 1) await overwrite(path, page * PAGE, Buffer.alloc(PAGE, 0xa5))
    },
    message: /malformed|damaged/,
  },
  {
    name: 'whose newest entries were changed',
    make: change(`UPDATE log_1 SET change = replace(change, '"s390"', '"evil"') WHERE change LIKE '%"s390"%'`),
    message: /the hash of entry 391/,
  },
  {
    name: 'whose last entry is gone',
    make: change('DELETE FROM log_1 WHERE offset = 401'),
    message: /the log ends before entry 401/,
  },
  {name: 'that lacks an entry', make: change('DELETE FROM log_1 WHERE offset = 350'), message: /entry 350 is missing/},
  {name: 'without a head', make: change('DELETE FROM head'), message: /no head/},
  {name: 'without its instances', make: change('DROP TABLE instances'), message: /no such table/},
  {
    name: 'with an instance that is none',
    make: change(`UPDATE instances SET service = '[1]' WHERE seq = 5`),
    message: /entry 5 in .* is not a service/,
  },
  {
    name: 'of something else',
    make: async (path) => {
      await rm(path)
      change('CREATE TABLE notes (text TEXT)')(path)
    },
    code: 'REG_STORE_NEWER',
    status: 5,
    message: /not one of a registry/,
  },
  {
    name: 'of a later version',
    make: change('PRAGMA user_version = 99'),
    code: 'REG_STORE_NEWER',
    status: 5,
    message: /format 99/,
  },
]

async function fingerprints(dir: string): Promise<Record<string, string>> {
  const names = (await readdir(dir)).filter((name) => /^registry\.db(-wal)?$/.test(name))
  const entries = names.map(async (name) => [
    name,
    createHash('sha256')
      .update(await readFile(join(dir, name)))
      .digest('hex'),
  ])
  return Object.fromEntries(await Promise.all(entries))
}

describe('a database', () => {
  test.each(DAMAGES)('$name ends the start with a clear error, and stays as it is', async (damage) => {
    const dir = join(copy, String(DAMAGES.indexOf(damage)))
    await cp(stopped, dir, {recursive: true})
    const path = join(dir, 'registry.db')
    await damage.make(path)
    const before = await fingerprints(dir)
    const {status, error, errors} = await serveInVain(dir)
    expect([status, error.code]).toEqual([damage.status ?? 1, damage.code ?? 'REG_STORE_DAMAGED'])
    expect(error.message).toMatch(damage.message)
    expect(error.message).toContain(path)
    expect(errors).not.toMatch(/\n\s+at /)
    expect(await fingerprints(dir)).toEqual(before)
  })

  test('of a server that was killed is whole without any of this', async () => {
    const dir = join(copy, 'whole')
    await cp(killed, dir, {recursive: true})
    expect(Object.keys(await fingerprints(dir))).toContain('registry.db-wal')
    await using server = await startServer({dir})
    using client = new RawClient(server.ports.req)
    expect((await client.ask({action: 'list'}))['services']).toHaveLength(399)
  })
})
