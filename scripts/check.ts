// Runs every static check and says which ones failed: format and lint, types, floors and cycles, dead code, lock file, generated files.
import {spawn} from 'node:child_process'
import {availableParallelism} from 'node:os'

const bin = (name: string) => `node_modules/.bin/${name}`
const CHECKS: readonly (readonly [name: string, command: string, args: readonly string[]])[] = [
  ['format and lint', bin('biome'), ['check', '--error-on-warnings', '.']],
  ['types', process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json']],
  [
    'floors and cycles',
    process.execPath,
    [
      'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs',
      '--config',
      '.dependency-cruiser.mjs',
      '--output-type',
      'err',
      'src',
    ],
  ],
  ['dead code', bin('knip'), []],
  ['lock file', process.execPath, ['scripts/complete-lock.ts', '--check']],
  ['generated files', process.execPath, ['scripts/generate.ts', '--check']],
]
const failed: string[] = []
const left = CHECKS.values()
// As many at a time as there are cores; some of them use more than one, for a while.
await Promise.all(Array.from({length: Math.max(2, availableParallelism())}, runNext))
if (failed.length > 0) {
  console.log(`check: ${failed.join(', ')} failed`)
  process.exitCode = 1
}

async function runNext(): Promise<void> {
  for (const [name, command, args] of left) {
    const {status, output} = await run(command, args)
    if (status !== 0) failed.push(name)
    console.log(status === 0 ? `ok      ${name}` : `FAILED  ${name}\n${output}`)
  }
}

function run(command: string, args: readonly string[]): Promise<{status: number | null; output: string}> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {stdio: ['ignore', 'pipe', 'pipe']})
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
    child.once('error', (error) => resolve({status: null, output: `${output}${error}`}))
    child.once('close', (status) => resolve({status, output}))
  })
}
