// Runs every static check and says which ones failed: format and lint, types, floors and cycles, dead code, lock file, generated files.
import {spawnSync} from 'node:child_process'

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
for (const [name, command, args] of CHECKS) {
  const result = spawnSync(command, args, {encoding: 'utf8'})
  if (result.status === 0) {
    console.log(`ok      ${name}`)
    continue
  }
  failed.push(name)
  console.log(`FAILED  ${name}\n${result.stdout}${result.stderr}${result.error ?? ''}`)
}
if (failed.length > 0) {
  console.log(`check: ${failed.join(', ')} failed`)
  process.exitCode = 1
}
