import {execFile} from 'node:child_process'
import {mkdtemp, rm, symlink} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {promisify, stripVTControlCharacters} from 'node:util'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {installedPeer} from '../../scripts/peers.ts'
import {RegistryClient} from '../../src/client/registry-client.ts'
import {cleanEnv, LAUNCHER} from '../support/cli.ts'
import {startServer, type TestServer} from '../support/server.ts'

const run = promisify(execFile)
const PTY = new URL('./terminal.py', import.meta.url).pathname
const ESCAPE = '\u001b'

let server: TestServer
let url: string
let python: string
let bin: string
beforeAll(async () => {
  python = await installedPeer('0.25.11')
  server = await startServer()
  url = `zmq://127.0.0.1:${server.ports.req}`
  bin = await mkdtemp(join(tmpdir(), 'registry-bin-'))
  await symlink(LAUNCHER, join(bin, 'registry'))
  await using client = new RegistryClient(url)
  const place = {host: '127.0.0.1', port: 5000}
  await client.register({
    id: 'cam:1',
    name: 'a name that is so long that it needs to be cut on any terminal',
    type: 'camera',
    ...place,
  })
  await client.register({id: 'cam:2', name: 'cam2', type: 'camera', tags: ['night', 'in the cold'], ...place})
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await rm(bin, {recursive: true})
})

/** Runs `registry` in a terminal of 80 columns. */
async function inTerminal(args: readonly string[], env: Record<string, string> = {}) {
  const {stdout} = await run(python, [PTY, LAUNCHER, ...args], {env: cleanEnv({TERM: 'xterm', ...env})})
  return JSON.parse(stdout) as {shown: string; status: number}
}

describe('on a terminal', () => {
  test('tables have a dim header and fit', async () => {
    const {shown, status} = await inTerminal(['service', 'list', '--url', url])
    expect(status).toBe(0)
    expect(shown).toContain(`${ESCAPE}[2mNAME`)
    expect(shown).toContain('…')
    for (const line of shown.split('\r\n')) expect(stripVTControlCharacters(line).length).toBeLessThanOrEqual(80)
  })

  test.each([[{NO_COLOR: '1'}], [{TERM: 'dumb'}]])(
    'there are no colours with %j',
    async (env: Record<string, string>) => {
      expect((await inTerminal(['service', 'list', '--url', url], env)).shown).not.toContain(ESCAPE)
      expect((await inTerminal(['help'], env)).shown).not.toContain(ESCAPE)
      expect((await inTerminal(['servce'], env)).shown).not.toContain(ESCAPE)
    },
  )

  test('a mistyped command suggests, and asks nothing', async () => {
    const {shown, status} = await inTerminal(['servce', 'list'])
    expect(status).toBe(2)
    expect(shown).toContain('registry service list')
  })

  test('--json has no colours', async () => {
    const {shown} = await inTerminal(['service', 'list', '--url', url, '--json'])
    expect(JSON.parse(shown)).toMatchObject({services: [{id: 'cam:1'}, {id: 'cam:2'}]})
  })
})

describe('what is asked on a terminal', () => {
  const cell = () => `cell://${server.dir}`
  const answering = (args: readonly string[], ...answers: readonly (readonly [string, string])[]) =>
    inTerminal([...args, '--url', cell()], {TERMINAL_ANSWERS: JSON.stringify(answers)})
  const users = async () => (await inTerminal(['user', 'list', '--url', cell()])).shown

  beforeAll(async () => {
    await inTerminal(['user', 'add', 'visi', '--url', cell()])
  })

  test('a password is typed twice and not shown', async () => {
    const typed = await answering(
      ['user', 'passwd', 'visi'],
      ['New password:', 'needle\r'],
      ['The same again:', 'needle\r'],
    )
    expect(typed.status).toBe(0)
    expect(typed.shown).toContain('the password of visi is set')
    expect(typed.shown).not.toContain('needle')
    const query = ['query', '--call', 'tryUserPasswd', 'visi', 'needle', '--url', cell()]
    expect((await inTerminal(query)).shown).toContain('"name": "visi"')
  })

  test('two passwords that differ, or Ctrl-C, change nothing', async () => {
    const differing = await answering(
      ['user', 'passwd', 'visi'],
      ['New password:', 'one\r'],
      ['The same again:', 'two\r'],
    )
    expect([differing.status, differing.shown]).toEqual([2, expect.stringContaining('not the same')])
    const left = await answering(['user', 'passwd', 'visi'], ['New password:', '\x03'])
    expect(left.status).toBe(130)
    const query = ['query', '--call', 'tryUserPasswd', 'visi', 'needle', '--url', cell()]
    expect((await inTerminal(query)).shown).toContain('"name": "visi"')
  })

  test('what takes something away is confirmed: by yes, or by the name', async () => {
    const no = await answering(['user', 'set', 'visi', '--locked'], ['Type yes:', 'n\r'])
    expect([no.status, no.shown]).toEqual([130, expect.stringContaining('nothing was done')])
    const yes = await answering(['user', 'set', 'visi', '--locked'], ['Type yes:', 'yes\r'])
    expect([yes.status, yes.shown]).toEqual([0, expect.stringContaining('no -> yes')])
    const wrong = await answering(['user', 'remove', 'visi'], ['Type its name:', 'yes\r'])
    expect([wrong.status, await users()]).toEqual([130, expect.stringContaining('visi')])
    const right = await answering(['user', 'remove', 'visi'], ['Type its name:', 'visi\r'])
    expect([right.status, await users()]).toEqual([0, expect.not.stringContaining('visi')])
  })
})

describe('completion in bash', () => {
  /** Presses the key behind `line`, as bash does it, and gives what is offered. */
  async function press(line: string, registryUrl = url): Promise<string[]> {
    const script = `eval "$(registry autocomplete bash)"
COMP_LINE=$1 COMP_POINT=\${#1} COMP_WORDS=($1) COMP_CWORD=1
_registry_complete && printf '%s\\n' "\${COMPREPLY[@]}"`
    const env = cleanEnv({
      PATH: `${bin}:${dirname(process.execPath)}:${process.env['PATH']}`,
      REGISTRY_URL: registryUrl,
    })
    const {stdout} = await run('bash', ['--norc', '-c', script, 'bash', line], {env})
    return stdout.split('\n').filter((one) => one !== '')
  }

  test('offers commands, flags, values and live names', async () => {
    expect(await press('registry service re')).toEqual(['register', 'renew'])
    expect(await press('registry service list --hea')).toEqual(['--health'])
    expect(await press('registry service list --type ')).toEqual(['camera'])
    expect(await press('registry service list --type=c')).toEqual(['camera'])
    expect(await press('registry service list --tag n')).toEqual(['night'])
  })

  test('offers users, roles and API keys of the cell', async () => {
    const cell = `cell://${server.dir}`
    await inTerminal(['apikey', 'add', 'nightly', '--url', cell])
    expect(await press('registry user show r', cell)).toEqual(['root'])
    expect(await press('registry role show ', cell)).toEqual(['all'])
    expect(await press(`registry apikey remove --user root n`, cell)).toEqual(['nightly'])
    expect(await press('registry user show r', url)).toEqual([])
  })

  test('offers the rest of what bash has broken off, quoted', async () => {
    expect(await press('registry service show cam:')).toEqual(['1', '2'])
    expect(await press('registry service list --tag in')).toEqual(['in\\ the\\ cold'])
  })

  test('is known to bash for the name', async () => {
    const script = 'eval "$(registry autocomplete bash)"; complete -p registry'
    const {stdout} = await run('bash', ['--norc', '-c', script], {
      env: cleanEnv({PATH: `${bin}:${process.env['PATH']}`}),
    })
    expect(stdout).toMatch(/-F _registry_complete registry/)
  })
})
