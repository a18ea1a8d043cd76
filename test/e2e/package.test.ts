// What `npm pack` makes, used from an empty directory: without network, the dependencies being those that are installed here.
import {execFile} from 'node:child_process'
import {copyFile, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {promisify} from 'node:util'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {startServer} from '../support/server.ts'

const execute = promisify(execFile)
const root = new URL('../../', import.meta.url).pathname
const installed = join(root, 'node_modules')
const LONG_MS = 180_000
/** What the build needs; copied, so that it does not touch the files that other tests run. */
const SOURCES = [
  'package.json',
  'oclif.manifest.json',
  'tsconfig.json',
  'tsconfig.types.json',
  'bin',
  'src',
  'scripts',
  'docs',
]

let base: string
/** The empty directory, with the package installed. */
let app: string
let packed: string

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'registry-package-'))
  app = join(base, 'app')
  packed = join(app, 'node_modules/@devops-registry/cli')
  await mkdir(packed, {recursive: true})
  const tarball = await pack(join(base, 'sources'))
  await execute('tar', ['-xzf', tarball, '-C', packed, '--strip-components=1'])
  await installDependencies()
  await writeFile(join(app, 'package.json'), '{"type": "module"}')
}, LONG_MS)
afterAll(() => rm(base, {recursive: true, force: true}))

/** Packs a copy of the sources and gives the path of the tarball. */
async function pack(sources: string): Promise<string> {
  await mkdir(sources)
  for (const name of SOURCES) await cp(join(root, name), join(sources, name), {recursive: true})
  await symlink(installed, join(sources, 'node_modules'))
  const {stdout} = await execute('npm', ['pack', '--json', '--offline'], {cwd: sources, env: environment()})
  const [{filename}] = JSON.parse(stdout.slice(stdout.search(/^\[/m)))
  return join(sources, filename)
}

async function installDependencies(): Promise<void> {
  const {dependencies} = JSON.parse(await readFile(join(packed, 'package.json'), 'utf8'))
  for (const name of [...Object.keys(dependencies), '@types/node', '.bin/node']) {
    const place = join(app, 'node_modules', name)
    await mkdir(dirname(place), {recursive: true})
    await symlink(join(installed, name), place)
  }
}

/** Node's own folder first: npm would otherwise run the scripts with another one. */
function environment(): NodeJS.ProcessEnv {
  return {...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}`}
}

const run = (script: string, ...args: string[]) =>
  execute(process.execPath, [script, ...args], {cwd: app, timeout: LONG_MS})

describe('the packed package', () => {
  test('has a command that works', async () => {
    const {stdout} = await execute(join(packed, 'bin/registry'), ['help', 'service', 'run'])
    expect(stdout).toContain('registry service run --name NAME')
  })

  test('runs the example against a registry', async () => {
    await using server = await startServer()
    await copyFile(join(root, 'examples/client.ts'), join(app, 'client.ts'))
    const {stdout} = await run('client.ts', `zmq://127.0.0.1:${server.ports.req}`)
    expect(stdout.trimEnd().split('\n')).toEqual([
      'a camera listens at 127.0.0.1:5000',
      'present cam1',
      'present cam2',
      expect.stringMatching(/^(deregistered|gone) cam2$/), // on a busy machine the event may come before the subscription
      'REG_NOT_FOUND: service cam2 is not registered',
    ])
  })

  test('runs the example for Telepath against a registry', async () => {
    await using server = await startServer()
    await copyFile(join(root, 'examples/telepath.ts'), join(app, 'telepath.ts'))
    const {stdout, stderr} = await run('telepath.ts', `cell://${server.dir}`)
    expect(stderr).toBe('')
    expect(stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^Synapse 2\.256\.0, \d+ methods$/),
      'there is a user root',
      expect.stringMatching(/^\d+ tasks run$/),
      'REG_NOT_FOUND (NoSuchMeth): CellApi has no method: getFullyLost.',
    ])
  })

  test('serves a registry in a program', async () => {
    await writeFile(
      join(app, 'serve.ts'),
      `import {type KeepState, RegistryClient, RegistryError, type ServiceEntry, serve, type WatchEvent} from '@devops-registry/cli'

await using registry = await serve({dir: process.argv[2], options: {'zmq:req:port': 0, 'zmq:pub:port': 0, 'zmq:hb:port': 0, 'https:port': 0}, writeLog() {}})
await using client = new RegistryClient(\`zmq://127.0.0.1:\${registry.ports.req}\`)
const states: KeepState['kind'][] = []
const kept = client.keep({name: 'cam', host: 'h', port: 1}, {onState: ({kind}) => states.push(kind)})
await kept.ready()
const found: readonly ServiceEntry[] = await client.list({name: 'cam', health: 'passing'})
const watched: WatchEvent['kind'][] = []
for await (const event of client.watch()) {
  watched.push(event.kind)
  if (event.kind === 'synced') break
}
await kept.stop()
const error: unknown = await client.get('nope').catch((thrown: unknown) => thrown)
const code = error instanceof RegistryError ? error.code : undefined
console.log(JSON.stringify({found: found.length, states, watched, code}))
`,
    )
    const {stdout} = await run('serve.ts', join(base, 'data'))
    expect(JSON.parse(stdout)).toEqual({
      found: 1,
      states: ['registered', 'stopped'],
      watched: ['present', 'synced'],
      code: 'REG_NOT_FOUND',
    })
  })

  test('says in its health that another version was installed under a registry that runs', async () => {
    const about = join(packed, 'package.json')
    const text = await readFile(about, 'utf8')
    await writeFile(
      join(app, 'replaced.ts'),
      `import {writeFile} from 'node:fs/promises'
import {openTelepath, serve} from '@devops-registry/cli'

const [dir, about, text] = process.argv.slice(2)
await using registry = await serve({dir, options: {'zmq:req:port': 0, 'zmq:pub:port': 0, 'zmq:hb:port': 0, 'https:port': 0}, writeLog() {}})
await using cell = await openTelepath(\`cell://\${registry.dir}\`)
const {status: before} = await cell.call('getHealthCheck')
await writeFile(about, text)
const {status, components} = await cell.call('getHealthCheck')
console.log(JSON.stringify([before, status, components.find(({name}) => name === 'software')?.data.installed]))
`,
    )
    try {
      const replaced = JSON.stringify({...JSON.parse(text), version: '9.9.9'})
      const {stdout} = await run('replaced.ts', join(base, 'replaced'), about, replaced)
      expect(JSON.parse(stdout)).toEqual(['nominal', 'degraded', '9.9.9'])
    } finally {
      await writeFile(about, text)
    }
  })

  test('has the contract suite of stores, for other runners', async () => {
    await writeFile(
      join(app, 'contract.ts'),
      `import type {Store} from '@devops-registry/cli'
import {storeContract} from '@devops-registry/cli/store-contract'

const names: string[] = []
const runner = {describe: (_name: string, body: () => void) => body(), test: (name: string) => void names.push(name)}
storeContract(runner, async () => ({store: (): Store => { throw new Error('not asked for') }, dispose: async () => undefined}), {supports: {}})
console.log(names.length > 10)
`,
    )
    expect((await run('contract.ts')).stdout).toBe('true\n')
  })

  test('is what package managers and bundlers expect', async () => {
    const {stdout} = await run(join(installed, 'publint/src/cli.js'), packed, '--strict')
    expect(stdout).toContain('All good!')
  })

  test('has types that a strict program understands', async () => {
    const config = {
      compilerOptions: {
        ...{target: 'es2024', module: 'nodenext', strict: true, noEmit: true, types: ['node']},
        lib: ['es2024', 'esnext.disposable'],
      },
      files: ['client.ts', 'serve.ts', 'contract.ts'],
    }
    await writeFile(join(app, 'tsconfig.json'), JSON.stringify(config))
    const checked = await run(join(installed, 'typescript/bin/tsc'), '-p', 'tsconfig.json').catch(
      (error: {stdout: string}) => error,
    )
    expect(checked.stdout).toBe('')
  })
})
