// A drill that is killed at any moment: what it started ends with it, its scratch directory goes, and neither the backup nor the registry that it was made
// of is altered.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtemp, readdir, readFile, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {openBackup, verifyBackup} from '../../src/backup/open-backup.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {readProofs} from '../../src/backup/proofs.ts'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {storeCensus} from '../../src/store/census.ts'
import {cleanEnv, LAUNCHER, runCli} from '../support/cli.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {IS_LONG} from './rounds.ts'

const ROUNDS = IS_LONG ? 30 : 3
const ROUND_MS = 120_000

let server: TestServer
let folder: string
let scratch: string
let backup: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drill-'))
  scratch = await mkdtemp(join(folder, 's-'))
  server = await startServer()
  {
    await using root = await openTelepath(`cell://${server.dir}`)
    for (let number = 0; number < 20; number++) await root.call('addUser', {args: [`user-${number}`]})
  }
  backup = join(folder, 'live')
  expect(await runCli(['livebackup', `cell://${server.dir}`, '--name', 'live', '--stream', folder])).toMatchObject({
    status: 0,
  })
})

afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await rm(folder, {recursive: true, force: true})
})

/** Everybody whose command line or directory names the scratch directory. */
async function processes(): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== `${process.pid}`)
  const found = pids.map(async (pid) => {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    return line.includes(scratch) ? [`${pid} ${line.replaceAll('\0', ' ')}`] : []
  })
  return (await Promise.all(found)).flat()
}

/** Waits until nobody and nothing is left; the test's own limit ends the wait, and `left` says what there was. */
async function allGone(): Promise<void> {
  for (;;) {
    const left = [...(await processes()), ...(await readdir(scratch))]
    if (left.length === 0) return
    await delay(20)
  }
}

const drill = () =>
  spawn(LAUNCHER, ['backup', 'drill', backup, '--scratch', scratch, '--json'], {env: cleanEnv(), stdio: 'ignore'})

const production = () => storeCensus(join(server.dir, 'registry.db'))

test(
  `killed ${ROUNDS} times at any moment, a drill leaves nothing`,
  async () => {
    const before = await production()
    const begunMs = performance.now()
    const whole = drill()
    expect(await once(whole, 'close')).toEqual([0, null])
    const wholeMs = performance.now() - begunMs
    for (let round = 0; round < ROUNDS; round++) {
      const child = drill()
      await delay(((round + Math.random()) / ROUNDS) * wholeMs)
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      await allGone()
      const opened = await openBackup(backup)
      expect(await verifyBackup(opened, {progress: NO_PROGRESS, signal: new AbortController().signal})).toEqual([])
      expect((await readProofs(backup)).every(({result}) => result === 'proven')).toBe(true)
      expect(await production()).toEqual(before)
    }
  },
  (ROUNDS + 1) * ROUND_MS,
)

test('that is asked to stop ends with 130, and leaves nothing', async () => {
  const child = drill()
  while ((await readdir(scratch)).length === 0) await delay(10)
  child.kill('SIGINT')
  expect(await once(child, 'close')).toEqual([130, null])
  await allGone()
})
