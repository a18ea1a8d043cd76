// Bundles src into dist: one file per command and per worker thread, shared code in chunks. `--types` adds declarations.
import {execFileSync} from 'node:child_process'
import {globSync, rmSync} from 'node:fs'
import {build} from 'esbuild'

const root = new URL('..', import.meta.url).pathname
rmSync(`${root}/dist`, {recursive: true, force: true})
await build({
  absWorkingDir: root,
  entryPoints: globSync(['src/index.ts', 'src/store/contract.ts', 'src/commands/**/*.ts', 'src/**/*-worker.ts'], {
    cwd: root,
  }),
  outdir: 'dist',
  outbase: 'src',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  packages: 'external',
  sourcemap: 'linked',
  sourcesContent: false,
  logLevel: 'warning',
})
if (process.argv.includes('--types')) {
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json'], {
    cwd: root,
    stdio: 'inherit',
  })
}
