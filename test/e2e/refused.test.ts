// What commands say to a user whom the registry does not let in, or not do that: before anything is done, and as long as it is so.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {createInterface} from 'node:readline'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {cleanEnv, LAUNCHER, runCli} from '../support/cli.ts'
import {ServedCell} from '../support/served-cell.ts'

let cell: ServedCell
let at: string
beforeAll(async () => {
  cell = await ServedCell.start({isPlain: true})
  await cell.addUser('visi', 'visipass')
  at = `127.0.0.1:${(await cell.listeners()).telepath}`
})
afterAll(() => cell?.[Symbol.asyncDispose]())

test.each([['promote'], ['promote', '--failure'], ['demote']])(
  'who is no administrator hears so from a dry run: %s %s',
  async (...words) => {
    const {status, stdout} = await runCli([...words, `tcp://visi:visipass@${at}`, '--dry-run', '--json'])
    expect(JSON.parse(stdout).error).toMatchObject({
      ...{code: 'REG_DENIED', message: 'User is not an admin [visi]'},
      hints: [expect.stringContaining('administrator')],
    })
    expect(status).toBe(4)
    const root = await runCli([...words, `cell://${cell.dir}`, '--dry-run', '--json'])
    expect(JSON.parse(root.stdout).error.code).toBe('REG_CONFLICT')
  },
)

test('a watch of the status says that the registry refuses, and why, not that it is away', async () => {
  const child = spawn(LAUNCHER, ['status', `tcp://visi:newp@${at}`, '--watch', '--json'], {
    env: cleanEnv(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({input: child.stdout})
  const [line] = (await once(lines, 'line')) as [string]
  child.kill('SIGTERM')
  const single = await runCli(['status', `tcp://visi:newp@${at}`, '--json'])
  const looked = JSON.parse(line)
  expect(looked).toMatchObject({status: 'refused', error: {code: 'REG_DENIED'}})
  expect(looked.error).toEqual(JSON.parse(single.stdout).error)
  expect(line).not.toContain('newp')
  if (child.exitCode === null) await once(child, 'exit')
})
