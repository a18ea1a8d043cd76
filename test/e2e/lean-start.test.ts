/** What a server starts with costs memory of every server, and time of every start: what only some need is loaded when they need it. */
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {afterAll, beforeAll, expect, it} from 'vitest'
import {startServer} from '../support/server.ts'

const DIST = new URL('../../dist/', import.meta.url).href
/** Has a process of Node write down what it loads, in its main thread. */
const NOTING = `import {registerHooks} from 'node:module'
import {appendFileSync} from 'node:fs'
import {isMainThread} from 'node:worker_threads'
const load = (url, context, next) => (appendFileSync(process.env.LOADED, url + '\\n'), next(url, context))
if (isMainThread) registerHooks({load})
`
/** Where a part is named that a server without the option needs not have, by the sources that a built file is made of. */
const LATE = {
  https: /\/src\/(server\/(https|openapi|behold)[^/]*|wire\/https\/server)\.ts$/,
  'the packages of HTTPS': /\/node_modules\/(fastify|@fastify|ws)\//,
  'certificates that are made or read': /\/node_modules\/(pkijs|asn1js)\//,
  'an AHA': /\/src\/server\/(aha-host|aha-member|provision-api|redemption)\.ts$/,
  'restoring and drills': /\/src\/server\/(restoring|drill)\//,
  'logs that are followed': /\/src\/backup\/(followed|log-archive|log-segment|lmdb|foreign)[^/]*\.ts$/,
  archives: /\/(src\/backup\/(archive|tar|gzip|age)[^/]*\.ts$|node_modules\/(tar|age-encryption)\/)/,
  'all of YAML': /\/node_modules\/yaml\//,
  'what oclif needs for plugins': /\/node_modules\/(minimatch|tinyglobby|picomatch|fdir|lilconfig|semver|wsl-utils)\//,
}

let folder = ''
let sources: readonly string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-lean-'))
  const hook = join(folder, 'noting.mjs')
  const loaded = join(folder, 'loaded.txt')
  await writeFile(hook, NOTING)
  const env = {NODE_OPTIONS: `--import=${pathToFileURL(hook).href}`, LOADED: loaded}
  await using server = await startServer({env})
  const urls = (await readFile(loaded, 'utf8')).trim().split('\n')
  await server.stop()
  const built = urls.filter((url) => url.startsWith(DIST))
  sources = [...urls.filter((url) => url.startsWith('file:')), ...(await Promise.all(built.map(sourcesOf))).flat()]
})

afterAll(() => rm(folder, {recursive: true, force: true}))

it('sees what a server is made of', () => {
  expect(sources.some((source) => source.endsWith('/src/server/zeromq-api.ts'))).toBe(true)
  expect(sources.some((source) => source.includes('/node_modules/@oclif/core/'))).toBe(true)
})

it.each(Object.entries(LATE))('starts without %s', (_, pattern) => {
  expect(sources.filter((source) => pattern.test(source))).toEqual([])
})

async function sourcesOf(url: string): Promise<string[]> {
  const map: {readonly sources: readonly string[]} = JSON.parse(await readFile(new URL(`${url}.map`), 'utf8'))
  return map.sources.map((source) => new URL(source, url).href)
}
