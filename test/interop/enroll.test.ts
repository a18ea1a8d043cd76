// Users enroll with our command at a real AHA and at ours, and reach services by name from then on without further settings.
import {mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, onTestFinished, test} from 'vitest'
import {type CliResult, runCli} from '../support/cli.ts'
import {NETWORK, OurAha} from './our-aha.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {AhaNetwork} from './synapse-world.ts'

interface Aha {
  /** Mints a URL for a user. */
  readonly user: (name: string, again?: boolean) => Promise<string>
  readonly service: (name: string) => Promise<string>
  readonly port: () => number
}

let real: AhaNetwork
let ours: OurAha

showLogsWhenFailed()

beforeAll(async () => {
  ;[real, ours] = await Promise.all([AhaNetwork.start(NETWORK), OurAha.start()])
})

afterAll(async () => {
  await real?.[Symbol.asyncDispose]()
  await ours?.[Symbol.asyncDispose]()
})

const AHAS: readonly (readonly [name: string, aha: Aha])[] = [
  [
    'a real AHA',
    {
      user: (name, again) => real.enrollUrl(name, again),
      service: (name) => real.provisionUrl(name),
      port: () => real.aha.ports.telepath,
    },
  ],
  [
    'our AHA',
    {
      user: (name, again = false) => ours.ask('addAhaUserEnroll', name, {}, again),
      service: (name) => ours.ask('addAhaSvcProv', name),
      port: () => ours.port,
    },
  ],
]

async function emptyHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'registry-enroll-'))
  onTestFinished(() => rm(home, {recursive: true}))
  return home
}

function cli(home: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliResult> {
  const names = new URL('synapse-names.ts', import.meta.url).href
  const loopback = {HOME: home, PEER_NAMES: NETWORK, NODE_OPTIONS: `--import=${names} --no-warnings`}
  return runCli(args, {env: {...loopback, ...env}})
}

async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, {recursive: true, withFileTypes: true})
  return entries
    .flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name).slice(dir.length + 1)] : []))
    .toSorted()
}

describe.each(AHAS)('at %s', (_, aha) => {
  test('a user enrolls, and status and query find the AHA by telepath.yaml', async () => {
    const home = await emptyHome()
    const enrolled = await cli(home, ['enroll', await aha.user('visi')])
    const url = `ssl://aha.${NETWORK}:${aha.port()}?certname=visi@${NETWORK}`
    const certs = join(home, '.syn', 'certs')
    expect(enrolled.stdout).toContain(`user        visi@${NETWORK}
saved       ${certs}/cas/${NETWORK}.crt
saved       ${certs}/users/visi@${NETWORK}.key
saved       ${certs}/users/visi@${NETWORK}.crt
AHA server  ${url} (added to ${join(home, '.syn', 'telepath.yaml')})
`)
    expect(enrolled.status).toBe(0)
    expect((await stat(join(certs, 'users', `visi@${NETWORK}.key`))).mode & 0o777).toBe(0o600)
    expect(await readFile(join(home, '.syn', 'telepath.yaml'), 'utf8')).toBe(`version: 1\naha:servers:\n- ${url}\n`)
    expect(await filesIn(join(home, '.syn'))).toEqual([
      `certs/cas/${NETWORK}.crt`,
      `certs/users/visi@${NETWORK}.crt`,
      `certs/users/visi@${NETWORK}.key`,
      'enroll/.lock',
      'telepath.yaml',
    ])

    const status = await cli(home, ['status', '--json'])
    expect(JSON.parse(status.stdout)).toMatchObject({cell: {type: 'ahacell', aha: {network: NETWORK}}})
    const listed = await cli(home, ['query', url, '--call', 'getAhaSvcs', NETWORK])
    expect(listed).toMatchObject({status: 0, stdout: ''})
    const user = await cli(home, ['query', '--call', 'getCellUser', '--url', url])
    expect(JSON.parse(user.stdout)).toMatchObject({name: `visi@${NETWORK}`, admin: false})
  })

  test('keeps the comments of telepath.yaml, and respects SYN_DIR and SYN_CERT_DIR', async () => {
    const home = await emptyHome()
    const [syn, certs] = [join(home, 'syn'), join(home, 'mine')]
    await mkdir(syn)
    const before = '# Ours.\naha:servers: # two of them\n  - ssl://aha.other.test # old\nversion: 1\n'
    await writeFile(join(syn, 'telepath.yaml'), before)
    const env = {SYN_DIR: syn, SYN_CERT_DIR: certs}
    expect(await cli(home, ['enroll', await aha.user('bob')], env)).toMatchObject({status: 0})
    const url = `ssl://aha.${NETWORK}:${aha.port()}?certname=bob@${NETWORK}`
    const line = '  - ssl://aha.other.test # old\n'
    expect(await readFile(join(syn, 'telepath.yaml'), 'utf8')).toBe(before.replace(line, `${line}  - ${url}\n`))
    expect(await filesIn(certs)).toHaveLength(3)
    const again = await cli(home, ['enroll', await aha.user('bob', true), '--force', '--json'], env)
    expect(JSON.parse(again.stdout)).toMatchObject({user: `bob@${NETWORK}`, added: [], ahaServers: [url]})
    expect(await filesIn(certs)).toEqual([
      `cas/${NETWORK}.crt`,
      `users/bob@${NETWORK}.crt`,
      `users/bob@${NETWORK}.crt.bak`,
      `users/bob@${NETWORK}.key`,
      `users/bob@${NETWORK}.key.bak`,
    ])
  })

  test('what is there is not replaced, and the URL stays good', async () => {
    const home = await emptyHome()
    expect(await cli(home, ['enroll', await aha.user('eve')])).toMatchObject({status: 0})
    const url = await aha.user('eve', true)
    const refused = await cli(home, ['enroll', url])
    expect(refused).toMatchObject({status: 5, stderr: expect.stringContaining('The URL is not used')})
    expect(refused.stderr).not.toContain(new URL(url).pathname)
    expect(await cli(home, ['enroll', url, '--force'])).toMatchObject({status: 0})
  })

  test('a used URL, a wrong hash and a URL for a service are refused in words, and leave nothing', async () => {
    const home = await emptyHome()
    const url = await aha.user('used')
    const wrongHash = url.replace(/certhash=..../, 'certhash=0000')
    expect(await cli(home, ['enroll', wrongHash])).toMatchObject({
      status: 4,
      stderr: expect.stringContaining('does not have the pinned hash 0000'),
    })
    expect(await cli(home, ['enroll', url])).toMatchObject({status: 0})
    const other = await emptyHome()
    const used = await cli(other, ['enroll', url])
    expect(used).toMatchObject({status: 3, stderr: expect.stringContaining('it was used, has expired, was revoked')})
    const ofService = await cli(other, ['enroll', await aha.service('00.axon')])
    expect(ofService).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('the one-time URL is for a service, and not for a user'),
    })
    expect(used.stderr + ofService.stderr).not.toMatch(/[0-9a-f]{32}/)
    expect(await filesIn(other)).toEqual(['.syn/enroll/.lock'])
  })
})
