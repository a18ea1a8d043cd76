import {describe, expect, test} from 'vitest'
import {chooseAny, chooseCell, chooseRegistry, type RunningServer} from '../../src/cli/choose-registry.ts'
import {readEnvironment} from '../../src/config/environment.ts'

const running = (bind: string, req: number | null): RunningServer => ({zeromq: {bind, req}})

/** Chooses with servers running on some directories. */
function choose(
  wish: {readonly url?: string; readonly argument?: string; readonly dir?: string},
  {env = {}, servers = {}}: {env?: Record<string, string>; servers?: Record<string, RunningServer>} = {},
) {
  const environment = readEnvironment({HOME: '/home/me', ...env})
  return chooseRegistry({...wish, environment, readRunFile: async (dir) => servers[dir]})
}

describe('the registry that is talked to', () => {
  test('is that of --url, whatever else is there', async () => {
    const servers = {'/data': running('127.0.0.1', 1)}
    const choice = await choose({url: 'zmq://a:1', dir: '/data'}, {env: {REGISTRY_URL: 'zmq://b:2'}, servers})
    expect(choice).toEqual({url: 'zmq://a:1', because: 'from --url'})
  })

  test('is the argument of a command that takes one', async () => {
    expect(await choose({argument: 'zmq://a:1'}, {env: {REGISTRY_URL: 'zmq://b:2'}})).toMatchObject({url: 'zmq://a:1'})
    expect(await choose({argument: 'zmq://a:1', url: 'zmq://a:1'})).toMatchObject({url: 'zmq://a:1'})
  })

  test('must be one: two different ones are refused', async () => {
    await expect(choose({argument: 'zmq://a:1', url: 'zmq://b:1'})).rejects.toMatchObject({code: 'REG_USAGE'})
  })

  test('is that of --dir before that of REGISTRY_URL', async () => {
    const servers = {'/data': running('127.0.0.1', 7001)}
    const choice = await choose({dir: '/data'}, {env: {REGISTRY_URL: 'zmq://b:2'}, servers})
    expect(choice).toEqual({url: 'zmq://127.0.0.1:7001', because: 'the server of /data'})
  })

  test('is that of REGISTRY_URL before that of REGISTRY_DIR', async () => {
    const servers = {'/data': running('127.0.0.1', 7001)}
    const env = {REGISTRY_URL: 'zmq://b:2', REGISTRY_DIR: '/data'}
    expect(await choose({}, {env, servers})).toEqual({url: 'zmq://b:2', because: 'from REGISTRY_URL'})
  })

  test.each([
    [{REGISTRY_DIR: '/data'}, '/data'],
    [{XDG_DATA_HOME: '/share'}, '/share/registry'],
    [{}, '/home/me/.local/share/registry'],
    [{XDG_DATA_HOME: 'relative'}, '/home/me/.local/share/registry'],
    [{XDG_DATA_HOME: ''}, '/home/me/.local/share/registry'],
  ])('is the server of the data directory: %j', async (env: Record<string, string>, dir) => {
    const servers = {[dir]: running('127.0.0.1', 7001)}
    expect(await choose({}, {env, servers})).toEqual({url: 'zmq://127.0.0.1:7001', because: `the server of ${dir}`})
  })

  test.each([
    ['0.0.0.0', 'zmq://127.0.0.1:7'],
    ['::', 'zmq://[::1]:7'],
    ['::1', 'zmq://[::1]:7'],
    ['192.0.2.1', 'zmq://192.0.2.1:7'],
  ])('is reached although it listens on %s', async (bind, url) => {
    expect(await choose({dir: '/d'}, {servers: {'/d': running(bind, 7)}})).toMatchObject({url})
  })

  test('is the default port when nothing runs, or what runs has no request port', async () => {
    expect(await choose({})).toMatchObject({url: 'zmq://127.0.0.1:5556'})
    const servers = {'/data': running('127.0.0.1', null)}
    expect(await choose({}, {env: {REGISTRY_DIR: '/data'}, servers})).toMatchObject({url: 'zmq://127.0.0.1:5556'})
  })

  test('is not guessed for a directory that was named', async () => {
    await expect(choose({dir: '/data'})).rejects.toMatchObject({code: 'REG_UNREACHABLE', info: {dir: '/data'}})
  })
})

/** What there is on a machine. */
interface World {
  readonly env?: Record<string, string>
  readonly servers?: Record<string, RunningServer>
  readonly sockets?: readonly string[]
  readonly aha?: string | readonly string[]
}

type Wish = {readonly url?: string; readonly argument?: string; readonly dir?: string}

const cellWish = (wish: Wish, {env = {}, servers = {}, sockets = [], aha}: World) => ({
  ...wish,
  environment: readEnvironment({HOME: '/home/me', ...env}),
  readRunFile: async (dir: string) => servers[dir],
  hasSocket: async (dir: string) => sockets.includes(dir),
  firstAha: async () => aha,
})
const HOME_DIR = '/home/me/.local/share/registry'

describe('the cell that is talked to', () => {
  const cell = (wish: Wish, world: World = {}) => chooseCell(cellWish(wish, world), 'user list')

  test.each<[string, Wish, World, string, string]>([
    ['--url', {url: 'ssl://a'}, {env: {REGISTRY_URL: 'tcp://b'}}, 'ssl://a', 'from --url'],
    ['the argument', {argument: 'aha://a'}, {env: {REGISTRY_URL: 'tcp://b'}}, 'aha://a', 'as given'],
    ['REGISTRY_URL', {}, {env: {REGISTRY_URL: 'tcp://b'}, sockets: [HOME_DIR]}, 'tcp://b', 'from REGISTRY_URL'],
    ['an alias', {url: 'axon'}, {}, 'axon', 'from --url'],
    [
      '--dir, before REGISTRY_URL',
      {dir: '/data'},
      {env: {REGISTRY_URL: 'zmq://b'}, sockets: ['/data']},
      'cell:///data',
      'the cell of /data',
    ],
    ['the data directory', {}, {sockets: [HOME_DIR], aha: 'ssl://x'}, `cell://${HOME_DIR}`, `the cell of ${HOME_DIR}`],
    ['telepath.yaml', {}, {aha: 'ssl://aha'}, 'ssl://aha', 'the first AHA server of telepath.yaml'],
  ])('is that of %s', async (_, wish, world, url, because) => {
    expect(await cell(wish, world)).toEqual({url, because})
  })

  test('is none that speaks ZeroMQ', async () => {
    await expect(cell({url: 'ZMQ://h:1'})).rejects.toMatchObject({
      code: 'REG_USAGE',
      hints: ['registry user list --url cell://DIR'],
    })
    await expect(cell({}, {env: {REGISTRY_URL: 'zmq://h:1'}})).rejects.toMatchObject({
      message: expect.stringContaining('zmq://h:1 (from REGISTRY_URL) is a ZeroMQ port'),
      hints: ['registry user list --url cell://DIR', 'registry user list --dir DIR'],
    })
  })

  test('must be there', async () => {
    await expect(cell({dir: '/data'}, {aha: 'ssl://aha'})).rejects.toMatchObject({code: 'REG_UNREACHABLE'})
    await expect(cell({})).rejects.toMatchObject({code: 'REG_UNREACHABLE', info: {dir: HOME_DIR}})
  })

  test('may be one of several AHA servers that stand for each other', async () => {
    const [url, ...more] = ['ssl://aha', 'ssl://01.aha'] as const
    const because = 'the first AHA server of telepath.yaml'
    expect(await cell({}, {aha: [url, ...more]})).toEqual({url, more, because})
    expect(await cell({}, {aha: [url]})).toEqual({url, because})
  })

  test('must be one, and no password is repeated', async () => {
    const twice = cell({url: 'tcp://root:needle@a', argument: 'tcp://root:needle@b'})
    await expect(twice).rejects.toMatchObject({
      code: 'REG_USAGE',
      message: 'two registries are named: tcp://root:****@b and --url tcp://root:****@a',
    })
  })
})

describe('what status looks at', () => {
  const any = (wish: Wish, world: World = {}) => chooseAny(cellWish(wish, world))

  test.each<[string, Wish, World, string]>([
    ['what is named', {argument: 'zmq://a:1'}, {sockets: [HOME_DIR]}, 'zmq://a:1'],
    [
      'the cell of the data directory, before its ZeroMQ port',
      {},
      {sockets: [HOME_DIR], servers: {[HOME_DIR]: running('127.0.0.1', 1)}},
      `cell://${HOME_DIR}`,
    ],
    ['its ZeroMQ port', {}, {servers: {[HOME_DIR]: running('127.0.0.1', 1)}, aha: 'ssl://x'}, 'zmq://127.0.0.1:1'],
    ['the first AHA', {}, {aha: 'ssl://x'}, 'ssl://x'],
    ['the default port', {}, {}, 'zmq://127.0.0.1:5556'],
  ])('is %s', async (_, wish, world, url) => {
    expect(await any(wish, world)).toMatchObject({url})
  })

  test('must run on the directory that is named', async () => {
    await expect(any({dir: '/data'}, {aha: 'ssl://x'})).rejects.toMatchObject({code: 'REG_UNREACHABLE'})
  })
})
