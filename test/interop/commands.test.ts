// Our commands against a real Synapse cell and against our own server: the same lines, the same results; and what they set, the stock tools
// show, and the other way round.
import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {runCli} from '../support/cli.ts'
import {startServer, type TestServer} from '../support/server.ts'
import {runTool, SynapseService} from './synapse-world.ts'

/** A cell that the lines go to, and what a secret must not be found in. */
interface Cell extends AsyncDisposable {
  readonly dir: string
  log(): string
}

async function realCell(): Promise<Cell> {
  return await SynapseService.start('cell')
}

async function ownCell(): Promise<Cell> {
  const server: TestServer = await startServer()
  return {dir: server.dir, log: () => server.output(), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]()}
}

describe.each([
  ['a real Synapse cell', realCell],
  ['our own server', ownCell],
] as const)('on %s', (_name, start) => {
  let cell: Cell
  let home: string
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'registry-commands-'))
    cell = await start()
  })
  afterAll(async () => {
    await cell[Symbol.asyncDispose]()
    await rm(home, {recursive: true, force: true})
  })

  /** Runs one of our commands; what stands in quotes is one word. */
  const ours = (line: string, ...flags: readonly string[]) => {
    const words = (line.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'(.*)'$/s, '$1'))
    const end = words.indexOf('--')
    const at = end < 0 ? words.length : end
    return runCli([...words.slice(0, at), '--url', `cell://${cell.dir}`, ...flags, ...words.slice(at)], {
      env: {SYN_DIR: home},
    })
  }
  const jsonOf = async (line: string) => {
    const {status, stdout} = await ours(line, '--json')
    return {status, ...JSON.parse(stdout)}
  }
  const stock = async (tool: string, args: readonly string[]) => {
    const {status, stdout} = await runTool(tool, ['--svcurl', `cell://${cell.dir}`, ...args], {home})
    expect(status, stdout).toBe(0)
    return stdout
  }

  test('users are added, changed and removed, and before and after are shown', async () => {
    expect((await ours('user add visi --email Visi@Vertex.Link --allow axon --allow !axon.del')).stdout).toMatch(
      /^added the user visi\nname {6}visi\niden {6}[0-9a-f]{32}\nemail {5}visi@vertex.link\nadmin {5}no\nlocked {4}no\narchived {2}no\nroles {5}all\nrules {5}0 {2}axon\n {10}1 {2}!axon.del\n$/,
    )
    expect(await ours('user set visi --admin')).toMatchObject({status: 0, stdout: 'user visi\nadmin  no -> yes\n'})
    expect(await ours('user set visi --no-admin --locked --yes')).toMatchObject({
      stdout: 'user visi\nadmin   yes -> no\nlocked  no -> yes\n',
    })
    expect(await ours('user set visi --no-locked')).toMatchObject({stdout: 'user visi\nlocked  yes -> no\n'})
    expect(await ours('user set visi --no-locked')).toMatchObject({stdout: 'user visi (nothing to change)\n'})
    expect(await ours('user set visi --email other@vertex.link --dry-run')).toMatchObject({
      stdout: 'user visi\nemail  visi@vertex.link -> other@vertex.link\n',
      stderr: 'dry run: nothing was done\n',
    })
    expect(await jsonOf('user show visi')).toMatchObject({status: 0, name: 'visi', email: 'visi@vertex.link'})
    expect(await jsonOf('user add visi')).toMatchObject({status: 5, error: {code: 'REG_CONFLICT'}})
    expect(await jsonOf('user remove visi')).toMatchObject({status: 2, error: {code: 'REG_USAGE'}})
    expect((await jsonOf('user list')).users.map(({name}: {name: string}) => name)).toEqual(['root', 'visi'])
    expect(await ours('user remove visi --yes')).toMatchObject({stdout: 'removed the user visi\n'})
    expect(await jsonOf('user show visi')).toMatchObject({status: 3, error: {code: 'REG_NOT_FOUND'}})
  })

  test('rules and roles are put where the first that fits decides', async () => {
    await ours('user add visi')
    await ours('role add keepers --rule axon')
    expect(await ours('user grant visi keepers --index 0')).toMatchObject({
      stdout: 'user visi\nroles  all -> keepers, all\n',
    })
    expect(await jsonOf('user allow visi health')).toMatchObject({allowed: true, after: {rules: [{rule: 'health'}]}})
    expect(await ours('user deny visi axon.del --yes')).toMatchObject({
      stdout: 'user visi\nrules  health -> !axon.del, health\n',
      stderr: 'axon.del is not allowed now\n',
    })
    expect(await jsonOf('user allow visi health')).toMatchObject({
      after: {rules: [{rule: 'health'}, {rule: '!axon.del'}]},
    })
    expect(await jsonOf('user deny visi axon.del --remove')).toMatchObject({allowed: true, changed: true})
    expect(await jsonOf('user deny visi axon.del --remove')).toMatchObject({status: 3})
    expect(await ours('role deny keepers axon.del --yes --index 5')).toMatchObject({
      stdout: 'role keepers\nrules  axon -> axon, !axon.del\n',
    })
    expect(await jsonOf('role show keepers')).toMatchObject({users: ['visi']})
    expect(await ours('role set keepers --no-rules --yes')).toMatchObject({
      stdout: 'role keepers\nrules  axon, !axon.del -> -\n',
    })
    expect(await ours('user revoke visi keepers --yes')).toMatchObject({
      stdout: 'user visi\nroles  keepers, all -> all\n',
    })
    expect(await jsonOf('user grant visi nobody')).toMatchObject({status: 3})
    expect((await ours('role remove keepers --yes')).status).toBe(0)
    expect((await ours('user remove visi --yes')).status).toBe(0)
  })

  test('what our commands set, moduser and modrole show; what they set, ours show', async () => {
    await ours('role add watchers --rule health')
    await ours('user add ours --email a@b.c --role watchers --allow axon.upload')
    await ours('user set ours --locked --yes')
    const shown = await stock('service.moduser', ['--list', 'ours'])
    expect(shown).toMatch(/Locked: True\n {2}Admin: False\n {2}Email: a@b.c\n/)
    expect(shown).toMatch(/\[0 +\] - axon\.upload/)
    expect(shown).toMatch(/- all\n {4}[0-9a-f]{32} - watchers\n/)
    expect(await stock('service.modrole', ['--list', 'watchers'])).toMatch(/\[0 +\] - health/)

    await stock('service.modrole', ['--add', '--allow', 'axon', 'theirs'])
    await stock('service.moduser', [
      ...['--add', '--locked', 'true', '--email', 'd@e.f', '--grant', 'theirs', '--allow', 'cron.add', 'theirs'],
    ])
    expect(await jsonOf('user show theirs')).toMatchObject({
      ...{admin: false, locked: true, email: 'd@e.f', roles: ['all', 'theirs']},
      rules: [{rule: 'cron.add', allow: true, path: ['cron', 'add']}],
    })
    expect(await jsonOf('role show theirs')).toMatchObject({rules: [{rule: 'axon'}], users: ['theirs']})
    for (const name of ['ours', 'theirs']) expect((await ours(`user remove ${name} --yes`)).status).toBe(0)
    for (const name of ['watchers', 'theirs']) expect((await ours(`role remove ${name} --yes`)).status).toBe(0)
  })

  test('API keys of ours are those of the stock tool', async () => {
    await ours('user add backup')
    const {stdout} = await ours('apikey add nightly --user backup --expires-in 1h')
    expect(stdout).toMatch(/^[A-Za-z0-9_-]{43}=\n$/)
    const {result} = await jsonOf(`query --call checkUserApiKey '"${stdout.trim()}"'`)
    expect(result).toMatchObject([true, {kdef: {name: 'nightly'}, udef: {name: 'backup'}}])
    const listed = await stock('service.apikey', ['list', '-u', 'backup'])
    const [key] = (await jsonOf('apikey list --user backup')).apikeys
    expect(listed).toContain(key.iden)
    expect(await jsonOf('apikey remove nightly --user backup')).toMatchObject({status: 2})
    expect(await jsonOf('apikey remove nightly --user backup --yes')).toMatchObject({removed: {iden: key.iden}})
    expect(await stock('service.apikey', ['list', '-u', 'backup'])).toContain('No API keys found.')
    expect((await ours('user remove backup --yes')).status).toBe(0)
  })

  test('a password or a key is in no log, no process list and no file in clear', async () => {
    const secret = 'Planted-5ecret/needle'
    const file = join(home, 'passwd')
    await writeFile(file, `${secret}\n`, {mode: 0o600})
    const seen: string[] = []
    let looking: Promise<unknown> = Promise.resolve()
    const watch = setInterval(() => {
      looking = looking.then(async () => seen.push(await processList()))
    }, 20)
    const results = [
      await ours(`user add planted --passwd-file ${file}`),
      await ours(`user passwd planted --passwd-file ${file}`),
      await ours(`user add planted --passwd-file ${file} --json`),
      await ours(`user passwd nobody --passwd-file ${file}`),
      await ours('apikey add planted --user planted --json'),
    ]
    clearInterval(watch)
    // What asks below whether the password is right has it among its arguments.
    await looking
    expect(results.map(({status}) => status)).toEqual([0, 0, 5, 3, 0])
    const {result} = await jsonOf(`query --call tryUserPasswd planted '${secret}'`)
    expect(result).toMatchObject({name: 'planted'})
    const key = JSON.parse(results[4]?.stdout ?? '').key as string
    const raw = Buffer.from(key, 'base64url')
    expect(raw).toHaveLength(32)
    const said = results.slice(0, 4).map(({stdout, stderr}) => stdout + stderr)
    expect(seen.some((list) => list.includes('user\0passwd\0planted'))).toBe(true)
    for (const text of [...said, ...seen, cell.log()]) {
      expect(text.includes(secret) || text.includes(key)).toBe(false)
    }
    const half = raw.subarray(16)
    const needles = [secret, key, half.toString('hex'), half.toString('base64')].map((text) => Buffer.from(text))
    for (const name of await readdir(cell.dir, {recursive: true, withFileTypes: true})) {
      if (!name.isFile()) continue
      const bytes = await readFile(join(name.parentPath, name.name))
      for (const needle of [...needles, half]) expect(bytes.includes(needle), name.name).toBe(false)
    }
    expect((await ours('user remove planted --yes')).status).toBe(0)
  })

  test('any method is called: values, streams, arguments by name, errors', async () => {
    const {result} = await jsonOf('query --call getCellInfo')
    expect(result.synapse.version).toEqual([2, 256, 0])
    expect(
      await jsonOf("query --call isUserAllowed --kwarg 'perm=[a, b]' --kwarg default=yes -- someone"),
    ).toMatchObject({
      result: false,
    })
    const stream = await ours('query --call getTasks --kwarg peers=false --json')
    expect(JSON.parse(stream.stdout.trimEnd().split('\n').at(-1) ?? '')).toHaveProperty('end.items')
    expect(await jsonOf('query --call getCellInf')).toMatchObject({
      status: 3,
      error: {code: 'REG_NOT_FOUND', hints: ['registry query --call getCellInfo', 'registry status URL']},
    })
    expect(await jsonOf('query --call addUser root')).toMatchObject({
      status: 5,
      error: {info: {errname: 'DupUserName'}},
    })
    expect(await jsonOf('query --call getUserDef')).toMatchObject({status: expect.any(Number), error: {}})
    expect(await ours('query --call getCellType --raw')).toMatchObject({stdout: expect.stringMatching(/^[a-z]+$/)})
    expect(await ours("query --call getCellType '[1'")).toMatchObject({status: 2, stdout: ''})
  })

  test('status tells what it is', async () => {
    const status = await jsonOf('status')
    expect(status).toMatchObject({
      status: 'ok',
      users: 1,
      cell: {active: true, mirror: null, iden: expect.stringMatching(/^[0-9a-f]{32}$/), synapseVersion: '2.256.0'},
      health: {status: 'nominal'},
      uptimeS: expect.any(Number),
    })
    expect((await ours('status')).stdout).toMatch(/\nrole +leader\n/)
  })
})

/** The command lines of all processes that can be seen. */
async function processList(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return lines.join('\n')
}
