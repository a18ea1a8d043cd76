// The log of our own server is trimmed by the command, and the file gets smaller; what it held before a restart it holds after it.
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import type {ErrorReport} from '../../src/cli/error-report.ts'
import type {TrimReport} from '../../src/cli/trim-run.ts'
import {runCli} from '../support/cli.ts'
import {PatientClient} from '../support/patient-client.ts'
import {startServer, type TestServer} from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const registry = (...args: readonly string[]) =>
  runCli(args, {env: {REGISTRY_DIR: server.dir, SYN_DIR: `${server.dir}/none`}})

async function trim(...args: readonly string[]): Promise<TrimReport> {
  const {status, stdout, stderr} = await registry('trim', ...args, '--json')
  if (status !== 0) throw new Error(`trim ${args.join(' ')} ended with ${status}: ${stdout}\n${stderr}`)
  return JSON.parse(stdout) as TrimReport
}

/** Makes entries of some kilobytes each. */
async function grow(count: number): Promise<void> {
  await using client = new PatientClient(`zmq://127.0.0.1:${server.ports.req}`)
  for (let done = 0; done < count; done++) {
    const metadata = {filler: 'x'.repeat(3500), done}
    await client.register({id: 'cam-1', name: 'cam1', type: 'camera', host: '127.0.0.1', port: 5000, metadata})
  }
}

describe('the log of our server', () => {
  test('is trimmed, and the file shrinks', async () => {
    await grow(400)
    const dry = await trim('--dry-run')
    expect(dry).toMatchObject({changed: false, dryRun: true, after: null, before: {oldest: 0, bytesOf: 'database'}})
    const {status, stdout} = await registry('trim', '--json')
    expect([status, JSON.parse(stdout)]).toMatchObject([2, {error: {code: 'REG_USAGE'}}])
    const report = await trim('--yes')
    const {index} = dry.before
    expect(report).toMatchObject({changed: true, trimmedTo: index, followers: [], warnings: []})
    expect(report.after).toMatchObject({index: index + 2, oldest: index + 1})
    expect((report.before.bytes ?? 0) - (report.after?.bytes ?? 0)).toBeGreaterThan(1_000_000)
  })

  test('is whole after a restart, as far as it is kept', async () => {
    const {before} = await trim('--dry-run')
    await server.restart()
    expect((await trim('--dry-run')).before).toMatchObject({index: before.index, oldest: before.oldest})
    const {status, stdout} = await registry(
      'status',
      server.dir.startsWith('/') ? `cell://${server.dir}` : '',
      '--verify',
    )
    expect([status, stdout]).toEqual([0, expect.stringMatching(/trimmed/)])
  })

  test('keeps what is asked for', async () => {
    await grow(20)
    const {before} = await trim('--dry-run')
    const report = await trim('--keep', '5', '--yes')
    expect(report).toMatchObject({
      trimmedTo: before.index - 6,
      after: {index: before.index + 2, oldest: before.index - 5},
    })
    expect(await trim('--keep-for', '1h', '--yes')).toMatchObject({changed: false, trimmedTo: null})
    const text = await registry('trim', '--keep-for', '1h', '--keep', '3', '--yes')
    expect(text).toMatchObject({status: 2, stderr: expect.stringContaining('--keep-for')})
    const {stdout} = await registry('trim', '--keep', '1000')
    expect(stdout).toContain(`cell://${server.dir} keeps all of its 7 entries`)
  })

  test('is not trimmed when one who follows cannot be reached', async () => {
    const {before} = await trim('--dry-run')
    const {status, stdout} = await registry('trim', '--consumer', 'tcp://127.0.0.1:1', '--yes', '--json')
    const {error} = JSON.parse(stdout) as {readonly error: ErrorReport}
    expect([status, error.code]).toEqual([6, 'REG_UNREACHABLE'])
    expect((await trim('--dry-run')).before.index).toBe(before.index)
  })
})
