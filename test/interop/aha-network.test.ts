// The example of a whole network, run as its reader runs it: with the real packages, to its end, and interrupted on the way.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync} from 'node:fs'
import {mkdtemp, readdir, readFile, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {expect, test} from 'vitest'
import {synapsePython} from '../../scripts/peers.ts'
import {cleanEnv} from '../support/cli.ts'

const script = new URL('../../examples/aha-network/run.sh', import.meta.url).pathname
/** It makes eight RSA keys of 4096 bits, which takes up to five seconds each. */
const WITHIN_MS = 400_000

/** A directory for the example, which is removed with all that still runs in it. */
async function place(): Promise<AsyncDisposable & {readonly dir: string}> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-example-'))
  const end = async () => {
    for (const {pid} of await runningIn(dir)) process.kill(pid, 'SIGKILL')
    await rm(dir, {recursive: true, force: true})
  }
  return {dir, [Symbol.asyncDispose]: end}
}

/** Processes of which an argument, or a variable, names something in that directory: workers of a service have it in their HOME only. */
async function runningIn(dir: string): Promise<readonly {readonly pid: number; readonly line: string}[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  // It may have ended meanwhile.
  const read = (pid: number, name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')
  const found = await Promise.all(
    pids.map(async (pid) => ({
      pid,
      line: (await read(pid, 'cmdline')).replaceAll('\0', ' '),
      variables: await read(pid, 'environ'),
    })),
  )
  return found.flatMap(({pid, line, variables}) => (`${line}${variables}`.includes(dir) ? [{pid, line}] : []))
}

async function workersIn(dir: string): Promise<readonly {readonly pid: number}[]> {
  return (await runningIn(dir)).filter(({line}) => line.includes('spawn_main'))
}

async function run(env: Readonly<Record<string, string>>): Promise<ChildProcess> {
  const python = await synapsePython()
  return spawn(script, [python], {env: cleanEnv(env), stdio: ['ignore', 'pipe', 'pipe']})
}

test('the network comes up, is asked, is led by the mirror, and stops', {timeout: WITHIN_MS}, async () => {
  await using at = await place()
  const work = join(at.dir, 'work')
  const child = await run({WORK: work, TMPDIR: at.dir})
  if (!child.stdout || !child.stderr) throw new Error('the example has no output')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  expect({status: child.exitCode, stderr}).toMatchObject({status: 0})

  const steps = stdout.split(/^== /m).map((step) => step.split('\n'))
  const step = (title: string) => steps.find(([first]) => first?.startsWith(title))?.join('\n') ?? ''
  expect(step('registry serve')).toMatch(/^one-time URLs +ssl:\/\/127\.0\.0\.1:\d+\?hostname=aha\.demo\.net$/m)
  for (const name of ['axon', 'jsonstor', 'cortex']) {
    expect(step('an Axon')).toContain(`waiting for ${name}.demo.net which is online\n`)
  }
  expect(step('a mirror')).toContain('waiting for 01.cortex.demo.net which is online\n')
  expect(step('a user')).toContain('/users/visi@demo.net.crt\n')
  expect(step('ask it')).toMatch(/^00\.cortex\.demo\.net +leader +yes/m)
  expect(step('ask it')).toMatch(/^01\.cortex\.demo\.net +mirror +yes/m)
  expect(step('ask it').match(/^inet:fqdn=vertex\.link$/gm)).toHaveLength(2)
  expect(step('the mirror takes')).toContain('\n01.cortex.demo.net leads now\n')
  expect(step('the mirror takes')).toMatch(/^00\.cortex\.demo\.net +mirror +yes/m)
  expect(step('the mirror takes')).toMatch(/^inet:fqdn=vertex\.link$/m)
  expect(step('stop')).toContain('all are stopped\n')

  // A one-time URL is a password: none is in what it prints.
  expect(stdout + stderr).not.toMatch(/certhash=/)
  expect(await runningIn(at.dir)).toEqual([])
  // Who names the directory keeps it.
  expect(existsSync(join(work, '00.cortex', 'cell.guid'))).toBe(true)
})

test('nothing is left of it when it is interrupted', {timeout: WITHIN_MS}, async () => {
  await using at = await place()
  const child = await run({TMPDIR: at.dir})
  const isWaiting = new Promise<void>((resolve) => {
    child.stdout?.setEncoding('utf8').on('data', (line: string) => {
      if (line.includes('waiting for axon.demo.net')) resolve()
    })
  })
  const closed = once(child, 'close')
  await Promise.race([isWaiting, closed])
  // A service makes its keys in a worker: one that does not end by itself.
  await expect.poll(async () => await workersIn(at.dir)).not.toEqual([])
  for (const {pid} of await workersIn(at.dir)) process.kill(pid, 'SIGSTOP')
  child.kill('SIGTERM')
  expect(await closed).toEqual([143, null])
  expect(await runningIn(at.dir)).toEqual([])
  expect(await readdir(at.dir)).toEqual([])
})
