import {existsSync, readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath, pathToFileURL} from 'node:url'

const here = fileURLToPath(import.meta.url)
/** True when the sources run directly, false when the built files do. */
const isSource = here.endsWith('.ts')

/** Looked for once: it may be taken away under a server that runs. */
const root = rootAbove(dirname(here))

function rootAbove(folder: string): string {
  return existsSync(join(folder, 'package.json')) || folder === dirname(folder) ? folder : rootAbove(dirname(folder))
}

/** Gives the URL of a worker's module, named by its place below src, without ending: `store/sqlite-worker`. */
export function workerUrl(name: string): URL {
  return pathToFileURL(join(root, isSource ? `src/${name}.ts` : `dist/${name}.js`))
}

/** Gives the program of this command line, to be run by this Node. */
export function programPath(): string {
  return join(root, 'bin', isSource ? 'dev.js' : 'run.js')
}

let known: string | undefined

/** Gives the version of this package: of what runs, also when another one is installed meanwhile. */
export function packageVersion(): string {
  known ??= installedVersion()
  return known
}

/**
 * Says what was installed in place of the software that this process runs: its version, or null when nothing is there. Undefined while it is the same. What
 * was not loaded before is gone then.
 */
export function replacement(): string | null | undefined {
  const running = packageVersion()
  try {
    const version = installedVersion()
    return version === running && existsSync(here) ? undefined : version
  } catch {
    return null
  }
}

function installedVersion(): string {
  const pjson: {version: string} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return pjson.version
}
