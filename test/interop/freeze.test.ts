// Freeze and resume: our commands on a real Axon and on our registry, and the stock tool on both. What a frozen service does is observed on both.
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import type {RegistryStatus} from '../../src/cli/status-report.ts'
import {withTeleEnv} from '../../src/client/telepath/tele-env.ts'
import type {FreezeReport} from '../../src/commands/freeze.ts'
import type {RunningRegistry} from '../../src/server/running-registry.ts'
import {serve} from '../../src/server/serve.ts'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'
import {runCli} from '../support/cli.ts'
import {runTool, SynapseService} from './synapse-world.ts'

const OPTIONS = {'zmq:req:port': 0, 'zmq:pub:port': 0, 'zmq:hb:port': 0, 'https:port': null}

let home: string
let axon: SynapseService
let registry: RunningRegistry
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-freeze-'))
  axon = await SynapseService.start('axon')
  registry = await serve({dir: join(home, 'ours'), options: OPTIONS, writeLog: () => {}})
})
afterAll(async () => {
  await registry?.stop()
  await axon?.[Symbol.asyncDispose]()
  await rm(home, {recursive: true})
})

const urlOf = (whose: 'real' | 'ours') => (whose === 'real' ? axon.cellUrl : `cell://${registry.dir}`)
const run = (...args: readonly string[]) => runCli(args, {env: {SYN_DIR: home}})

async function withCell<T>(url: string, use: (cell: TelepathProxy) => Promise<T>): Promise<T> {
  await using env = await withTeleEnv({dir: join(home, 'none'), serviceDir: join(home, 'none')})
  await using cell = await env.open(url)
  return await use(cell)
}

describe.each(['real', 'ours'] as const)('a frozen service (%s)', (whose) => {
  test('answers reads, has a change wait, and makes it when it is resumed', async () => {
    const url = urlOf(whose)
    expect((await run('freeze', url)).status).toBe(0)
    await withCell(url, async (cell) => {
      let isDone = false
      const adding = cell.call('addUser', {args: [`late-${whose}`]}).then(() => {
        isDone = true
      })
      for (let time = 0; time < 20; time += 1) await cell.call('getCellInfo')
      expect(await cell.call('getUserDefByName', {args: [`late-${whose}`]})).toBeNull()
      expect(isDone).toBe(false)
      expect((await run('resume', url)).status).toBe(0)
      await adding
      expect(await cell.call('getUserDefByName', {args: [`late-${whose}`]})).toMatchObject({name: `late-${whose}`})
    })
  })

  test('says to the stock tool and to our command that it is frozen, and that it is not', async () => {
    const url = urlOf(whose)
    const tool = (...args: readonly string[]) => runTool('service.snapshot', [...args, '--svcurl', url], {home})
    expect(await tool('freeze')).toMatchObject({status: 0, stdout: ''})
    expect(await tool('freeze')).toMatchObject({status: 1, stdout: 'ERROR BadState: The service is already frozen.\n'})
    expect(await run('freeze', url)).toMatchObject({
      status: 5,
      stderr: expect.stringContaining('registry resume cell://'),
    })
    expect(await tool('resume')).toMatchObject({status: 0, stdout: ''})
    expect(await tool('resume')).toMatchObject({status: 1, stdout: 'ERROR BadState: The service is not frozen.\n'})
    expect(await run('resume', url)).toMatchObject({
      status: 5,
      stderr: expect.stringContaining('take the snapshot again'),
    })
  })
})

test('a real service ends no freeze by itself, and none is asked of it', async () => {
  expect(await run('freeze', urlOf('real'), '--max', '5s')).toMatchObject({status: 5})
  const {stdout} = await run('freeze', urlOf('real'), '--json')
  expect(JSON.parse(stdout)).toEqual({url: urlOf('real'), frozen: true, until: null})
  await run('resume', urlOf('real'))
})

test('our registry ends it by itself, and says until then for how long it is frozen', async () => {
  const url = urlOf('ours')
  const {until} = JSON.parse((await run('freeze', url, '--max', '4s', '--json')).stdout) as FreezeReport
  expect(Date.parse(String(until))).toBeGreaterThan(Date.now())
  const status = JSON.parse((await run('status', url, '--json')).stdout) as RegistryStatus
  expect(status).toMatchObject({status: 'degraded', store: {problem: expect.stringMatching(/^frozen for \d s more/)}})
  const zmq = await run('status', `zmq://127.0.0.1:${registry.ports.req}`)
  expect(zmq.stdout).toMatch(/^problem +frozen for \d s more: changes wait$/m)
  await withCell(url, (cell) => cell.call('addUser', {args: ['patient']}))
  expect(JSON.parse((await run('status', url, '--json')).stdout)).toMatchObject({status: 'ok'})
})
