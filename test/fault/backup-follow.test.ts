// What follows a registry is killed, and so is the registry, while services register. Everything that was acknowledged is archived, once and in order,
// and a store that is made of a base and the log has what the registry has.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {copyFile, mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, expect, test, vi} from 'vitest'
import {readArchivedLog, readFollowed} from '../../src/backup/followed.ts'
import {openBackup, verifyBackup} from '../../src/backup/open-backup.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {replayInto} from '../../src/server/replay.ts'
import {storeCensus} from '../../src/store/census.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import type {Entry} from '../../src/store/store.ts'
import {cleanEnv, LAUNCHER} from '../support/cli.ts'
import {ClosedError, RawClient} from '../support/raw-client.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {IS_LONG} from './rounds.ts'

const ROUNDS = IS_LONG ? 30 : 3
const ROUND_MS = 120_000
const LANES = 4
/** Changes that are acknowledged in a round before somebody is killed; at most. */
const CHANGES_MAX = 400

let root: string
let dir: string
let server: TestServer
let follower: Follower

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'registry-follow-'))
  dir = join(root, 'kept')
  server = await startServer()
  follower = new Follower()
})
afterEach(async () => {
  await follower?.kill()
  await server?.[Symbol.asyncDispose]()
  await rm(root, {recursive: true, force: true})
})

/** The built command, as a process. */
class Follower {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  output = ''

  constructor() {
    const often = ['--base-every', '1s', '--keep-bases', '2']
    const args = ['backup', 'follow', dir, '--url', `cell://${server.dir}`, ...often, '--json']
    this.#child = spawn(LAUNCHER, args, {env: cleanEnv(), stdio: ['ignore', 'pipe', 'pipe']})
    this.#ended = once(this.#child, 'close')
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  /** Ends it in good order; gives its status. */
  async stop(): Promise<unknown> {
    this.#child.kill('SIGTERM')
    await this.#ended
    return this.#child.exitCode
  }
}

/** Changes services until it is closed, and keeps which changes were acknowledged. */
class Writers implements AsyncDisposable {
  static #mark = 0
  readonly acknowledged: number[]
  readonly #client = new RawClient(server.ports.req)
  readonly #done: Promise<unknown>
  #isEnding = false

  constructor(acknowledged: number[]) {
    this.acknowledged = acknowledged
    this.#done = Promise.all(Array.from({length: LANES}, (_, lane) => this.#work(`lane-${lane}`)))
  }

  /** Waits until so many more are acknowledged. */
  async until(count: number): Promise<void> {
    const goal = this.acknowledged.length + count
    await vi.waitFor(() => expect(this.acknowledged.length).toBeGreaterThanOrEqual(goal), {
      timeout: ROUND_MS,
      interval: 5,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true
    this.#client.close()
    await this.#done
  }

  async #work(id: string): Promise<void> {
    try {
      while (!this.#isEnding) {
        Writers.#mark += 1
        const mark = Writers.#mark
        if ((await this.#client.registerOnce(id, {metadata: {mark}})).success) this.acknowledged.push(mark)
      }
    } catch (error) {
      if (!(error instanceof ClosedError)) throw error
    }
  }
}

/** Where the log of the registry is: what was acknowledged is before it. */
async function indexNow(): Promise<number> {
  await using cell = await openTelepath(`cell://${server.dir}`, {spareLinks: 0})
  return Number(await cell.call('getNexsIndx'))
}

/** Waits until everything is archived that was acknowledged by now. */
async function isArchived(): Promise<void> {
  const index = await indexNow()
  const look = async () => expect((await readFollowed(dir)).nextOffset, follower.output).toBeGreaterThanOrEqual(index)
  await vi.waitFor(look, {timeout: ROUND_MS, interval: 50})
}

/** The entries that are archived after a base. */
async function entriesAfter({index, hash}: {readonly index: number; readonly hash: string}): Promise<readonly Entry[]> {
  return (await Array.fromAsync(readArchivedLog(dir, {offset: index, hash}))).flat()
}

/** Gives where each mark stands in the log. */
function marksIn(entries: readonly Entry[]): ReadonlyMap<number, number> {
  return new Map(
    entries.flatMap(({offset, change}) =>
      [...change.matchAll(/"mark\\?":(\d+)/g)].map((found) => [Number(found[1]), offset] as const),
    ),
  )
}

const seed = Number(process.env['REGISTRY_FAULT_SEED'] ?? Date.now() % 2 ** 31)

/** A stream of numbers that a seed repeats (mulberry32). */
function randomOf(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

test(`everything that was acknowledged is archived once, whoever is killed (REGISTRY_FAULT_SEED=${seed})`, {
  timeout: (ROUNDS + 2) * ROUND_MS,
}, async () => {
  const random = randomOf(seed)
  const acknowledged: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    {
      await using writers = new Writers(acknowledged)
      await writers.until(1 + Math.floor(random() * CHANGES_MAX))
      // What is acknowledged now is archived while the writers go on.
      if (round % 2 === 1) await isArchived()
      const victim = random()
      await Promise.all([victim < 0.66 ? follower.kill() : undefined, victim > 0.33 ? server.kill() : undefined])
      if (victim > 0.33) await server.start()
      if (victim < 0.66) follower = new Follower()
    }
    await isArchived()
  }
  expect(await follower.stop(), follower.output).toBe(0)
  await server.stop()
  const {bases, nextOffset} = await readFollowed(dir)
  await using store = new SqliteStore(join(server.dir, 'registry.db'))
  const head = await store.open()
  const entries = await store.read(0, head.nextOffset)
  const marks = marksIn(entries)
  expect(acknowledged.filter((mark) => !((marks.get(mark) ?? nextOffset) < nextOffset))).toEqual([])
  expect(await entriesAfter(bases[0])).toEqual(entries.slice(bases[0].index, nextOffset))
  const {signal} = new AbortController()
  expect(await verifyBackup(await openBackup(dir), {progress: NO_PROGRESS, signal})).toEqual([])
  const reached: unknown[] = []
  for (const {path, index, hash} of bases) {
    const copy = join(root, `copy-${reached.length}.db`)
    await copyFile(join(path, 'registry.db'), copy)
    expect(await replayInto(copy, readArchivedLog(dir, {offset: index, hash}), {signal})).toMatchObject({nextOffset})
    const {services, 'services.sha256': hashes, 'log.hash': lastHash} = await storeCensus(copy)
    reached.push({services, hashes, lastHash})
  }
  // What the bases lead to is one state; that of the registry, when nothing came after the last that is archived.
  const own = await storeCensus(join(server.dir, 'registry.db'))
  const ownState = {services: own['services'], hashes: own['services.sha256'], lastHash: own['log.hash']}
  const expected = head.nextOffset === nextOffset ? ownState : reached[0]
  expect(reached).toEqual(bases.map(() => expected))
})
