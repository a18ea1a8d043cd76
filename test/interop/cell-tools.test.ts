// The stock tools of Synapse, each command run on a real AHA and on our registry: what they print and their exit status must be the same.
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import type {RunningRegistry} from '../../src/server/running-registry.ts'
import {serve} from '../../src/server/serve.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {runTool, SynapseService, type ToolResult} from './synapse-world.ts'

const PLANTED = 'planted-3b7c'
const OPTIONS = {'zmq:req:port': 0, 'zmq:pub:port': 0, 'zmq:hb:port': 0, 'https:port': 0, 'aha:network': 'loop.test'}

let home: string
let peer: SynapseService
let registry: RunningRegistry
const logged: string[] = []

showLogsWhenFailed()

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-tools-'))
  const conf = {'aha:network': 'loop.test', 'https:port': 0}
  peer = await SynapseService.start('aha', {conf})
  registry = await serve({dir: join(home, 'ours'), options: OPTIONS, writeLog: (line) => logged.push(line)})
})

afterAll(async () => {
  await registry.stop()
  await peer[Symbol.asyncDispose]()
  await rm(home, {recursive: true})
})

interface Outcome {
  readonly status: number | null
  /** With names in place of what is random. */
  readonly text: string
}

/** One of the two cells, and what is random in its answers. */
class Side {
  readonly url: string
  readonly #idens: string[] = []
  /** The last API key that was added. */
  key = ''

  constructor(url: string) {
    this.url = url
  }

  async run(tool: string, args: readonly string[]): Promise<Outcome> {
    const filled = args.map((arg) => arg.replaceAll('URL', this.url).replaceAll('KEY', this.key))
    return this.#named(await runTool(tool, filled, {home}))
  }

  #named({status, stdout}: ToolResult): Outcome {
    for (const [iden] of stdout.matchAll(/\b[0-9a-f]{32}\b/g)) if (!this.#idens.includes(iden)) this.#idens.push(iden)
    this.key = /^Iden: (\w{32})\n {2}API Key/m.exec(stdout)?.[1] ?? this.key
    const text = stdout
      .replaceAll(this.url, 'URL')
      .replaceAll(this.url.slice('cell://'.length), 'DIR')
      .replaceAll(/\b[0-9a-f]{32}\b/g, (iden) => `iden${this.#idens.indexOf(iden)}`)
      .replaceAll(/API Key: [\w-]{43}=/g, 'API Key: (key)')
      .replaceAll(/\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d\.\d{3}/g, '(time)')
      // Where in the source of the peer an error was made.
      .replaceAll(/(efile|eline|ename|esrc)=('[^']*'|"[^"]*"|\d+) /g, '')
    return {status, text}
  }
}

let sides: readonly [peer: Side, ours: Side]
beforeAll(() => {
  sides = [new Side(peer.cellUrl), new Side(`cell://${registry.dir}`)]
})

async function both(tool: string, args: readonly string[]): Promise<readonly [Outcome, Outcome]> {
  const [theirs, ours] = await Promise.all([sides[0].run(tool, args), sides[1].run(tool, args)])
  return [theirs, ours]
}

/** Runs commands one after another on both, and compares all of what they said. */
async function sameOf(tool: string, commands: readonly string[]): Promise<void> {
  for (const command of commands) {
    const [theirs, ours] = await both(tool, command.split(' '))
    expect({command, ...ours}).toEqual({command, ...theirs})
    expect(theirs.text, command).not.toContain('Traceback')
  }
}

test('moduser: users, their properties and rules', async () => {
  await sameOf('service.moduser', [
    '--svcurl URL --list',
    '--svcurl URL ghost',
    '--svcurl URL',
    '--svcurl URL --add --del x',
    '--svcurl URL --list ghost',
    `--svcurl URL --add --email bob@vertex.link --passwd ${PLANTED} --allow node.add --deny node.del --locked false bob`,
    '--svcurl URL --list bob',
    '--svcurl URL --add bob',
    '--svcurl URL --admin true --locked true bob',
    '--svcurl URL --list bob',
    '--svcurl URL --admin false --locked false --deny node bob',
    '--svcurl URL --list bob',
    '--svcurl URL --grant nope bob',
    '--svcurl URL --gate abcd --admin true bob',
    '--svcurl URL --locked true root',
    '--svcurl URL --email bob@vertex.link root',
    '--svcurl URL --del root',
  ])
})

test('modrole and moduser: roles, granted and revoked', async () => {
  await sameOf('service.modrole', [
    '--svcurl URL --list',
    '--svcurl URL nope',
    '--svcurl URL --add --allow axon.get analysts',
    '--svcurl URL --list analysts',
    '--svcurl URL --deny axon.get analysts',
    '--svcurl URL --list analysts',
    '--svcurl URL --del all',
  ])
  await sameOf('service.moduser', [
    '--svcurl URL --grant analysts bob',
    '--svcurl URL --list bob',
    '--svcurl URL --revoke all bob',
    '--svcurl URL --revoke analysts bob',
    '--svcurl URL --grant analysts bob',
  ])
  await sameOf('service.modrole', ['--svcurl URL --list', '--svcurl URL --del analysts'])
  await sameOf('service.moduser', ['--svcurl URL --list bob'])
})

test('apikey: keys of oneself and of others', async () => {
  await sameOf('service.apikey', [
    '--svcurl URL list',
    '--svcurl URL add -d 3600 k1',
    '--svcurl URL list',
    '--svcurl URL list -u ghost',
    '--svcurl URL del abcd0000abcd0000abcd0000abcd0000',
    '--svcurl URL del KEY',
    '--svcurl URL list',
    '--svcurl URL add -u bob k2',
    '--svcurl URL list -u bob',
  ])
})

test('cellauth, the tool of older releases', async () => {
  await sameOf('cellauth', [
    'URL list',
    'URL list bob --detail',
    'URL modify --adduser kim',
    'URL modify kim --addrule one.two',
    'URL modify kim --admin',
    'URL list kim --detail',
    'URL modify kim --noadmin --lock',
    'URL modify --deluser kim',
  ])
  const [theirs, ours] = await both('cellauth', ['URL', 'list', 'ghost'])
  // The peer has no words for it.
  expect(ours).toEqual({...theirs, text: theirs.text.replace('name=', "mesg='There is no such user or role.' name=")})
})

test('healthcheck: ours says more', async () => {
  const [theirs, ours] = await both('service.healthcheck', ['-c', 'URL'])
  const report = JSON.parse(ours.text)
  expect(ours.status).toBe(theirs.status)
  expect(Object.keys(report)).toEqual(Object.keys(JSON.parse(theirs.text)))
  expect(report).toMatchObject({
    status: 'nominal',
    components: [{name: 'store'}, {name: 'changes'}, {name: 'disk'}, {name: 'certificates'}, {name: 'services'}],
  })
})

test('reload: ours has the configuration beside the certificates', async () => {
  const [theirs, ours] = await both('service.reload', ['--svcurl', 'URL', 'list'])
  expect(ours).toEqual({...theirs, text: `${theirs.text}config\n`})
  const [all, oursAll] = await both('service.reload', ['--svcurl', 'URL', 'reload'])
  const config = `${'config'.padEnd(40)}${'Success'.padEnd(10)}{'changed': (), 'needRestart': ()}\n`
  expect(oursAll).toEqual({...all, text: `${all.text}${config}`})
  await sameOf('service.reload', ['--svcurl URL reload -n https:certs', '--svcurl URL reload -n nope'])
})

test('shutdown ends the cell, and a second one finds nobody', async () => {
  await sameOf('service.shutdown', ['--url URL --timeout 10'])
  expect(await registry.stopped).toBeUndefined()
  const [, ours] = await both('service.shutdown', ['--url', 'URL'])
  expect(ours.status).toBe(2)
  expect(ours.text).toContain('Error while attempting graceful shutdown: Cell path')
})

test('no password that a tool gave stands in our log', () => {
  expect(logged.length).toBeGreaterThan(10)
  expect(logged.join('\n')).not.toContain(PLANTED)
})
