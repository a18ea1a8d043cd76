// Secrets that are planted in everything a cell does, and a search for them in everything that it leaves behind.
import {spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {cleanEnv, LAUNCHER} from '../support/cli.ts'
import {ask, basic, connectTo, sessionOf} from '../support/https.ts'
import {RawClient} from '../support/raw-client.ts'
import {NETWORK, ServedCell} from '../support/served-cell.ts'
import {TestWebsocket} from '../support/websocket.ts'
import {RawLink} from '../wire/telepath/raw-link.ts'

/** What is searched, by where it was found. */
class Evidence {
  readonly #texts: (readonly [where: string, text: string])[] = []

  add(where: string, text: string | Buffer): void {
    this.#texts.push([where, typeof text === 'string' ? text : text.toString('latin1')])
  }

  /** Keeps what an operation ends with, value or error. */
  async of(where: string, work: Promise<unknown>): Promise<void> {
    const {status, ...outcome} = (await Promise.allSettled([work]))[0]
    this.add(where, JSON.stringify(outcome))
    const {reason} = outcome as {readonly reason?: unknown}
    if (status === 'rejected') this.add(where, `${reason} ${JSON.stringify((reason as {info?: unknown}).info ?? '')}`)
  }

  findings(secrets: Readonly<Record<string, string>>): string[] {
    return this.#texts.flatMap(([where, text]) =>
      Object.entries(secrets).flatMap(([name, secret]) =>
        FORMS.some((form) => text.includes(form(secret))) ? [`${name} in ${where}`] : [],
      ),
    )
  }
}

/** How a secret may be written. */
const FORMS: readonly ((secret: string) => string)[] = [
  (secret) => secret,
  (secret) => encodeURIComponent(secret),
  (secret) => Buffer.from(secret).toString('base64').replace(/=+$/, '').slice(0, -2),
  (secret) => Buffer.from(secret).toString('hex'),
]

const planted = (name: string) => `${name}+${randomBytes(12).toString('hex')}`

/** A line from the middle of the private key in a PEM text. */
function keyLine(pem: string): string {
  const lines = pem.split('\n')
  return lines[lines.findIndex((line) => line.includes('PRIVATE KEY')) + 2] ?? ''
}

test.each([
  ['plain', false],
  ['structured', true],
])('no secret is in logs (%s), errors, outputs, files or process lists', async (_, isStructured) => {
  const secrets: Record<string, string> = {}
  const plant = (name: string) => {
    const secret = planted(name)
    secrets[name] = secret
    return secret
  }
  const evidence = new Evidence()
  const conf = {
    'auth:passwd': plant('root-password'),
    'auth:passwd:policy': {complexity: {length: 6}, attempts: 100},
    'log:level': 'DEBUG',
    'log:structured': isStructured,
    inaugural: {users: [{name: 'boss', admin: true}]},
  }
  await using cell = await ServedCell.start({certificates: ['root', 'visi'], conf})
  const root = secrets['root-password'] ?? ''
  const {https} = await cell.listeners()
  const got = (where: string, path: string, asked: Parameters<typeof ask>[2] = {}) =>
    evidence.of(
      `HTTPS ${where}`,
      ask(https, path, asked).then(({text}) => text),
    )
  const cli = async (args: readonly string[], {input, env}: {input?: string; env?: Record<string, string>} = {}) => {
    const child = spawn(LAUNCHER, args, {env: cleanEnv({...env, SYN_CERT_DIR: cell.certs.paths[0]}), stdio: 'pipe'})
    child.stdin.on('error', () => undefined) // it may end before it reads
    child.stdin.end(input ?? '')
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text))
    await once(child, 'close')
    return said
  }
  const url = `cell://${cell.dir}`
  const file = join(cell.dir, 'tmp-secret')

  // Passwords by the command line.
  await writeFile(file, plant('password-by-file'))
  evidence.add('user add', await cli(['user', 'add', 'visi', '--passwd-file', file, '--url', url]))
  evidence.add(
    'user passwd',
    await cli(['user', 'passwd', 'visi', '--passwd-stdin', '--url', url, '--yes'], {input: plant('password-by-stdin')}),
  )
  await rm(file)
  for (const args of [
    ['user', 'show', 'visi'],
    ['user', 'list'],
    ['role', 'list'],
    ['apikey', 'list', '--user', 'visi'],
    ['status'],
  ]) {
    for (const json of [[], ['--json']]) evidence.add(args.join(' '), await cli([...args, '--url', url, ...json]))
  }
  evidence.add('config', await cli(['config', 'show', cell.dir]))
  evidence.add('config --json', await cli(['config', 'show', cell.dir, '--json']))
  // A URL with a password that leads nowhere, and one that is none.
  const inUrl = plant('password-in-url')
  for (const bad of [
    `tcp://visi:${inUrl}@127.0.0.1:1/`,
    `ssl://visi:${inUrl}@127.0.0.1:1/?hostname=h`,
    `tpc:/visi:${inUrl}@h`,
  ]) {
    for (const json of [[], ['--json']]) {
      evidence.add(`status ${bad}`, await cli(['status', bad, ...json]))
      evidence.add(
        `user list ${bad}`,
        await cli(['user', 'list', ...json], {env: {REGISTRY_URL: bad, REGISTRY_DEBUG: '1'}}),
      )
    }
  }
  // API keys, on purpose on stdout once, and nowhere else.
  const added = await cli(['apikey', 'add', 'k', '--user', 'visi', '--url', url, '--json'])
  secrets['api-key'] = /[\w-]{43}=/.exec(added)?.[0] ?? expect.fail(added)
  // PKCS#12
  evidence.add(
    'cert p12',
    await cli(['cert', 'p12', `visi@${NETWORK}`, '--passphrase-stdin'], {input: plant('passphrase')}),
  )
  for (const args of [
    ['cert', 'list'],
    ['cert', 'show', `visi@${NETWORK}`],
    ['cert', 'check'],
    ['cert', 'renew', '--now', '--kind', 'user'],
  ]) {
    evidence.add(args.join(' '), await cli(args))
  }

  await using local = await cell.local()
  const call = (method: string, args: readonly Value[], kwargs: Readonly<Record<string, Value>> = {}) =>
    local.call(method, {args, kwargs})
  const visi = (await local.call('getUserDefByName', {args: ['visi']})) as {readonly iden: string}
  const onepass = String(await call('genUserOnepass', [visi.iden]))
  secrets['one-time-password'] = onepass
  const [key] = (await call('addUserApiKey', ['k2'], {useriden: visi.iden})) as [string, Value]
  secrets['api-key-2'] = key
  // What goes wrong, with a secret in it.
  const wrong: readonly (readonly [string, readonly Value[], Record<string, Value>?])[] = [
    ['setUserPasswd', [visi.iden, plant('new-password')]],
    ['setUserPasswd', [visi.iden], {passwd: plant('new-by-name')}],
    ['setUserPasswd', [visi.iden], {password: plant('wrong-name')}],
    ['setUserPasswd', [visi.iden, 'a', plant('third-argument')]],
    ['setUserPasswd', ['nobody', plant('of-nobody')]],
    ['setUserPasswd', [visi.iden, [plant('in-a-list')]]],
    ['setUserPasswd', [visi.iden, new Map([[plant('in-a-map'), 1]])]],
    ['setUserPasswd', [visi.iden, Buffer.from(plant('as-bytes'))]],
    ['setUserPasswd', [visi.iden, `${plant('too-long')}${'x'.repeat(5000)}`]],
    ['setUserPasswd', [visi.iden, `${plant('with-newline')}\n\0`]],
    ['addUser', ['visi', plant('of-a-duplicate')]],
    ['addUser', ['eve', plant('of-eve'), 'eve@loop.test', 'no-iden']],
    ['addUser', ['eve'], {passwd: plant('of-eve-by-name'), email: 7}],
    ['tryUserPasswd', ['visi', plant('tried')]],
    ['tryUserPasswd', ['visi'], {passwd: plant('tried-by-name')}],
  ]
  for (const [method, args, kwargs] of wrong) await evidence.of(`${method} ${args.length}`, call(method, args, kwargs))

  // Logins over HTTPS, good and bad.
  const passwd = planted('login')
  secrets['login'] = passwd
  await call('setUserPasswd', [visi.iden, passwd])
  const login = await ask(https, '/api/v1/login', {body: {user: 'visi', passwd}})
  evidence.add('login', login.text)
  secrets['cookie'] = sessionOf(login)
  const cookie = {cookie: `sess=${secrets['cookie']}`}
  await got('users', '/api/v1/auth/users', {headers: cookie})
  await got('users by key', '/api/v1/auth/users', {headers: {'x-api-key': secrets['api-key']}})
  await got('users by one-time password', '/api/v1/auth/users', {headers: basic('visi', onepass)})
  await got('wrong password', '/api/v1/login', {body: {user: 'visi', passwd: plant('wrong')}})
  await got('not JSON', '/api/v1/login', {body: `{"user":"visi","passwd":"${plant('not-json')}"`})
  await got('a list', '/api/v1/login', {body: {user: 'visi', passwd: [plant('listed')]}})
  await got('another name', '/api/v1/login', {body: {user: 'visi', passwd: 'x', [plant('a-key')]: 1}})
  await got('Basic', '/api/v1/auth/users', {headers: basic('visi', plant('basic'))})
  await got('Basic without a colon', '/api/v1/auth/users', {
    headers: {authorization: `Basic ${Buffer.from(plant('no-colon')).toString('base64')}`},
  })
  await got('Bearer', '/api/v1/auth/users', {headers: {authorization: `Bearer ${plant('bearer')}`}})
  await got('a wrong key', '/api/v1/auth/users', {headers: {'x-api-key': plant('wrong-key')}})
  await got('a query', `/api/v1/auth/users?passwd=${plant('queried')}&archived=${plant('archived')}`, {
    headers: basic('root', root),
  })
  await got('a cookie', '/api/v1/auth/users', {headers: {cookie: `sess=${plant('wrong-cookie')}`}})
  await got('adduser', '/api/v1/auth/adduser', {
    headers: basic('root', root),
    body: {name: 'h', passwd: plant('added-by-https')},
  })
  await got('password', `/api/v1/auth/password/${visi.iden}`, {
    headers: basic('root', root),
    body: {passwd: plant('set-by-https')},
  })
  const issued = await ask(https, '/api/v1/auth/onepass/issue', {headers: basic('root', root), body: {user: visi.iden}})
  secrets['issued'] = (issued.json as {readonly result: string}).result
  const socket = await TestWebsocket.open(await connectTo(https, {}), '/api/v1/behold', basic('root', root))
  socket.sendText('{"type":"call:init"}')
  await socket.message(0)

  // A session by hand: its id is a secret too.
  using link = await RawLink.open(join(cell.dir, 'sock'))
  secrets['session'] = await link.greet('*')
  await link.call(secrets['session'], 'setUserPasswd', [visi.iden, plant('over-a-link')])
  evidence.add('behold', JSON.stringify(await socket.message(1)))
  await link.call(secrets['session'], `no${secrets['session']}`.slice(0, 2), [plant('unknown-method')])
  link.send(['t2:init', {todo: ['setUserPasswd', [plant('malformed')]], name: null, sess: secrets['session']}])
  evidence.add('malformed', JSON.stringify(await link.next()))
  using client = new RawClient(cell.server.ports.req)
  evidence.add('zeromq', JSON.stringify(await client.ask({action: 'info', passwd: plant('to-zeromq')})))
  // Reloads and their errors.
  await writeFile(join(cell.dir, 'cell.mods.yaml'), `auth:passwd: [${plant('in-a-broken-option')}]\n`)
  await evidence.of('reload', call('reload', []))
  await writeFile(join(cell.dir, 'cell.mods.yaml'), `auth:passwd: "${plant('unfinished')}\n`)
  await evidence.of('reload of what is no YAML', call('reload', []))
  evidence.add('config validate', await cli(['config', 'validate', cell.dir]))
  await rm(join(cell.dir, 'cell.mods.yaml'))

  for (const kind of ['host', 'user', 'ca'] as const) {
    for (const {path} of await cell.certs.list(kind, 'key'))
      secrets[`key ${path}`] = keyLine(await readFile(path, 'utf8'))
  }
  secrets['key of HTTPS'] = keyLine(await readFile(join(cell.dir, 'sslkey.pem'), 'utf8'))

  // Everything that is left.
  evidence.add('logs()', JSON.stringify(await call('logs', [1000])))
  for (const method of ['getDmonSessions', 'getUserDefs', 'getRoleDefs', 'getCellInfo', 'getSystemInfo', 'ps']) {
    evidence.add(
      method,
      JSON.stringify(await call(method, []), (_key, value) => (value instanceof Map ? [...value] : value)),
    )
  }
  for (const name of ['cmdline', 'environ']) evidence.add(name, await readFile(`/proc/${cell.server.pid}/${name}`))
  const left = async () => {
    for (const name of await readdir(cell.dir, {recursive: true, withFileTypes: true})) {
      const path = join(name.parentPath, name.name)
      // Where the operator put secrets, and where keys belong.
      if (!name.isFile() || /cell\.yaml$|\.key(\.bak)?$|sslkey\.pem$/.test(path)) continue
      evidence.add(path, await readFile(path))
    }
  }
  await left()
  await cell.server.stop()
  await left()
  evidence.add('the output of the server', cell.server.output())
  expect(Object.values(secrets).filter((secret) => secret.length < 20)).toEqual([])
  expect(evidence.findings(secrets)).toEqual([])
  // The search can find: what may be seen is found.
  expect(evidence.findings({iden: visi.iden}).length).toBeGreaterThan(10)
})
