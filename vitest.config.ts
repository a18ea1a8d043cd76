import {availableParallelism} from 'node:os'
import {defineConfig} from 'vitest/config'
import {BaseSequencer} from 'vitest/node'
import {IS_LONG} from './test/fault/rounds.ts'

const project = (name: string, include: string[], exclude: string[] = []) => ({
  extends: true as const,
  test: {name, include, exclude: ['**/node_modules/**', ...exclude]},
})

// .ci/run counts the tests of all runs in these files.
// biome-ignore lint/style/noProcessEnv: this file is the tool's configuration, not the program's.
const reports = process.env['REGISTRY_TEST_REPORTS']
const json: ['json', {outputFile: string}][] = reports ? [['json', {outputFile: `${reports}/${process.pid}.json`}]] : []

// What takes long, of what shorter ones prove less often: in the long form alone (`npm run test:fault`).
const LONG = IS_LONG ? [] : ['test/fault/lead-clock.test.ts', 'test/fault/backup-follow-moves.test.ts']

// What takes longer than all tests together may: for .ci/run (`npm run test:proofs`) and the long form.
const PROOFS = [
  'test/fault/{backup-follow-trim,cell-barred,cell-hostile,cell-lifecycle,compact-kill,directory,flood,lead-disk,lead-kills,lead-partition,lead-silence,power-cut,power-cut-files,restore-volume,sleep,stall}.test.ts',
  'test/server/mirroring/{breaks,copy-store,follower,forwarding,promotion,rejoin,restored,three,trim}.test.ts',
  'test/server/{backups,drill/drill,restoring/restore}.test.ts',
  'test/config/hostile-yaml.test.ts',
  'test/docs/{backup,mirror-pair}.test.ts',
  'test/e2e/{backup-live,cell-secrets,clone,package}.test.ts',
]

/** Processes are waited for first, and the short tests fill what is left at the end. */
class ProcessesFirst extends BaseSequencer {
  override async sort(files: Parameters<BaseSequencer['sort']>[0]): Promise<Parameters<BaseSequencer['sort']>[0]> {
    const sorted = await super.sort(files)
    const isProcess = ({project}: (typeof files)[number]) => project.name !== 'unit'
    return [...sorted.filter(isProcess), ...sorted.filter((file) => !isProcess(file))]
  }
}

export default defineConfig({
  test: {
    reporters: ['default', ...json],
    disableConsoleIntercept: true,
    // Generous: it ends what hangs and judges no speed; machines may be busy.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: {poll: {timeout: 150_000}},
    pool: 'forks',
    // One more than there are cores; vitest would leave one free, but most of these tests wait for something.
    maxWorkers: Math.max(3, availableParallelism() + 1),
    sequence: {sequencer: ProcessesFirst},
    projects: [
      project('unit', ['test/**/*.test.ts'], ['test/{e2e,contract-of-cli,docs,fault,interop}/**', ...PROOFS]),
      project('e2e', ['test/{e2e,contract-of-cli,docs}/**/*.test.ts'], PROOFS),
      project('fault', ['test/fault/**/*.test.ts'], [...LONG, ...PROOFS]),
      project('proofs', PROOFS),
      project('interop', ['test/interop/**/*.test.ts']),
    ],
  },
})
