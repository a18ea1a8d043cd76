// Bundles src and its pure JavaScript dependencies into dist: one file per command and per worker thread, shared code in chunks.
// Loading oclif from its hundred files would double the start-up time of every command. `--types` adds declarations.
import {execFileSync} from 'node:child_process'
import {existsSync, globSync, renameSync, rmSync} from 'node:fs'
import {build} from 'esbuild'
import {lazyModules} from './lazy-modules.ts'
import {leanOclif} from './lean-oclif.ts'

const ENTRIES = [
  'src/index.ts',
  'src/store/contract.ts',
  'src/cli/main.ts',
  'src/commands/**/*.ts',
  'src/**/*-worker.ts',
]
// Made when it is used: of the seventy files that a command loads few do.
const REQUIRE = `import {createRequire as nodeRequire} from 'node:module';
const require = (id) => nodeRequire(import.meta.url)(id);
require.resolve = (...args) => nodeRequire(import.meta.url).resolve(...args);`
const root = new URL('..', import.meta.url).pathname
// Built beside and then swapped, so that a failed build leaves the last one in place.
const fresh = `${root}dist-${process.pid}`
const old = `${root}dist-old-${process.pid}`
const done = `${root}dist`
try {
  await build({
    absWorkingDir: root,
    entryPoints: globSync(ENTRIES, {cwd: root}),
    outdir: fresh,
    outbase: 'src',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Native code, and what oclif would load only to compile sources, or what a test asks for.
    external: ['zeromq', 'vitest', 'typescript', 'ts-node', 'tsx'],
    define: {
      __dirname: 'import.meta.dirname',
      __filename: 'import.meta.filename',
      // bin/run.js has checked the version of Node; oclif's own check costs 5 ms of every start.
      'process.env.OCLIF_DISABLE_ENGINE_WARNING': '"1"',
    },
    // CommonJS packages inside the bundle may ask for others that are not.
    banner: {js: REQUIRE},
    plugins: [leanOclif, lazyModules],
    sourcemap: 'linked',
    sourcesContent: false,
    logLevel: 'warning',
  })
  if (process.argv.includes('--types')) {
    const args = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json', '--outDir', fresh]
    execFileSync(process.execPath, args, {cwd: root, stdio: 'inherit'})
  }
  // Moved away in one step: a program that runs may write to its compile cache meanwhile.
  if (existsSync(done)) renameSync(done, old)
  renameSync(fresh, done)
} finally {
  for (const left of [fresh, old]) rmSync(left, {recursive: true, force: true, maxRetries: 3})
}
