import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtemp, readFile, rm, symlink} from 'node:fs/promises'
import {createServer, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {fileURLToPath} from 'node:url'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {type CliOptions, cleanEnv, LAUNCHER, runCli} from '../support/cli.ts'
import {lastingPort} from '../support/lasting-port.ts'
import {startServer, type TestServer} from '../support/server.ts'

const cli = (line: string, options?: CliOptions) => runCli(line === '' ? [] : line.split(' '), options)
const STACK = /\n {4}at /
const RUN_JS = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

let server: TestServer
let url: string
beforeAll(async () => {
  server = await startServer()
  url = `zmq://127.0.0.1:${server.ports.req}`
  for (const id of ['cam-1', 'cam-2']) {
    const service = ['--id', id, '--name', id, '--type', 'camera', '--port', '5000', '--ttl', '10h']
    await runCli(['service', 'register', ...service, '--url', url])
  }
})
afterAll(() => server[Symbol.asyncDispose]())

describe('help', () => {
  test.each(['', 'help', '--help', '-h'])(
    'of %j lists topics and commands, on stdout, without colours',
    async (line) => {
      const {status, stdout, stderr} = await cli(line)
      expect({status, stderr}).toEqual({status: 0, stderr: ''})
      expect(stdout).toMatch(/^TOPICS$.*^ {2}service {2}.*^COMMANDS$.*^ {2}serve {2}/ms)
      expect(stdout).not.toContain('\u001b')
      expect(stdout).not.toMatch(/^ {2}complete /m) // hidden
    },
  )

  test.each(['help service list', 'service list --help', 'service list --nonsense -h'])(
    'of a command: %s',
    async (line) => {
      const {status, stdout} = await cli(line)
      expect(status).toBe(0)
      expect(stdout).toMatch(/USAGE\n {2}\$ registry service list/)
    },
  )

  test.each(['status', 'pool add', 'enroll', 'query'])(
    'of %s has no empty defaults and groups, and unbroken examples',
    async (command) => {
      const {stdout} = await cli(`help ${command}`)
      expect(stdout).toMatch(/^EXAMPLES$/m)
      expect(stdout).not.toMatch(/\[default: \]|\| \]|\\$/m)
    },
  )

  test('of a topic lists its commands, also when only the topic is typed', async () => {
    const {status, stdout} = await cli('service')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^ {2}service register {2}/m)
    expect((await cli('help service')).stdout).toBe(stdout)
  })

  test.each(['help --json', '--json', '--help --json', 'help service --json'])('is JSON with %s', async (line) => {
    const {status, stdout} = await cli(line)
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      commands: expect.arrayContaining([{command: 'service list', summary: expect.any(String)}]),
    })
  })

  test('of one command as JSON names its flags', async () => {
    const {stdout} = await cli('service list --help --json')
    expect(JSON.parse(stdout)).toMatchObject({
      command: 'service list',
      flags: expect.arrayContaining([expect.objectContaining({name: 'url', type: 'option'})]),
    })
  })
})

describe('the version', () => {
  test('is one line, or JSON', async () => {
    const {stdout} = await cli('--version')
    expect(stdout).toMatch(/^registry\/\d+\.\d+\.\d+ \S+-\S+ node-v\d+\S*\n$/)
    const json = await cli('--version --json')
    expect(JSON.parse(json.stdout)).toEqual({
      version: stdout.split(/[/ ]/)[1],
      platform: expect.any(String),
      node: process.version,
    })
  })
})

describe('wrong usage ends with status 2, says what is wrong and what to type', () => {
  test.each([
    ['servce list', '"servce list" is not a registry command', 'registry service list'],
    ['service lst', '"service lst" is not a registry command', 'registry service list'],
    [
      'backup vrify ./x',
      '"backup vrify" is not a registry command, and there is no file vrify',
      'registry backup verify',
    ],
    ['frobnicate', '"frobnicate" is not a registry command', 'registry help'],
    ['help frobnicate', '"frobnicate" is not a registry command', 'registry help'],
    ['--url zmq://x service list', '--url stands before the command', 'registry COMMAND [FLAGS]'],
    ['service list --nonsense', 'Nonexistent flag: --nonsense', 'registry help service list'],
    ['service list one two', 'Unexpected arguments: one, two', 'registry help service list'],
    ['config explain', /^Missing 1 required arg/, 'registry help config explain'],
    ['autocomplete pwsh', 'Expected pwsh to be one of: bash, zsh, fish', 'registry help autocomplete'],
    ['service list --timeout soon', /^--timeout: "soon" is not a duration/, 'registry help service list'],
    ['service list --url http://x', /http:\/\/x/, expect.any(String)],
  ])('%s', async (line, message, hint) => {
    const plain = await cli(line)
    expect(plain).toMatchObject({status: 2, stdout: ''})
    expect(plain.stderr).toMatch(/^error: /)
    expect(plain.stderr).not.toContain('\u001b')
    expect(plain.stderr).not.toMatch(STACK)
    const json = await cli(`${line} --json`)
    expect(json).toMatchObject({status: 2, stderr: ''})
    const {error} = JSON.parse(json.stdout)
    expect(error).toEqual({
      code: 'REG_USAGE',
      message: typeof message === 'string' ? message : expect.stringMatching(message),
      hints: expect.any(Array),
      info: expect.any(Object),
    })
    expect(error.hints[0]).toEqual(hint)
    expect(plain.stderr).toContain(error.message)
    for (const text of error.hints) expect(plain.stderr).toContain(`\n  try: ${text}\n`)
  })

  test.each(['development', 'test', 'production'])('and NODE_ENV=%s changes nothing', async (NODE_ENV) => {
    expect(await cli('service list --nonsense', {env: {NODE_ENV}})).toEqual(await cli('service list --nonsense'))
    expect(await cli('help', {env: {NODE_ENV}})).toEqual(await cli('help'))
  })
})

describe('an error that is not one of usage', () => {
  test('has its status and code: nothing answers', async () => {
    const nobody = `zmq://127.0.0.1:${await lastingPort()}`
    const [plain, json] = await Promise.all([
      cli(`service list --url ${nobody}`),
      cli(`service list --url ${nobody} --json`),
    ])
    expect(plain).toMatchObject({status: 6, stdout: '', stderr: expect.stringContaining('(REG_UNREACHABLE)')})
    expect(json).toMatchObject({status: 6, stderr: ''})
    expect(JSON.parse(json.stdout)).toMatchObject({error: {code: 'REG_UNREACHABLE'}})
  })

  test('shows its stack only when asked', async () => {
    const {stderr} = await cli('service list --nonsense', {env: {REGISTRY_DEBUG: '1'}})
    expect(stderr).toMatch(STACK)
  })
})

describe('the registry that is talked to', () => {
  test('is that of the data directory, and is said on stderr', async () => {
    const env = {REGISTRY_DIR: server.dir}
    const plain = await cli('service list', {env})
    expect(plain).toMatchObject({status: 0, stderr: `registry: ${url} (the server of ${server.dir})\n`})
    expect(plain.stdout).toContain('cam-1')
    expect(await cli('service list --json', {env})).toMatchObject({status: 0, stderr: ''})
  })

  test('is not said when it was given', async () => {
    expect(await cli(`service list --url ${url}`)).toMatchObject({status: 0, stderr: ''})
  })
})

describe('a command that is cancelled', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('by %s ends with 130 and ends its stream', async (signal) => {
    const child = spawn(LAUNCHER, ['service', 'watch', '--url', url, '--json'], {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    for await (const chunk of child.stdout) {
      const isFirst = stdout === ''
      stdout += chunk
      if (isFirst) child.kill(signal)
    }
    if (child.exitCode === null) await once(child, 'close')
    expect({status: child.exitCode, stderr}).toEqual({status: 130, stderr: ''})
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.at(-1)).toEqual({error: {code: 'REG_CANCELLED', message: 'cancelled', hints: [], info: {signal}}})
    expect(lines.slice(0, -1).every((line) => !('error' in line))).toBe(true)
  })
})

describe('a reader that goes away', () => {
  test.each(['help', 'service list', 'service list --json', 'config show --all'])('is no error: %s', async (line) => {
    const args = line.startsWith('service') ? [...line.split(' '), '--url', url] : line.split(' ')
    const child = spawn(LAUNCHER, args, {env: cleanEnv(), stdio: ['ignore', 'pipe', 'pipe']})
    child.stdout.destroy()
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    const [status] = await once(child, 'close')
    expect({status, stderr}).toEqual({status: 0, stderr: ''})
  })

  test('ends a stream with its next line', async () => {
    const child = spawn(LAUNCHER, ['service', 'watch', '--url', url], {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const closed = once(child, 'close')
    for (let port = 6000; child.exitCode === null && port < 6100; port++) {
      await cli(`service register --id cam-9 --name cam-9 --type camera --port ${port} --url ${url}`)
    }
    expect(await closed).toEqual([0, null])
  })
})

test('a one-time URL is not in the process list while it is redeemed', async () => {
  const iden = 'ab'.repeat(16)
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const {port} = silent.address() as {port: number}
  const env = cleanEnv({SYN_DIR: await mkdtemp(join(tmpdir(), 'registry-cli-frame-'))})
  const child = spawn(LAUNCHER, ['enroll', `tcp://127.0.0.1:${port}/${iden}`], {env, stdio: 'ignore'})
  const [socket] = (await once(silent, 'connection')) as [Socket] // so it has begun
  expect(await readFile(`/proc/${child.pid}/cmdline`, 'utf8')).toContain(`tcp://127.0.0.1:${port}/…`)
  child.kill('SIGINT')
  await once(child, 'close')
  socket.destroy()
  silent.close()
  await rm(env['SYN_DIR'] ?? '', {recursive: true})
})

describe('an output that cannot be written', () => {
  test.each(['help', 'service list', 'service list --json', 'service watch', 'service watch --json'])(
    'is an error, without a stack, and ends a stream: %s',
    async (line) => {
      const to = line.startsWith('service') ? `--url ${url}` : ''
      const child = spawn('sh', ['-c', `exec "${LAUNCHER}" ${line} ${to} > /dev/full`], {
        env: cleanEnv(),
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, 'close')])
      expect(status).toBe(1)
      expect(stderr).toContain('output cannot be written: ENOSPC')
      expect(stderr).toContain('REG_OUTPUT_FAILED')
      expect(stderr).not.toMatch(STACK)
    },
  )
})

describe('completion', () => {
  const complete = (line: string, env: CliOptions['env'] = {}) => runCli(['complete', 'bash', '--', line], {env})

  test('offers commands, flags and live names', async () => {
    expect((await complete('registry service sh')).stdout).toBe('show\n')
    expect((await complete('registry service list --t')).stdout).toMatch(/^--type\n/)
    // A registry that does not answer at once is left out: nobody waits for a key that he pressed.
    const live = (line: string, env = {}) => expect.poll(async () => (await complete(line, env)).stdout)
    await live(`registry service list --url ${url} --type `).toBe('camera\n')
    await live('registry service show cam-', {REGISTRY_URL: url}).toMatch(/^cam-1\ncam-2\n/)
  })

  test('is silent about a registry that does not answer', async () => {
    const nobody = `zmq://127.0.0.1:${await lastingPort()}`
    expect(await complete('registry service show ', {REGISTRY_URL: nobody})).toMatchObject({status: 0, stdout: ''})
    expect(await complete('registry service show --url nonsense ')).toMatchObject({status: 0, stdout: ''})
  })

  test('is set up as autocomplete says', async () => {
    const {stdout} = await cli('autocomplete')
    for (const shell of ['bash', 'zsh', 'fish']) {
      expect(stdout).toContain(`registry autocomplete ${shell}`)
      expect((await cli(`autocomplete ${shell}`)).stdout).toContain(`complete ${shell} --`)
    }
  })
})

describe('the launcher', () => {
  test('works through links, and in a folder with blanks', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'registry link '))
    try {
      await symlink(LAUNCHER, join(dir, 'first'))
      await symlink('first', join(dir, 'registry'))
      const child = spawn(join(dir, 'registry'), ['--version'], {env: cleanEnv(), stdio: ['ignore', 'pipe', 'inherit']})
      const [[chunk]] = await Promise.all([once(child.stdout, 'data'), once(child, 'close')])
      expect(String(chunk)).toMatch(/^registry\//)
      expect(child.exitCode).toBe(0)
    } finally {
      await rm(dir, {recursive: true})
    }
  })

  test('says in one line what to do when Node is too old', async () => {
    const old = `Object.defineProperty(process, 'versions', {value: {...process.versions, node: '20.11.1'}})`
    const args = ['--import', `data:text/javascript,${encodeURIComponent(old)}`, RUN_JS, 'help']
    const child = spawn(process.execPath, args, {env: cleanEnv(), stdio: ['ignore', 'pipe', 'pipe']})
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    const [status] = await once(child, 'close')
    expect({status, stderr}).toEqual({
      status: 2,
      stderr: expect.stringMatching(/^registry needs Node 24 or newer[^\n]*bin\/registry[^\n]*\n$/),
    })
  })
})
