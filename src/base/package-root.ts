import {existsSync, readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath, pathToFileURL} from 'node:url'

const here = fileURLToPath(import.meta.url)
/** True when the sources run directly, false when the built files do. */
const isSource = here.endsWith('.ts')

function findRoot(): string {
  let folder = dirname(here)
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}

/** Gives the URL of a worker's module, named by its place below src, without ending: `store/sqlite-worker`. */
export function workerUrl(name: string): URL {
  return pathToFileURL(join(findRoot(), isSource ? `src/${name}.ts` : `dist/${name}.js`))
}

/** Gives the program of this command line, to be run by this Node. */
export function programPath(): string {
  return join(findRoot(), 'bin', isSource ? 'dev.js' : 'run.js')
}

/** Gives the version of this package. */
export function packageVersion(): string {
  const pjson: {version: string} = JSON.parse(readFileSync(join(findRoot(), 'package.json'), 'utf8'))
  return pjson.version
}
