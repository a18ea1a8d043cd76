// What follows a registry is killed, the log is to be trimmed meanwhile, and the registry is started again: nothing is cut off that is to come back.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtemp, readdir, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {readFollowed} from '../../src/backup/followed.ts'
import type {ErrorReport} from '../../src/cli/error-report.ts'
import type {RegistryStatus, StatusArchiver} from '../../src/cli/status-report.ts'
import type {TrimReport} from '../../src/cli/trim-run.ts'
import {cleanEnv, LAUNCHER, runCli} from '../support/cli.ts'
import {callAsRoot, MemberCell} from '../support/member-cell.ts'
import {PatientClient} from '../support/patient-client.ts'
import {startServer} from '../support/server.ts'

const TIMEOUT = 600_000
const SOON = {timeout: 150_000, interval: 100}

let root: string
let kept: string
const followers: ChildProcess[] = []
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'registry-follow-'))
  kept = join(root, 'kept')
})
afterEach(async () => {
  for (const follower of followers.splice(0)) await kill(follower)
  await rm(root, {recursive: true, force: true})
})

function follow(dir: string): ChildProcess {
  const args = ['backup', 'follow', kept, '--url', `cell://${dir}`, '--json']
  const follower = spawn(LAUNCHER, args, {env: cleanEnv(), stdio: 'ignore'})
  followers.push(follower)
  return follower
}

async function kill(follower: ChildProcess): Promise<void> {
  if (follower.exitCode !== null || follower.signalCode !== null) return
  const ended = once(follower, 'close')
  follower.kill('SIGKILL')
  await ended
}

async function json<T>(...args: readonly string[]): Promise<readonly [status: number | null, T]> {
  const {status, stdout} = await runCli([...args, '--json'])
  return [status, JSON.parse(stdout) as T]
}

const trim = <T = TrimReport>(dir: string, ...args: readonly string[]) => json<T>('trim', `cell://${dir}`, ...args)

async function archiver(dir: string): Promise<StatusArchiver | undefined> {
  const [, {cell}] = await json<RegistryStatus>('status', '--url', `cell://${dir}`)
  return cell?.archivers?.[0]
}

async function histories(): Promise<readonly string[]> {
  return (await readdir(kept)).filter((name) => name.startsWith('history'))
}

test('a log is not trimmed while who archives it is away, over restarts too, and is when it is back', {
  timeout: TIMEOUT,
}, async () => {
  await using server = await startServer()
  const {dir} = server
  await using client = new PatientClient(`zmq://127.0.0.1:${server.ports.req}`)
  const change = (done: number) =>
    client.register({id: 'cam-1', name: 'cam1', type: 'camera', host: '127.0.0.1', port: 5000, metadata: {done}})

  const first = follow(dir)
  await expect.poll(() => archiver(dir), SOON).toMatchObject({attached: true, name: expect.stringContaining(kept)})
  await change(1)
  await expect.poll(() => archiver(dir), SOON).toMatchObject({behind: 0})
  await kill(first)
  await expect.poll(() => archiver(dir), SOON).toMatchObject({attached: false})

  await change(2)
  const refusal = [
    6,
    {error: {code: 'REG_UNREACHABLE', message: expect.stringContaining(`${kept}, which archives the log, is away`)}},
  ]
  expect(await trim<{error: ErrorReport}>(dir, '--yes')).toMatchObject(refusal)
  await server.restart()
  expect(await trim<{error: ErrorReport}>(dir, '--yes')).toMatchObject(refusal)
  expect(await trim<{error: ErrorReport}>(dir, '--dry-run')).toMatchObject(refusal)
  const [, {before, followers: seen}] = await trim(dir, '--dry-run', '--force')
  expect([before.oldest, seen]).toMatchObject([0, [{awaited: false, why: expect.stringContaining('is away')}]])

  follow(dir)
  await expect.poll(() => archiver(dir), SOON).toMatchObject({attached: true})
  const [status, report] = await trim(dir, '--yes')
  expect([status, report.after?.oldest]).toEqual([0, (report.trimmedTo ?? 0) + 1])
  await expect.poll(async () => (await readFollowed(kept)).nextOffset, SOON).toBe(report.after?.index)
  expect(await histories()).toEqual(['history-1'])
})

test('a leader waits with a trim for who archives the log of its mirror', {timeout: TIMEOUT}, async () => {
  await using cell = await MemberCell.start()
  const [leader, mirror] = cell.members
  const follower = follow(mirror.dir)
  await expect.poll(() => archiver(leader.dir), SOON).toMatchObject({attached: true})
  await callAsRoot(leader, 'addRole', 'one')
  const [status, report] = await trim(leader.dir, '--yes')
  expect([status, report.changed]).toEqual([0, true])
  await cell.settled()
  await expect.poll(async () => (await readFollowed(kept)).nextOffset, SOON).toBe(report.after?.index)

  await kill(follower)
  await expect.poll(() => archiver(leader.dir), SOON).toMatchObject({attached: false})
  expect(await trim(leader.dir, '--yes')).toMatchObject([6, {error: {code: 'REG_UNREACHABLE'}}])
  const gone = (await archiver(leader.dir))?.name ?? ''
  expect(await trim(leader.dir, '--forget', gone, '--yes')).toMatchObject([0, {changed: true}])
  expect(await archiver(leader.dir)).toBeUndefined()
  expect(await histories()).toEqual(['history-1'])
})
