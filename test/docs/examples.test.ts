import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest'
import {CellAdmin} from '../../src/client/admin.ts'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {registerAt, startAhaServer} from '../support/aha-server.ts'
import {cleanEnv, LAUNCHER} from '../support/cli.ts'
import {LeadPair} from '../support/lead-pair.ts'
import type {TestMember} from '../support/mirror-pair.ts'
import {PatientClient} from '../support/patient-client.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {StormPeer} from '../support/storm-peer.ts'
import {prepareBackups, prepareDrill, prepareLive} from './example-backups.ts'
import {prepareCerts} from './example-certs.ts'
import {prepareLost, prepareRejoin} from './example-rejoin.ts'
import {prepareRestore} from './example-restore.ts'

interface Command {
  readonly hidden?: boolean
  readonly examples?: readonly {readonly description: string; readonly command: string}[]
}

const manifest: {commands: Readonly<Record<string, Command>>} = JSON.parse(
  await readFile(new URL('../../oclif.manifest.json', import.meta.url), 'utf8'),
)
const commands = Object.entries(manifest.commands).filter(([, {hidden}]) => !hidden)
const DEFAULT_URL = 'zmq://127.0.0.1:5556'
const PORT_FLAGS = ['--zmq-req-port', '--zmq-pub-port', '--zmq-hb-port', '--https']

const STORM = [
  ['node', [['inet:fqdn', 'vertex.link'], {props: {host: 'vertex'}}]],
  ['fini', {count: 1, took: 1}],
]

const CELL_COMMAND = /^(user|role|apikey|query|service:(maintenance|history))\b/
/** Those that talk to a cell, and change no user. */
const OTHER_CELL_COMMAND = /^(freeze|resume|trim|livebackup|backup:follow)$/
const AHA_COMMAND = /^(provision|pool|clone)\b/

// The examples of the commands, typed as they stand, by a user whose registry runs. Only addresses that belong to the machine are put in
// the place of those that the examples name.
let server: TestServer
let aha: TestServer
// In the place of the Cortex and the Axon that the examples name.
let cortex: StormPeer
let pair: LeadPair
let home: string
let url: string

beforeAll(async () => {
  server = await startServer()
  aha = await startAhaServer()
  cortex = await StormPeer.start({storm: () => STORM})
  pair = await LeadPair.start()
  url = `zmq://127.0.0.1:${server.ports.req}`
  home = await mkdtemp(join(tmpdir(), 'registry-examples-'))
  await mkdir(join(home, 'bin'))
  await mkdir(join(home, 'lab'))
  await symlink(LAUNCHER, join(home, 'bin', 'registry'))
  // Programs that examples start; what they would do is not what is tested.
  await writeFile(join(home, 'bin', 'python3'), '#!/bin/sh\nexit 0\n')
  await chmod(join(home, 'bin', 'python3'), 0o755)
  await writeFile(join(home, 'report.pdf'), 'a report')
  await writeFile(join(home, 'hosts.storm'), 'inet:fqdn=$fqdn')
  await writeFile(join(home, 'vars.yaml'), 'vars: {fqdn: vertex.link}')
  for (const name of ['ops', 'visi']) await writeFile(join(home, `${name}.passwd`), 'not so secret\n', {mode: 0o600})
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await aha[Symbol.asyncDispose]()
  await cortex[Symbol.asyncDispose]()
  await pair[Symbol.asyncDispose]()
  await leader?.[Symbol.asyncDispose]()
  await rm(home, {recursive: true, force: true})
})

beforeEach(async () => {
  await using root = await openTelepath(`cell://${server.dir}`)
  await root.call('resume').catch(() => undefined) // an example may have frozen it
  await using client = new PatientClient(url)
  for (const {id} of await client.list()) await client.deregister(id)
  const common = {type: 'camera', host: '127.0.0.1', port: 5000, tags: ['night'], metadata: {building: '4'}}
  await client.register({name: 'cam1', id: 'cam-1', ...common})
  await client.register({name: 'cam2', id: 'cam-east', ...common})
})

/** Makes the users, roles and API keys that the examples name, anew. */
async function prepareUsers(): Promise<void> {
  await using admin = new CellAdmin(await openTelepath(`cell://${server.dir}`))
  for (const {name, iden} of await admin.users()) if (name !== 'root') await admin.remove('user', iden)
  for (const {name, iden} of await admin.roles()) if (name !== 'all') await admin.remove('role', iden)
  for (const {iden} of await admin.keys()) await admin.removeKey(iden)
  const rules = [
    [true, ['axon', 'upload']],
    [false, ['axon', 'del']],
  ] as const
  const [visi, backup] = [await admin.addUser('visi', undefined), await admin.addUser('backup', undefined)]
  await admin.setRules('user', visi.iden, rules)
  for (const name of ['keepers', 'uploaders']) {
    const role = await admin.addRole(name)
    await admin.setRules('role', role.iden, rules)
    await admin.grant(visi.iden, role.iden)
  }
  await admin.addKey('laptop', {})
  await admin.addKey('nightly', {userIden: backup.iden})
}

/** Makes the one-time URLs that the examples name, and nobody of those who are to be let in is there. */
async function prepareUrls(id: string): Promise<void> {
  await using root = await openTelepath(`cell://${aha.dir}`)
  for (const method of ['clearAhaSvcProvs', 'clearAhaUserEnrolls']) await root.call(method)
  await using admin = new CellAdmin(await openTelepath(`cell://${aha.dir}`))
  for (const {name, iden} of await admin.users()) if (name !== 'root') await admin.remove('user', iden)
  if (id !== 'provision:revoke') return
  await root.call('addAhaSvcProv', {args: ['00.axon']})
  await root.call('addAhaUserEnroll', {args: ['visi']})
}

async function freeze(): Promise<void> {
  await using root = await openTelepath(`cell://${server.dir}`)
  await root.call('freeze')
}

let onceUrl = ''
/** Leads the cell of the directory that is to rejoin. */
let leader: TestMember | undefined

/** Makes the one-time URL that the examples of `enroll` name. */
async function prepareEnrollment(): Promise<void> {
  await using root = await openTelepath(`cell://${aha.dir}`)
  const made = await root.call('addAhaUserEnroll', {args: ['visi'], kwargs: {again: true}})
  onceUrl = String(made).replace('aha.demo.net', '127.0.0.1')
  await writeFile(join(home, 'url.txt'), `${onceUrl}\n`)
}

/** Gives the user an AHA that knows the services of the examples; who is to be enrolled has nothing yet. */
async function prepareSynDir(id: string): Promise<void> {
  await rm(join(home, '.syn'), {recursive: true, force: true})
  if (id === 'enroll') return
  await mkdir(join(home, '.syn'))
  await writeFile(join(home, '.syn', 'telepath.yaml'), `version: 1\naha:servers: ['${pair.ahaUrl}']\n`)
}

/** Makes the pool that the examples name, and services for it. */
async function preparePools(id: string): Promise<void> {
  await registerAt(aha, ['01.cortex', '02.cortex', '03.cortex'])
  await using root = await openTelepath(`cell://${aha.dir}`)
  for (const pool of ['pool00.cortex...', 'pool00.axon...']) await root.call('delAhaPool', {args: [pool]})
  if (id === 'pool:add') return
  await root.call('addAhaPool', {args: ['pool00.cortex...', {}]})
  for (const name of ['01.cortex...', '02.cortex...']) {
    await root.call('addAhaPoolSvc', {args: ['pool00.cortex...', name, {}]})
  }
}

/** Where a command goes that does not say where. */
function urlFor(id: string): string {
  if (AHA_COMMAND.test(id)) return `cell://${aha.dir}`
  return CELL_COMMAND.test(id) || OTHER_CELL_COMMAND.test(id) ? `cell://${server.dir}` : url
}

describe.each(commands)('%s', (id, {examples = []}) => {
  beforeEach(async () => {
    await prepareSynDir(id)
    if (id.startsWith('provision:')) await prepareUrls(id)
    if (id.startsWith('pool:')) await preparePools(id)
    if (id === 'enroll') await prepareEnrollment()
    if (CELL_COMMAND.test(id)) await prepareUsers()
    if (id === 'resume') await freeze()
    pair.reset()
    if (id === 'rejoin' || id === 'clone') leader ??= await prepareRejoin(home)
    if (id === 'service:history') await prepareLost(home)
    if (id.startsWith('backup')) await prepareBackups(home)
    if (id === 'backup:drill') await prepareDrill(home, server.dir)
    if (id === 'livebackup' || id === 'backup:follow') await prepareLive(home)
    if (id === 'restore') await prepareRestore(home)
    if (id.startsWith('cert:')) await prepareCerts(home, id.slice('cert:'.length))
  })

  test('has at least two examples', () => {
    expect(examples.length).toBeGreaterThanOrEqual(2)
    for (const {description} of examples) expect(description).toMatch(/^[A-Z].*[^.]\.$/)
  })

  test.each(examples.map(({command}) => command))('%s', async (command) => {
    const line = command
      .replaceAll('<%= config.bin %>', 'registry')
      .replaceAll('<%= command.id %>', id.replaceAll(':', ' '))
    if (line.endsWith('--allow-return')) pair.fence()
    // The member that is forgotten is gone, and was one of that cell.
    const registryUrl = line.includes('--forget') ? `cell://${leader?.dir}` : urlFor(id)
    const {status, stdout, stderr} = await typeLine(line, registryUrl)
    expect({line, status, stderr}).toMatchObject({
      status: statusOf(line),
      stderr: expect.not.stringContaining('error:'),
    })
    if (line.includes(' --json')) for (const text of jsonTexts(line, stdout)) JSON.parse(text)
  })
})

/** Types a line into a shell. What runs until it is told to stop is stopped as soon as it has printed something. */
async function typeLine(
  line: string,
  registryUrl: string,
): Promise<{status: number | null; stdout: string; stderr: string}> {
  const ours = line
    .replaceAll(DEFAULT_URL, url)
    .replaceAll('01.aha.example.net --forget', '00.demo.net --forget')
    .replaceAll('cell:///srv/aha', `cell://${aha.dir}`)
    .replaceAll('ssl://01.registry.example.net:27492', leader?.url ?? '')
    .replaceAll(/ssl:\/\/aha\.example\.net:27272\/[0-9a-f]{32}\?certhash=[0-9a-f]{64}/g, onceUrl)
    .replaceAll(/cell:\/\/\/srv\/\w+/g, `cell://${server.dir}`)
    .replaceAll(/(?<=^registry livebackup .*)aha:\/\/cortex\.\.\./g, `cell://${server.dir}`)
    .replaceAll('ssl://root@aha.example.net', `cell://${server.dir}`)
    .replaceAll('/etc/registry/', 'srv/')
    .replaceAll(/(?<= )\/(?=(?:srv|mnt)\/)/g, '')
    .replaceAll(/(?<=^registry query .*)aha:\/\/(?:cortex|axon)\.\.\./g, cortex.url)
  const adapted = line.startsWith('registry serve') ? onFreePorts(line) : ours
  const env = cleanEnv({
    HOME: home,
    XDG_DATA_HOME: undefined,
    REGISTRY_URL: registryUrl,
    PATH: `${join(home, 'bin')}:${process.env['PATH']}`,
  })
  const child = spawn('/bin/sh', ['-c', `exec ${adapted}`], {cwd: home, env, stdio: ['ignore', 'pipe', 'pipe']})
  const output = {stdout: '', stderr: ''}
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  // Once: a second signal would end it the hard way.
  if (!endsByItself(line)) child.stdout.once('data', () => child.kill('SIGINT'))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  const [status] = (await once(child, 'close')) as [number | null]
  return {status, ...output}
}

function onFreePorts(line: string): string {
  const missing = PORT_FLAGS.filter((flag) => !line.includes(flag)).map((flag) => ` ${flag} 0`)
  return line.replaceAll(/(-port) \d+/g, '$1 0') + missing.join('')
}

function endsByItself(line: string): boolean {
  return !/^registry (serve|service watch(?!.* --for)|backup follow(?!.* --once))/.test(line)
}

/** What is told to stop says whether that was its end (a server) or an early one. */
function statusOf(line: string): number {
  // Nothing was proven of a service that is not installed here.
  if (line.includes(' --python ')) return 1
  return endsByItself(line) || /^registry (serve|backup follow)/.test(line) ? 0 : 130
}

/** A stream has one JSON value per line, anything else is one value. */
function jsonTexts(line: string, stdout: string): string[] {
  return /^registry (service (watch|history)|backup follow|query .*--query-file)/.test(line)
    ? stdout.trimEnd().split('\n')
    : [stdout]
}
