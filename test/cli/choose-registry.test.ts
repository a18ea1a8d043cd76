import {describe, expect, test} from 'vitest'
import {chooseRegistry, type RunningServer} from '../../src/cli/choose-registry.ts'
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
