import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {DatabaseSync} from 'node:sqlite'
import {text} from 'node:stream/consumers'
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest'
import type {RegistryClient} from '../../src/client/registry-client.ts'
import {cleanEnv, LAUNCHER, runCli} from '../support/cli.ts'
import {PatientClient} from '../support/patient-client.ts'
import {enveloped, ScriptedPeer} from '../support/scripted-peer.ts'
import {startServer, type TestServer} from '../support/server.ts'

let server: TestServer
let client: RegistryClient
beforeAll(async () => {
  server = await startServer({conf: {'lease:grace': '60s'}})
  client = new PatientClient(`zmq://127.0.0.1:${server.ports.req}`)
})
afterAll(async () => {
  await client.close()
  await server[Symbol.asyncDispose]()
})
afterEach(async () => {
  for (const {id} of await client.list()) await client.deregister(id)
})

/** Runs `registry service …` against the server, or against the URL given. */
const service = (args: readonly string[], url = client.url) => {
  const end = args.indexOf('--')
  const own = end < 0 ? args.length : end
  return runCli(['service', ...args.slice(0, own), '--url', url, ...args.slice(own)])
}
const jsonOf = async (args: readonly string[], url?: string) => {
  const {status, stdout} = await service([...args, '--json'], url)
  return {status, json: JSON.parse(stdout)}
}
const linesOf = (stdout: string) => stdout.trimEnd().split('\n')

const CAM = {name: 'cam', host: '10.0.0.7', port: 5000, type: 'camera'}

describe('register', () => {
  test('prints the id, and nothing else, on stdout', async () => {
    const {status, stdout, stderr} = await service(['register', '--name', 'cam', '--type', 'camera', '--port', '5000'])
    expect({status, stderr}).toEqual({status: 0, stderr: 'registered cam at 127.0.0.1:5000 for 30s, with the id\n'})
    expect(await client.get(stdout.trim())).toMatchObject({...CAM, host: '127.0.0.1', ttlS: 30})
  })

  test('takes everything that a service can say of itself', async () => {
    const {json} = await jsonOf([
      ...[
        'register',
        '--name',
        'cam',
        '--type',
        'camera',
        '--port',
        '5000',
        '--host',
        '::1',
        '--id',
        'cam-1',
        '--ttl',
        '1h',
      ],
      ...['--tag', 'night', '--tag', 'day', '--metadata', 'row=2', '--metadata', 'note=a=b'],
      ...['--metadata-json', '{"serial": 1152921504606846977, "row": 1, "list": [1.50]}'],
    ])
    expect(json).toEqual({id: 'cam-1'})
    const entry = await client.get('cam-1')
    expect(entry).toMatchObject({host: '::1', ttlS: 3600, tags: ['night', 'day', 'camera']})
    expect(entry.metadata).toMatchObject({row: '2', note: 'a=b', list: [1.5]})
    expect(entry.raw).toContain('"serial":1152921504606846977')
    expect(entry.raw).toContain('1.50')
  })

  test('says that a type is taken, by whom, and ends with 5', async () => {
    await client.register({...CAM, id: 'first'})
    const {status, json} = await jsonOf(['register', '--name', 'x', '--type', 'camera', '--port', '1', '--singleton'])
    expect({status, json}).toMatchObject({
      status: 5,
      json: {error: {code: 'REG_CONFLICT', info: {existing_service_id: 'first'}}},
    })
  })

  test.each([
    [['register', '--name', 'x'], /port/],
    [['register', '--name', 'x', '--port', '70000'], /70000/],
    [['register', '--name', 'x', '--port', '1', '--metadata', 'novalue'], /expected key=value/],
    [['register', '--name', 'x', '--port', '1', '--metadata-json', '[1]'], /must be a JSON object/],
    [['register', '--name', 'x', '--port', '1', '--metadata-json', '{'], /is not JSON/],
    [['register', '--name', 'x', '--port', '1', '--ttl', '0'], /ttl/i],
    [['register', '--name', 'x', '--port', '1', '--singleton', '--duplicates'], /singleton/],
    [['register', '--name', 'x\u0007', '--port', '1'], /name must be/],
  ])('refuses %j with 2', async (args, message) => {
    const {status, stdout, stderr} = await service(args)
    expect({status, stdout}).toEqual({status: 2, stdout: ''})
    expect(stderr).toMatch(message)
    expect(await client.list()).toEqual([])
  })
})

describe('list', () => {
  const fill = async () => {
    await client.register({...CAM, id: 'b', name: 'beta', tags: ['night'], metadata: {building: 4}})
    await client.register({...CAM, id: 'a', name: 'alpha', port: 6000, host: '::1'})
    await client.register({...CAM, id: 'c', name: 'gamma', type: 'motor', metadata: {building: 5, pos: {row: 1}}})
  }
  const ids = async (...args: string[]) => {
    const {status, json} = await jsonOf(['list', ...args])
    expect(status).toBe(0)
    return json.services.map(({id}: {id: string}) => id)
  }

  test('lays out a table', async () => {
    await fill()
    const {status, stdout, stderr} = await service(['list'])
    expect({status, stderr}).toEqual({status: 0, stderr: ''})
    const rows = linesOf(stdout).map((line) => line.replace(/\d+s ago/, 'now').split(/ {2,}/))
    expect(rows).toEqual([
      ['NAME', 'TYPE', 'ADDRESS', 'HEALTH', 'RENEWED', 'ID'],
      ['beta', 'camera', '10.0.0.7:5000', 'passing', 'now', 'b'],
      ['alpha', 'camera', '[::1]:6000', 'passing', 'now', 'a'],
      ['gamma', 'motor', '10.0.0.7:5000', 'passing', 'now', 'c'],
    ])
  })

  test('filters, orders and pages', async () => {
    await fill()
    expect(await ids()).toEqual(['b', 'a', 'c'])
    expect(await ids('--type', 'camera')).toEqual(['b', 'a'])
    expect(await ids('--type', 'camera', '--tag', 'night')).toEqual(['b'])
    expect(await ids('--name', 'gamma')).toEqual(['c'])
    expect(await ids('--metadata', 'building')).toEqual(['b', 'c'])
    expect(await ids('--metadata', 'building=5', '--metadata', 'pos.row=1')).toEqual(['c'])
    expect(await ids('--health', 'critical')).toEqual([])
    expect(await ids('--sort', 'name')).toEqual(['a', 'b', 'c'])
    expect(await ids('--sort=-id')).toEqual(['c', 'b', 'a'])
    expect(await ids('--sort=-port', '--limit', '2')).toEqual(['a', 'b'])
    expect(await ids('--limit', '2', '--offset', '2')).toEqual(['c'])
    expect((await jsonOf(['list', '--limit', '1'])).json.total).toBe(3)
    expect((await service(['list', '--limit', '1', '--offset', '1'])).stderr).toBe('1 of 3 services, from 2\n')
  })

  test('of nothing is empty on stdout and not an error', async () => {
    expect(await service(['list'])).toEqual({status: 0, stdout: '', stderr: 'no service matches\n'})
    expect((await jsonOf(['list'])).json).toEqual({services: [], total: 0})
  })

  test('shows what a service calls itself without obeying it', async () => {
    using peer = await ScriptedPeer.start(
      enveloped(() => ({success: true, services: [{id: 'x', name: '\u001b[2Jevil\nname', tags: [], metadata: {}}]})),
    )
    const {stdout} = await service(['list'], peer.url)
    expect(stdout).toContain('\\x1b[2Jevil\\nname')
  })
})

describe('show', () => {
  test('prints the object as the registry holds it', async () => {
    await jsonOf(['register', '--name', 'cam', '--id', 'x', '--port', '1', '--metadata-json', '{"n":-1e400,"f":1.50}'])
    const {stdout} = await service(['show', 'x', '--json'])
    expect(stdout).toContain('"n": -1e400,\n')
    expect(stdout).toContain('"f": 1.50\n')
    expect(JSON.parse(stdout)).toMatchObject({id: 'x', name: 'cam', port: 1, ttl: 30, health: 'passing', tags: []})
  })

  test('lays out pairs for people', async () => {
    await client.register({...CAM, id: 'x', tags: ['night'], metadata: {row: 1}, extra: {protocol: 'tcp'}})
    const {status, stdout} = await service(['show', 'x'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^id {8}x\nname {6}cam\ntype {6}camera\naddress {3}10.0.0.7:5000\nhealth {4}passing\n/)
    expect(stdout).toMatch(/^tags {6}night, camera$/m)
    expect(stdout).toMatch(/^protocol {2}tcp$/m)
  })

  test('and all that name one service take its name, if only one has it', async () => {
    await client.register({...CAM, id: 'one'})
    expect((await jsonOf(['show', 'cam'])).json.id).toBe('one')
    expect(await service(['renew', 'cam'])).toMatchObject({status: 0, stdout: 'renewed one\n'})
    await client.register({...CAM, id: 'two'})
    for (const verb of ['show', 'renew', 'deregister']) {
      const {status, json} = await jsonOf([verb, 'cam'])
      expect({status, json}).toMatchObject({
        status: 5,
        json: {error: {code: 'REG_CONFLICT', info: {ids: ['one', 'two']}, hints: ['registry service list --name cam']}},
      })
    }
    expect(await service(['deregister', 'two'])).toMatchObject({status: 0, stdout: 'deregistered two\n'})
    expect((await jsonOf(['deregister', 'cam'])).json).toEqual({id: 'one'})
    expect(await client.list()).toEqual([])
  })

  test.each(['show', 'renew', 'deregister'])('%s ends with 3 for what is not there', async (verb) => {
    const {status, stdout, stderr} = await service([verb, 'nope'])
    expect({status, stdout}).toEqual({status: 3, stdout: ''})
    expect(stderr).toContain('no service with the id or the name "nope"')
  })
})

describe('discover', () => {
  test('prints where one listens', async () => {
    await client.register({...CAM, id: 'x', tags: ['night']})
    expect(await service(['discover', 'camera'])).toEqual({status: 0, stdout: '10.0.0.7:5000\n', stderr: ''})
    expect((await jsonOf(['discover', 'camera', '--tag', 'night'])).json).toMatchObject({id: 'x', port: 5000})
  })

  test('ends with 3 when there is none', async () => {
    await client.register({...CAM, id: 'x'})
    expect((await service(['discover', 'motor'])).status).toBe(3)
    expect((await service(['discover', 'camera', '--tag', 'night'])).status).toBe(3)
  })
})

describe('a registry that does not answer', () => {
  test('ends a command with 7 when it is silent', async () => {
    using peer = await ScriptedPeer.start(() => undefined)
    // Unreachable, on a busy machine, as long as there was no time to connect.
    await expect
      .poll(() => jsonOf(['list', '--timeout', '300ms'], peer.url))
      .toMatchObject({status: 7, json: {error: {code: 'REG_TIMED_OUT'}}})
  })

  test('ends a command with 1 when its answer is none', async () => {
    using peer = await ScriptedPeer.start(({answer}) => answer(['RESPONSE', 'nonsense']))
    expect((await service(['list'], peer.url)).status).toBe(1)
  })
})

describe('watch', () => {
  function watchOf(...args: readonly string[]) {
    const child = spawn(LAUNCHER, ['service', 'watch', '--url', client.url, ...args], {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    return {child, lines: createInterface({input: child.stdout})[Symbol.asyncIterator]()}
  }

  test('streams what is there and what changes, and ends as it was told', async () => {
    await client.register({...CAM, id: 'old'})
    const {child, lines} = watchOf('--json', '--for', '10m')
    const next = async () => JSON.parse((await lines.next()).value ?? 'null')
    expect(await next()).toMatchObject({event: 'present', at: expect.stringMatching(/Z$/), service: {id: 'old'}})
    expect(await next()).toMatchObject({event: 'synced', services: 1})
    await client.register({...CAM, id: 'new'})
    expect(await next()).toMatchObject({event: 'registered', service: {id: 'new', type: 'camera', health: 'passing'}})
    await client.register({...CAM, id: 'new', port: 1})
    expect(await next()).toMatchObject({event: 'changed', service: {port: 1}, before: {port: 5000}})
    await client.deregister('old')
    // On a busy machine the event may come before the subscription.
    expect(await next()).toMatchObject({event: expect.stringMatching(/^(deregistered|gone)$/), service: {id: 'old'}})
    child.kill('SIGTERM')
    expect(await next()).toMatchObject({error: {code: 'REG_CANCELLED'}})
    expect((await lines.next()).done).toBe(true)
  })

  test('ends by itself after the given time, with the number of events', async () => {
    await client.register({...CAM, id: 'x'})
    const {status, stdout} = await service(['watch', '--for', '100ms', '--json'])
    expect(status).toBe(0)
    expect(
      linesOf(stdout)
        .map((line) => JSON.parse(line))
        .at(-1),
    ).toEqual({end: {events: expect.any(Number)}})
  })

  test('writes a line for people', async () => {
    await client.register({...CAM, id: 'x'})
    const {child, lines} = watchOf()
    const first = [(await lines.next()).value, (await lines.next()).value]
    child.kill('SIGTERM')
    await once(child, 'close')
    expect(first).toEqual([
      expect.stringMatching(
        /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+ {2}present {7}cam {2}camera {2}10\.0\.0\.7:5000 {2}passing {2}x$/,
      ),
      expect.stringMatching(/ synced {8}1 service$/),
    ])
  })

  test('of nothing fails like every other command', async () => {
    using peer = await ScriptedPeer.start(() => undefined)
    await expect
      .poll(() => jsonOf(['watch', '--timeout', '300ms'], peer.url))
      .toMatchObject({status: 7, json: {error: {code: 'REG_TIMED_OUT'}}})
  })
})

describe('wait', () => {
  test('ends with 0 as soon as enough are there', async () => {
    await client.register({...CAM, id: 'a'})
    const waiting = jsonOf(['wait', '--type', 'camera', '--count', '2', '--timeout', '10m'])
    await client.register({...CAM, id: 'b'})
    const {status, json} = await waiting
    expect(status).toBe(0)
    expect(json).toMatchObject({ok: true, services: [{id: 'a'}, {id: 'b'}]})
  })

  test('ends with 8, and what is there, when the time is over', async () => {
    await client.register({...CAM, id: 'a'})
    // On a busy machine that may be before there is an answer.
    await expect
      .poll(() => jsonOf(['wait', '--type', 'camera', '--count', '2', '--timeout', '300ms']))
      .toMatchObject({status: 8, json: {ok: false, services: [{id: 'a'}]}})
    await expect
      .poll(() => service(['wait', '--name', 'nobody', '--timeout', '300ms']))
      .toEqual({status: 8, stdout: '', stderr: 'only 0 of 1 after 300ms\n'})
  })

  test('waits for the registry as well, and ends with 6 when none comes', async () => {
    await using other = await startServer()
    const url = `zmq://127.0.0.1:${other.ports.req}`
    await other.stop()
    const waiting = service(['wait', '--type', 'camera', '--timeout', '10m'], url)
    await other.start()
    await using there = new PatientClient(url)
    await there.register(CAM)
    expect((await waiting).status).toBe(0)
    await other.stop()
    expect((await service(['wait', '--type', 'camera', '--timeout', '500ms'], url)).status).toBe(6)
  })
})

describe('run', () => {
  // In memory: taking out at the end is tried for a moment only, which a busy disk may not keep.
  let quick: TestServer
  let client: RegistryClient
  beforeAll(async () => {
    quick = await startServer({conf: {backend: 'memory'}})
    client = new PatientClient(`zmq://127.0.0.1:${quick.ports.req}`)
  })
  afterAll(async () => {
    await client.close()
    await quick[Symbol.asyncDispose]()
  })
  // Each in a process group of its own: when a test fails, what it left running goes with it.
  const groups: number[] = []
  afterEach(() => {
    for (const pid of groups.splice(0)) {
      try {
        process.kill(-pid, 'SIGKILL')
      } catch {
        // It ended, as it should.
      }
    }
  })

  const SHELL_LOOP = 'echo ready; while :; do sleep 0.05; done'

  /** Starts `service run` and gives its lines; the id of the program's entry is the first. */
  function run(args: readonly string[], script: string, url = client.url) {
    const own = ['service', 'run', '--url', url, ...args, '--', 'sh', '-c', script]
    const child = spawn(LAUNCHER, own, {env: cleanEnv(), stdio: ['ignore', 'pipe', 'pipe'], detached: true})
    if (child.pid !== undefined) groups.push(child.pid)
    const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]()
    const errors = createInterface({input: child.stderr})[Symbol.asyncIterator]()
    return {
      child,
      line: async () => (await lines.next()).value as string | undefined,
      errorLine: async () => (await errors.next()).value as string | undefined,
      /** Reads on to an error line; on a busy machine the registry may be away in between. */
      errorLineThat: async (is: string) => {
        for (let line: string | undefined = ''; line !== is; ) {
          line = (await errors.next()).value as string | undefined
          if (line === undefined) throw new Error(`it did not say: ${is}`)
        }
      },
      exit: once(child, 'exit').then(([status]) => status as number | null),
    }
  }

  test('gives the program its id, our streams and arguments, and ends as it ends', async () => {
    const words = [
      ...['run', '--name', 'cam', '--port', '5000', '--id', 'cam-1', '--require'],
      ...['--', 'sh', '-c', 'echo "$REGISTRY_SERVICE_ID $0 $1"; exit 41', '--url', 'two words'],
    ]
    const {status, stdout, stderr} = await service(words, client.url)
    expect({status, stdout, stderr}).toEqual({
      status: 41,
      stdout: 'cam-1 --url two words\n',
      stderr: 'registered: cam-1\n',
    })
    expect(await client.list()).toEqual([])
  })

  test('keeps it registered while it runs, at our address, and renewed', async () => {
    const {line, errorLineThat, child, exit} = run(
      ['--name', 'cam', '--type', 'camera', '--port', '5000', '--ttl', '3', '--id', 'cam-1'],
      SHELL_LOOP,
    )
    expect(await line()).toBe('ready')
    await errorLineThat('registered: cam-1')
    expect(await client.get('cam-1')).toMatchObject({...CAM, host: '127.0.0.1', ttlS: 3})
    await client.deregister('cam-1')
    await errorLineThat('warning: the registry does not have the entry any more')
    await errorLineThat('registered again: cam-1')
    child.kill('SIGTERM')
    expect(await exit).toBe(143)
    expect(await client.list()).toEqual([])
  })

  test.each(['SIGTERM', 'SIGINT'] as const)('at %s takes it out first, then passes the signal on', async (signal) => {
    // The program asks the registry about itself when the signal comes: it must not be known any more.
    const asks = `"${LAUNCHER}" service show "$REGISTRY_SERVICE_ID" --url ${client.url} >/dev/null 2>&1; echo "known: $?"; exit 9`
    const {line, child, exit} = run(
      ['--name', 'cam', '--port', '1', '--require'],
      `trap '${asks}' TERM INT; ${SHELL_LOOP}`,
    )
    expect(await line()).toBe('ready')
    child.kill(signal)
    expect(await line()).toBe('known: 3')
    expect(await exit).toBe(9)
  })

  test('passes other signals on, and the second of those that end', async () => {
    const script = `trap 'echo hup' HUP; trap 'echo usr2' USR2; trap 'n=$((n+1)); echo "term $n"; [ $n = 2 ] && exit 3' TERM; ${SHELL_LOOP}`
    const {line, child, exit} = run(['--name', 'cam', '--port', '1', '--require'], script)
    expect(await line()).toBe('ready')
    child.kill('SIGHUP')
    expect(await line()).toBe('hup')
    child.kill('SIGUSR2')
    expect(await line()).toBe('usr2')
    expect(await client.list()).toHaveLength(1)
    child.kill('SIGTERM')
    expect(await line()).toBe('term 1')
    expect(await client.list()).toHaveLength(0)
    child.kill('SIGTERM')
    expect(await line()).toBe('term 2')
    expect(await exit).toBe(3)
  })

  test('starts the program when the registry is away, and registers it when it is back', async () => {
    await using other = await startServer({conf: {backend: 'memory'}})
    const url = `zmq://127.0.0.1:${other.ports.req}`
    await other.stop()
    const {line, errorLine, child, exit} = run(['--name', 'cam', '--port', '1', '--id', 'x'], SHELL_LOOP, url)
    expect(await line()).toBe('ready')
    expect(await errorLine()).toMatch(/^warning: the registry is away, trying again: /)
    await other.start()
    expect(await errorLine()).toBe('registered: x')
    await using there = new PatientClient(url)
    expect(await there.list()).toMatchObject([{id: 'x'}])
    child.kill('SIGTERM')
    expect(await exit).toBe(143)
    expect(await there.list()).toEqual([])
  })

  test('does not hold the program up when the registry is away at the end, and says once what follows', async () => {
    await using other = await startServer({conf: {backend: 'memory'}})
    const url = `zmq://127.0.0.1:${other.ports.req}`
    const {line, errorLine, child, exit} = run(
      ['--name', 'cam', '--port', '1', '--id', 'x', '--require'],
      SHELL_LOOP,
      url,
    )
    expect(await line()).toBe('ready')
    expect(await errorLine()).toBe('registered: x')
    await other.stop()
    child.kill('SIGTERM')
    expect(await errorLine()).toMatch(/^warning: not taken out, the lease will end by itself: /)
    expect(await errorLine()).toBeUndefined()
    expect(await exit).toBe(143)
  })

  test('with --require does not start it before, and not at all when it is cancelled', async () => {
    await using other = await startServer({conf: {backend: 'memory'}})
    const url = `zmq://127.0.0.1:${other.ports.req}`
    await other.stop()
    const {errorLine, child, exit} = run(['--name', 'cam', '--port', '1', '--require'], 'echo started', url)
    const output = text(child.stdout)
    expect(await errorLine()).toMatch(/^warning: the registry is away/)
    child.kill('SIGINT')
    expect(await exit).toBe(130)
    expect(await output).toBe('')
  })

  test('with --require ends with the reason when the registry will never take it', async () => {
    const {status, stdout, stderr} = await service([
      'run',
      '--name',
      'x\u0007',
      '--port',
      '1',
      '--require',
      '--',
      'echo',
      'no',
    ])
    expect({status, stdout}).toEqual({status: 2, stdout: ''})
    expect(stderr).toContain('(REG_BAD_REQUEST)')
  })

  test.each([
    [['--', 'no-such-program-anywhere'], 2, /cannot start no-such-program-anywhere: there is no such program/],
    [['--', '/etc/passwd'], 2, /cannot start \/etc\/passwd: it may not be executed/],
    [[], 2, /the program is missing/],
    [['--', 'sh', '-c', 'kill -KILL $$'], 137, /registered: x/],
  ])('%j ends with %i', async (program, status, message) => {
    const words = ['run', '--name', 'cam', '--id', 'x', '--port', '1', '--require', ...program]
    const ended = await service(words, client.url)
    expect(ended.status).toBe(status)
    expect(ended.stderr).toMatch(message)
    expect(await client.list()).toEqual([])
  })
})

describe('maintenance', () => {
  const maintenance = (...words: readonly string[]) =>
    runCli(['service', 'maintenance', ...words, '--url', `cell://${server.dir}`])

  test('takes a service from discovery, through restarts of the registry, until it ends', async () => {
    await client.register({...CAM, id: 'cam-1'}, {ttlS: 60})
    const on = await maintenance('on', 'cam', '--reason', 'new lens')
    expect(on).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^service cam \(cam-1\)\nmaintenance {2}off -> new/),
    })
    await server.restart()
    await expect(client.discover('camera')).rejects.toMatchObject({code: 'REG_NOT_FOUND'})
    expect(await client.get('cam-1')).toMatchObject({
      health: 'passing',
      maintenance: {reason: 'new lens', by: 'unix/root'},
    })
    const shown = await service(['list'])
    expect(shown.stdout).toContain('passing, maintenance')
    await client.register({...CAM, id: 'cam-1', port: 5001})
    expect(await client.get('cam-1')).toMatchObject({port: 5001, maintenance: {reason: 'new lens'}})
    expect(await maintenance('off', 'cam-1')).toMatchObject({status: 0})
    expect(await client.discover('camera')).toMatchObject({id: 'cam-1', maintenance: undefined})
  })

  test('needs a reason, a service, and the cell', async () => {
    expect(await maintenance('on', 'cam')).toMatchObject({status: 2})
    expect(await maintenance('off', 'cam')).toMatchObject({status: 3})
    const zmq = await runCli(['service', 'maintenance', 'off', 'cam', '--url', client.url])
    expect(zmq).toMatchObject({status: 2, stderr: expect.stringContaining('is a ZeroMQ port')})
  })
})

describe('history', () => {
  const history = (...words: readonly string[]) =>
    runCli(['service', 'history', ...words, '--url', `cell://${server.dir}`])

  test('says who did what to a service, through restarts of the registry', async () => {
    await client.register({...CAM, id: 'told'}, {ttlS: 60})
    await runCli(['service', 'maintenance', 'on', 'told', '--reason', 'new lens', '--url', `cell://${server.dir}`])
    await server.restart()
    await client.deregister('told')
    const {status, stdout} = await history('told', '--json')
    expect(status).toBe(0)
    const events = linesOf(stdout).map((line) => JSON.parse(line))
    const zmq = {via: 'zeromq', who: null, from: expect.stringMatching(/./)}
    expect(events).toMatchObject([
      {event: 'registered', name: 'cam', by: zmq, facts: {type: 'camera', host: '10.0.0.7', port: 5000}},
      {event: 'maintenance on', name: 'cam', by: {via: 'unix', who: 'root', from: null}, facts: {reason: 'new lens'}},
      {event: 'deregistered', name: 'cam', by: zmq},
      {end: {events: 3}},
    ])
    const last = await history('told', '--limit', '1')
    expect(last.stdout).toMatch(/^\d{4}-.* {2}#\d+ {2}zeromq: deregistered {2}cam \(told\) {2}by ZeroMQ connection /)
    const since = await history('told', '--since', String(events[1].offset), '--json')
    expect(linesOf(since.stdout).at(-1)).toBe('{"end":{"events":2}}')
  })

  test('needs an offset or a time, and the cell', async () => {
    expect(await history('--since', 'yesterday')).toMatchObject({status: 2})
    expect(await history('--since', '2100-01-01')).toMatchObject({status: 0, stdout: ''})
    expect(await runCli(['service', 'history', '--url', client.url])).toMatchObject({status: 2})
    const nobody = await history('newp')
    expect(nobody).toMatchObject({status: 0, stdout: '', stderr: 'the change log tells nothing of that\n'})
  })
})

describe('status --verify', () => {
  test('checks the change log and the services against each other, and names the entry that is damaged', async () => {
    const cell = `cell://${server.dir}`
    await client.register({...CAM, id: 'kept', metadata: {a: [1.0, 'x']}}, {ttlS: 60})
    await runCli(['service', 'maintenance', 'on', 'kept', '--reason', 'new lens', '--url', cell])
    await client.register({...CAM, id: 'kept', port: 5001}, {ttlS: 60})
    await server.restart()
    const verify = async () => {
      const {status, stdout} = await runCli(['status', cell, '--verify', '--json'])
      return {status, ...(JSON.parse(stdout) as {readonly log: {readonly next: number}})}
    }
    const whole = await verify()
    expect(whole).toMatchObject({
      status: 'ok',
      log: {first: 0, damage: null, services: 1, differing: [], differingRecords: []},
    })
    const {stdout} = await runCli(['status', cell, '--verify'])
    expect(stdout).toMatch(
      /^change log .*entries 0 to \d+ are whole, and leave the 1 services and the \d+ records that are served$/m,
    )

    const database = new DatabaseSync(join(server.dir, 'registry.db'))
    const actorOf = (actor: string) => database.prepare('UPDATE log_1 SET actor = ? WHERE offset = 1').run(actor)
    const actor = String(database.prepare('SELECT actor FROM log_1 WHERE offset = 1').get()?.['actor'])
    actorOf('mallory')
    const damaged = await runCli(['status', cell, '--verify', '--json'])
    expect(damaged.status).toBe(8)
    expect(JSON.parse(damaged.stdout)).toMatchObject({
      status: 'failed',
      log: {next: whole.log.next, damage: {offset: 1}, services: null},
    })
    const history = await runCli(['service', 'history', '--url', cell])
    expect(history).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringContaining('the hash of entry 1 is not'),
    })
    actorOf(actor)
    database.close()
    expect(await verify()).toMatchObject({status: 'ok'})
  })
})

describe('status', () => {
  test('tells about this registry', async () => {
    await client.register(CAM)
    const {req, pub, hb} = server.ports
    const {status, stdout} = await runCli(['status', client.url, '--json'])
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      url: client.url,
      status: 'ok',
      software: 'registry',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      pid: server.pid,
      startedAt: expect.stringMatching(/Z$/),
      uptimeS: expect.any(Number),
      ports: {req, pub, hb, rep: null},
      uniqueTypes: false,
      discoverStrategy: 'random',
      leaseGraceS: 60,
      store: {kind: 'sqlite'},
      counts: {services: 1, critical: 0, maintenance: 0, eventsDropped: 0, unanswerable: expect.any(Number)},
    })
    const plain = await runCli(['status', '--url', client.url])
    expect(plain.stdout).toMatch(/^status {10}ok$/m)
    expect(plain.stdout).toMatch(/^services {8}1, 0 of them critical$/m)
  })

  const degraded = enveloped(() => ({
    ...{success: true, status: 'degraded', req_port: 1, pub_port: 2},
    registry: {store: {kind: 'sqlite', problem: 'the disk is full', problem_since: 1_700_000_000}},
  }))

  test('says what is wrong with one that cannot store, and ends with 8 if that is asked', async () => {
    using peer = await ScriptedPeer.start(degraded)
    const plain = await runCli(['status', peer.url])
    expect(plain.status).toBe(0)
    expect(plain.stdout).toMatch(/^status {10}degraded\nproblem {9}the disk is full\nsince {11}2023-11-14 /m)
    const verified = await runCli(['status', peer.url, '--verify', '--json'])
    expect(verified.status).toBe(8)
    expect(JSON.parse(verified.stdout)).toMatchObject({
      status: 'degraded',
      store: {problem: 'the disk is full', problemSince: '2023-11-14T22:13:20.000Z'},
    })
    expect((await runCli(['status', client.url, '--verify'])).status).toBe(0)
  })

  test('tells less of a Python registry', async () => {
    const services = [{id: 'a', health: 'critical'}, {id: 'b'}]
    using peer = await ScriptedPeer.start(
      enveloped(() => ({success: true, status: 'ok', req_port: 1, pub_port: 2, services})),
    )
    const {stdout} = await runCli(['status', peer.url, '--json'])
    expect(JSON.parse(stdout)).toEqual({
      ...{url: peer.url, status: 'ok', software: 'cgse'},
      ports: {req: 1, pub: 2, hb: null, rep: null},
      counts: {services: 2, critical: 1},
    })
  })

  test('goes on with --watch, also while the registry is away', async () => {
    await using other = await startServer()
    const url = `zmq://127.0.0.1:${other.ports.req}`
    const child = spawn(LAUNCHER, ['status', url, '--watch', '--interval', '50ms', '--timeout', '200ms', '--json'], {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const wanted = ['ok', 'away', 'ok']
    for await (const line of createInterface({input: child.stdout})) {
      const {status, error} = JSON.parse(line)
      if (wanted.length === 0 || status !== wanted[0]) continue
      if (status === 'away' && error.code === 'REG_TIMED_OUT') continue // still there, on a busy machine
      wanted.shift()
      if (wanted.length === 2) await other.stop()
      if (wanted.length === 1) {
        expect(error).toMatchObject({code: 'REG_UNREACHABLE'})
        await other.start()
      }
      if (wanted.length === 0) child.kill('SIGTERM')
    }
    expect(wanted).toEqual([])
    if (child.exitCode === null) await once(child, 'exit')
    expect(child.exitCode).toBe(130)
  })

  test('takes one registry, not two', async () => {
    expect((await runCli(['status', client.url, '--url', 'zmq://127.0.0.1:1'])).status).toBe(2)
  })
})
