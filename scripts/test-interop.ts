// Installs the real Python peers where that was not done before, and runs test/interop with them. Missing pieces are failures.
import {spawn} from 'node:child_process'
import {randomUUID} from 'node:crypto'
import {once} from 'node:events'
import {leftBehind, MARK} from './left-behind.ts'
import {ensurePeers, ensureSynapse} from './peers.ts'

const root = new URL('..', import.meta.url).pathname
try {
  const started = Date.now()
  console.log('installing the Python peers (kept in .cache/peers)')
  await Promise.all([ensurePeers(), ensureSynapse()])
  console.log(`ready after ${((Date.now() - started) / 1000).toFixed(1)} s`)
  process.exitCode = await vitest(process.argv.slice(2))
} catch (error) {
  console.error(`test:interop: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

async function vitest(args: readonly string[]): Promise<number> {
  const entry = new URL('../node_modules/vitest/vitest.mjs', import.meta.url).pathname
  // Most of the time these tests wait for leases that end; a loaded machine may need longer than the other suites allow.
  const options = [
    '--project',
    'interop',
    '--testTimeout',
    '60000',
    '--hookTimeout',
    '60000',
    '--maxConcurrency',
    '6',
    '--maxWorkers',
    '2',
  ]
  const mark = randomUUID()
  const env = {...process.env, [MARK]: mark}
  const child = spawn(process.execPath, [entry, 'run', ...options, ...args], {cwd: root, env, stdio: 'inherit'})
  const [code] = await once(child, 'exit')
  endLeft(mark)
  return code ?? 1
}

/** Ends what tests have left, and says so: whoever reads it finds the test by the name of the home. */
function endLeft(mark: string): void {
  for (const {pid, line} of leftBehind(mark)) {
    console.error(`test:interop: process ${pid} was left behind and is killed: ${line}`)
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}
