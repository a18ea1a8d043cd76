import {availableParallelism} from 'node:os'
import {defineConfig} from 'vitest/config'
import {IS_LONG} from './test/fault/rounds.ts'

const project = (name: string, include: string[], exclude: string[] = []) => ({
  extends: true as const,
  test: {name, include, exclude: ['**/node_modules/**', ...exclude]},
})

// .ci/run counts the tests of all runs in these files.
// biome-ignore lint/style/noProcessEnv: this file is the tool's configuration, not the program's.
const reports = process.env['REGISTRY_TEST_REPORTS']
const json: ['json', {outputFile: string}][] = reports ? [['json', {outputFile: `${reports}/${process.pid}.json`}]] : []

// Proofs that take long, of what shorter ones prove less often: in the long form alone (`npm run test:fault`).
const LONG = IS_LONG ? [] : ['test/fault/lead-{clock,forced,kill,writers}.test.ts']

export default defineConfig({
  test: {
    reporters: ['default', ...json],
    disableConsoleIntercept: true,
    // Generous: it ends what hangs and judges no speed; machines may be busy.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // One for each core; vitest would leave one free, but most of these tests wait for something.
    maxWorkers: Math.max(2, availableParallelism()),
    projects: [
      project('unit', ['test/**/*.test.ts'], ['test/{e2e,contract-of-cli,docs,fault,interop}/**']),
      project('e2e', ['test/{e2e,contract-of-cli,docs}/**/*.test.ts']),
      project('fault', ['test/fault/**/*.test.ts'], LONG),
      project('interop', ['test/interop/**/*.test.ts']),
    ],
  },
})
