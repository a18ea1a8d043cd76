// A server that is killed while it makes live backups, and others write: what is listed is whole, and has exactly what was acknowledged up to its index.
import {readdir, rm} from 'node:fs/promises'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {verifyTree} from '../../src/backup/verify.ts'
import {type TeleEnv, withTeleEnv} from '../../src/client/telepath/tele-env.ts'
import {foldersOf, namedBackups} from '../../src/server/backup-names.ts'
import {readManifest} from '../../src/server/backup-shelf.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {IS_LONG} from './rounds.ts'

const ROUNDS = IS_LONG ? 30 : 3
const ROUND_MS = 120_000
/** A start, a copy, a name: most kills come before the last. */
const LONGEST_MS = 200
const never = new AbortController().signal

let server: TestServer
let env: TeleEnv
/** Offsets of the roles that were acknowledged, in order of their numbers. */
const roles: string[] = []
beforeAll(async () => {
  server = await startServer({conf: {'log:level': 'ERROR'}})
  env = await withTeleEnv({dir: server.dir, certDirs: [], serviceDir: join(server.dir, 'none')})
})
afterAll(async () => {
  await env?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

type Cell = Awaited<ReturnType<typeof root>>

async function root() {
  return await env.open(`cell://${server.dir}`, {spareLinks: 0})
}

/** Adds one role after the other until the server is gone. */
async function write(cell: Cell): Promise<void> {
  for (;;) {
    const name = `role-${roles.length}`
    try {
      await cell.call('addRole', {args: [name]})
    } catch {
      break
    }
    roles.push(name)
  }
}

/** Makes one backup after the other until the server is gone; gives what each has to have at least. */
async function backUp(cell: Cell, atLeast: Map<string, number>): Promise<void> {
  for (;;) {
    const before = roles.length
    try {
      atLeast.set(String(await cell.call('runBackup')), before)
    } catch {
      return
    }
  }
}

async function assertPrefix(path: string, least: number): Promise<void> {
  const manifest = await readManifest(path)
  expect(await verifyTree(path, manifest, {progress: NO_PROGRESS, signal: never})).toEqual([])
  await using store = new SqliteStore(join(path, 'registry.db'))
  const head = await store.open()
  expect(head).toMatchObject({nextOffset: manifest.log.index, lastHash: manifest.log.hash, epoch: manifest.log.epoch})
  const entries = await store.read(0, head.nextOffset)
  const added = entries.flatMap(({change}) => /"role-\d+"/.exec(change)?.[0].slice(1, -1) ?? [])
  // All from the first one on; those at the end may be acknowledged only afterwards.
  expect(added).toEqual(added.map((_, index) => `role-${index}`))
  expect(added.length).toBeGreaterThanOrEqual(least)
}

test(
  'a kill at any moment of live backups leaves those that are whole, each with a prefix of what was acknowledged',
  async () => {
    const atLeast = new Map<string, number>()
    for (let round = 0; round < ROUNDS; round++) {
      await using writer = await root()
      await using keeper = await root()
      const working = [write(writer), backUp(keeper, atLeast)]
      await delay(Math.random() * LONGEST_MS + (round === 0 ? 1000 : 0))
      await server.kill()
      await Promise.all(working)
      // A role that was on its way may be there: its number is not given again.
      const listed = await namedBackups(join(server.dir, 'backups'))
      expect(listed.map(({name}) => name)).toEqual(expect.arrayContaining([...atLeast.keys()]))
      for (const {name, path} of listed) {
        await assertPrefix(path, atLeast.get(name) ?? 0)
        await rm(path, {recursive: true})
      }
      atLeast.clear()
      await server.start()
      const names = await Promise.all((await foldersOf(join(server.dir, 'backups'))).map((folder) => readdir(folder)))
      expect(names.flat()).toEqual([])
      await countRoles()
    }
  },
  ROUNDS * ROUND_MS,
)

/** The last role of a server that was killed may be there although nobody was told. */
async function countRoles(): Promise<void> {
  await using cell = await root()
  const defs = (await cell.call('getRoleDefs')) as readonly {readonly name: string}[]
  if (defs.some(({name}) => name === `role-${roles.length}`)) roles.push(`role-${roles.length}`)
}
