// Leaves out of the bundle what oclif loads with every command and no command here ever uses.
import type {Plugin} from 'esbuild'

/** Gives what stands for a package that must not be asked for anything. */
const refuses = (name: string) =>
  `const refuse = () => { throw new Error('the build leaves ${name} out: scripts/lean-oclif.ts') }
module.exports = new Proxy(refuse, {get: (_, key) => (key === '__esModule' ? true : refuse)})`

const INSTEAD: Readonly<Record<string, string>> = {
  // Finds commands where there is no manifest; ours is part of the package.
  tinyglobby: refuses('tinyglobby'),
  // Picks plugins, of which there are none.
  minimatch: refuses('minimatch'),
  // Looks for a configuration of oclif beside package.json, which has it.
  lilconfig: refuses('lilconfig'),
  // Checks the version of Node, which bin/run.js has done.
  semver: refuses('semver'),
  // For the spinner of oclif; ours is another.
  'ansi-escapes': refuses('ansi-escapes'),
  'cli-spinners': 'module.exports = {dots2: {frames: []}, line: {frames: []}}',
  // Asks Node for all of its options, to tell WSL from Linux: 5 ms of every start, for a line that we write ourselves.
  'wsl-utils': 'export const isWsl = false',
}

/** Puts the above in place of the packages, as far as oclif asks for them. */
export const leanOclif: Plugin = {
  name: 'lean-oclif',
  setup({onResolve, onLoad}) {
    onResolve({filter: new RegExp(`^(${Object.keys(INSTEAD).join('|')})$`)}, ({path, importer}) =>
      importer.includes('/@oclif/core/') ? {path, namespace: 'lean-oclif'} : undefined,
    )
    onLoad({filter: /.*/, namespace: 'lean-oclif'}, ({path}) => ({contents: INSTEAD[path] ?? '', loader: 'js'}))
  },
}
