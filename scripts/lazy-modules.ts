// For the bundle: what few commands need is loaded when it is used for the first time. It is up to a quarter of the CPU time of the start of a command.
import {readFileSync} from 'node:fs'
import {builtinModules} from 'node:module'
import type {Plugin} from 'esbuild'

const builtins = new Set(builtinModules.filter((name) => !name.startsWith('_')))

export const lazyModules: Plugin = {
  name: 'lazy-modules',
  setup(build) {
    build.onResolve({filter: /^(node:)?[a-z_/]+\d?$/}, ({path}) => {
      const name = path.replace(/^node:/, '')
      return builtins.has(name) || builtins.has(`node:${name}`) ? {path: name, namespace: 'builtin'} : undefined
    })
    build.onLoad({filter: /.*/, namespace: 'builtin'}, ({path}) => ({contents: builtin(`node:${path}`), loader: 'js'}))
    build.onLoad({filter: /\/@oclif\/core\/lib\/.*\.js$/}, ({path}) => ({contents: lazyRequires(path), loader: 'js'}))
  },
}

/**
 * A module of Node. Where it is imported, Node asks it for all that it exports, and so loads its own lazy parts as well: streams for node:fs, fetch
 * for node:http.
 */
function builtin(id: string): string {
  const module: unknown = process.getBuiltinModule(id)
  const get = `process.getBuiltinModule(${JSON.stringify(id)})`
  // A function is the module itself, and an object of a class (node:process) has methods that ask for it.
  const isPlain = typeof module === 'object' && module !== null && Object.getPrototypeOf(module) === Object.prototype
  if (!isPlain) return `module.exports = ${get}`
  // Where the class of certificates loads TLS before anybody asked for node:tls, a circle in Node 24 leaves that without createSecureContext.
  const before = id === 'node:crypto' ? `if (key === 'X509Certificate') process.getBuiltinModule('node:tls')` : ''
  return `let loaded
const load = (key) => {
  ${before}
  return (loaded ??= ${get})
}
for (const key of ${JSON.stringify(Object.getOwnPropertyNames(module))}) {
  Object.defineProperty(exports, key, {enumerable: true, get: () => load(key)[key], set: (value) => { load(key)[key] = value }})
}`
}

/** As TypeScript writes imports of CommonJS modules. */
const REQUIRE = /^(?:const|var) (\w+) = ((?:__importDefault|__importStar)?\(?require\("[^"]+"\)\)?);$/gm
const REEXPORT = /^exports\.(\w+) = ((?:__importDefault|__importStar)\(require\("[^"]+"\)\));$/gm

/** Of oclif, whose index asks for all of it. */
function lazyRequires(path: string): string {
  let text = readFileSync(path, 'utf8')
  for (const [line, name = '', value = ''] of text.matchAll(REQUIRE)) {
    const uses = new RegExp(`(?<![\\w$.])${name}\\.`, 'g')
    // What is passed on whole is loaded at once, as it was.
    if (countOf(text, new RegExp(`(?<![\\w$.])${name}\\b`, 'g')) !== countOf(text, uses) + 1) continue
    text = text.replace(line, () => `let $${name}; const ${name} = () => ($${name} ??= ${value});`)
    text = text.replaceAll(uses, () => `(${name}()).`)
  }
  // The manifest is sorted, and to ask for the order of letters in a language takes 5 ms.
  if (path.endsWith('/config/plugin.js'))
    text = replaced(path, text, 'a.id.localeCompare(b.id)', 'a.id < b.id ? -1 : 1')
  return text.replaceAll(
    REEXPORT,
    (_, name, value) =>
      `Object.defineProperty(exports, "${name}", {enumerable: true, configurable: true, get: () => ${value}});`,
  )
}

const countOf = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0

function replaced(path: string, text: string, old: string, fresh: string): string {
  if (!text.includes(old)) throw new Error(`${path} has changed: ${old} is not in it`)
  return text.replace(old, () => fresh)
}
