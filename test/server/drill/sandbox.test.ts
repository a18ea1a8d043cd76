import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {createServer} from 'node:net'
import {createInterface} from 'node:readline'
import {describe, expect, test} from 'vitest'
import {findSandbox, SandboxedProcess} from '../../../src/server/drill/sandbox.ts'

const NEVER = new AbortController().signal
const run = (...command: string[]) => SandboxedProcess.start({command, cwd: '/', variables: {GIVEN: 'yes'}})

const isThere = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Resolves when a process is gone; the test's own limit ends the wait. */
async function gone(pid: number): Promise<void> {
  while (isThere(pid)) await new Promise((resolve) => setTimeout(resolve, 10))
}

describe('a sandboxed process', () => {
  test('gives its status and what it wrote', async () => {
    await using process = run('sh', '-c', 'echo out; echo err >&2; exit 7')
    expect(await process.ended(NEVER)).toBe(7)
    expect(process.output.split('\n').sort()).toEqual(['err', 'out'])
    await using missing = run('no-such-program-here')
    expect(await missing.ended(NEVER)).toBe(127)
  })

  test('knows nothing of the environment but paths and language', async () => {
    process.env['SYN_CORTEX_AXON'] = 'aha://axon'
    process.env['HTTPS_PROXY'] = 'http://proxy'
    try {
      await using process = run('env')
      await process.ended(NEVER)
      const names = process.output.split('\n').map((line) => line.split('=')[0] ?? '')
      expect(names).toContain('GIVEN')
      expect(names.filter((name) => !/^(PATH|LANG|LC_ALL|LC_CTYPE|TZ|GIVEN|PWD|OLDPWD|SHLVL|_)$/.test(name))).toEqual(
        [],
      )
    } finally {
      delete process.env['SYN_CORTEX_AXON']
      delete process.env['HTTPS_PROXY']
    }
  })

  test('ends with all that it started when it is disposed of', async () => {
    let pid: number
    {
      await using process = run('sh', '-c', 'sleep 1000 & echo $!; wait')
      while (process.output === '') await new Promise((resolve) => setTimeout(resolve, 10))
      pid = Number(process.output)
      expect(isThere(pid)).toBe(true)
    }
    await gone(pid)
  })

  test('ends with all that it started when the one who started it is killed', async () => {
    const module = new URL('../../../src/server/drill/sandbox.ts', import.meta.url).pathname
    const script = `
      import {SandboxedProcess} from '${module}'
      const started = SandboxedProcess.start({command: ['sh', '-c', 'sleep 1000 & echo $$ $!; wait'], cwd: '/', variables: {}})
      while (started.output === '') await new Promise((resolve) => setTimeout(resolve, 10))
      console.log(started.output)`
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface({input: parent.stdout}), 'line')) as [string]
    const pids = line.split(' ').map(Number)
    expect(pids.map(isThere)).toEqual([true, true])
    parent.kill('SIGKILL')
    await Promise.all(pids.map(gone))
  })

  test('in a sandbox with a network of its own reaches nobody outside of it', async () => {
    const {inside, hasOwnNetwork, protection} = await findSandbox(NEVER)
    if (!hasOwnNetwork) {
      expect(protection).toMatch(/no network of its own/)
      expect(inside).toEqual([])
      return
    }
    let connections = 0
    const server = createServer((socket) => {
      connections += 1
      socket.end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const {port} = server.address() as {port: number}
    const script = `require('node:net').connect(${port}, '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(3))`
    await using outside = run(process.execPath, '-e', script)
    expect(await outside.ended(NEVER)).toBe(0)
    await using process1 = run(...inside, process.execPath, '-e', script)
    expect(await process1.ended(NEVER)).toBe(3)
    expect(connections).toBe(1)
    server.close()
  })
})
