import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {homedir, tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {openTelepath} from '../../../src/client/telepath/open.ts'
import {type TeleEnvOptions, withTeleEnv} from '../../../src/client/telepath/tele-env.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {TelepathPeer, welcoming} from '../../support/telepath-peer.ts'
import {entryOf, startAha, valueMessage} from './scripted-aha.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-syn-'))
})
afterEach(() => rm(dir, {recursive: true}))

const write = (name: string, text: string) => writeFile(join(dir, name), text)
const load = (options: TeleEnvOptions = {}) => withTeleEnv({dir, serviceDir: join(dir, 'none'), ...options})
/** A service at which everybody may call everything. */
const service = () => TelepathPeer.start(welcoming((_message, link) => link.send(valueMessage('here'))))

describe('certificates', () => {
  test('are searched in the directories given, those of a service, of telepath.yaml, and of the user', async () => {
    await write('telepath.yaml', `version: 1\ncertdirs: [${dir}/more, ~/mine]\n`)
    await using env = await load({certDirs: ['/given'], serviceDir: join(dir, 'service')})
    expect(env.certDir.paths).toEqual([
      '/given',
      join(dir, 'service/certs'),
      join(dir, 'more'),
      join(homedir(), 'mine'),
      join(dir, 'certs'),
    ])
  })
})

describe('telepath.yaml', () => {
  test('names the AHA servers, and lists of mirrors of one', async () => {
    await using peer = await service()
    await using aha = await startAha({services: {'axon...': entryOf('axon.demo.net', peer.port)}})
    await write('telepath.yaml', `version: 1\naha:servers:\n- [tcp://127.0.0.1:1, '${aha.url}']\n`)
    await using env = await load()
    await using proxy = await env.open('aha://axon...')
    expect(await proxy.call('add')).toBe('here')
  })

  test('of another version is ignored, with a warning', async () => {
    await write('telepath.yaml', 'version: 2\naha:servers: 7\n')
    const warnings: string[] = []
    await using env = await load({onWarning: (text) => warnings.push(text)})
    await expect(env.open('aha://axon...')).rejects.toMatchObject({code: 'REG_UNREACHABLE', telepath: 'NotReady'})
    expect(warnings).toEqual([`${dir}/telepath.yaml is ignored: its version is 2, not 1`])
  })

  test.each([
    'version: 1\naha:servers: tcp://h\n',
    'version: 1\naha:servers: [[]]\n',
    'version: 1\ncertdirs: x\n',
    '- 1\n',
    'a: [',
    `version: 1\nx: ${'[['.repeat(2000)}`,
  ])('is refused when it is not what it should be (%#)', async (text) => {
    await write('telepath.yaml', text)
    await expect(load()).rejects.toMatchObject({
      code: 'REG_CONFIG_INVALID',
      message: expect.stringContaining('telepath.yaml'),
    })
  })

  test('may be empty', async () => {
    await write('telepath.yaml', '')
    await using env = await load()
    expect(env.certDir.paths).toEqual([join(dir, 'none/certs'), join(dir, 'certs')])
  })

  test('comes after the AHA servers of a service, and those given before both', async () => {
    const asked: number[] = []
    const unknowing = (place: number) => startAha({onLookup: () => asked.push(place)})
    await using first = await unknowing(1)
    await using second = await unknowing(2)
    await using third = await unknowing(3)
    await mkdir(join(dir, 'service'))
    await writeFile(join(dir, 'service/cell.yaml'), `aha:registry: ${second.url}\nother: [1]\n`)
    await write('telepath.yaml', `version: 1\naha:servers: ['${third.url}']\n`)
    await using env = await load({serviceDir: join(dir, 'service'), ahaServers: [first.url]})
    await expect(env.open('aha://axon...')).rejects.toMatchObject({code: 'REG_NOT_FOUND'})
    expect(asked).toEqual([1, 2, 3])
  })
})

describe('aliases', () => {
  beforeEach(() => write('aliases.yaml', 'a: tcp://h:1\nb: tcp://h:1/\nc/d: tcp://x\nbad: 7\n'))

  test.each([
    ['a', 'h', 1, ''],
    ['a/x/y', 'h', 1, '/x/y'],
    ['b/x', 'h', 1, '/x'],
    ['c/d', 'x', undefined, ''],
    ['tcp://a', 'a', undefined, ''],
  ])('%s is read', async (text, host, port, path) => {
    await using env = await load()
    expect(env.parse(text)).toEqual({
      scheme: 'tcp',
      host,
      path,
      params: new Map(),
      ...(port === undefined ? {} : {port}),
    })
  })

  test.each(['c/d/e', 'zz', 'a?x=1', 'bad', 'constructor'])('%s is none', async (text) => {
    await using env = await load()
    expect(() => env.parse(text)).toThrow(expect.objectContaining({code: 'REG_USAGE', telepath: 'BadUrl'}))
  })
})

describe('several URLs', () => {
  test('are tried until one leads to a session', async () => {
    await using peer = await service()
    await using env = await load()
    await using proxy = await openTelepath(['tcp://127.0.0.1:1', 'nonsense', peer.url], {env})
    expect(await proxy.call('add')).toBe('here')
  })

  test('fail with what the last of them failed with', async () => {
    await using env = await load()
    await expect(env.open(['nonsense', 'tcp://127.0.0.1:1'])).rejects.toMatchObject({
      code: 'REG_UNREACHABLE',
      message: 'cannot connect to tcp://127.0.0.1:1: nobody listens there',
    })
    await expect(env.open([])).rejects.toMatchObject({code: 'REG_USAGE'})
  })
})

describe('a name', () => {
  test('leads where AHA says, with the path and the user of the URL', async () => {
    await using peer = await service()
    await using aha = await startAha({services: {'axon...': entryOf('axon.demo.net', peer.port)}})
    await using env = await load({ahaServers: [aha.url]})
    for (const url of ['aha://axon...', 'aha://root@axon.../x/y?mirror=yes']) {
      await using proxy = await env.open(url)
      expect(await proxy.call('add')).toBe('here')
    }
    const greetings = peer.received.filter((message) => (message as string[])[0] === 'tele:syn')
    expect(greetings).toEqual([
      ['tele:syn', {auth: ['visi', {passwd: 'given'}], vers: [3, 0], name: ''}],
      ['tele:syn', {auth: ['root', {passwd: 'given'}], vers: [3, 0], name: 'x/y'}],
    ])
    expect(aha.calls).toEqual([
      ['getCellInfo', [], {}],
      ['getAhaSvc', ['axon...'], {filters: {mirror: false}}],
      ['getCellInfo', [], {}],
      ['getAhaSvc', ['axon...'], {filters: {mirror: true}}],
    ])
    expect(aha.peer.links.length).toBeLessThanOrEqual(2)
  })

  test('is asked for without filters at an AHA that does not know them', async () => {
    await using aha = await startAha({version: [2, 94, 7]})
    await using env = await load({ahaServers: [aha.url]})
    await expect(env.open('aha://axon...')).rejects.toMatchObject({
      code: 'REG_NOT_FOUND',
      telepath: 'NoSuchName',
      message: 'aha lookup failed: axon...',
    })
    expect(aha.calls[1]).toEqual(['getAhaSvc', ['axon...'], {}])
  })

  test('is asked for at the next AHA when one does not know it, or says that it is offline', async () => {
    await using peer = await service()
    const offline = {name: 'axon.demo.net', svcinfo: {urlinfo: {scheme: 'tcp', host: 'h', port: 1}}}
    await using first = await startAha({})
    await using second = await startAha({services: {'axon...': offline}})
    await using third = await startAha({services: {'axon...': entryOf('axon.demo.net', peer.port)}})
    await using env = await load({ahaServers: [first.url, second.url, third.url]})
    await using proxy = await env.open('aha://axon...')
    expect(await proxy.call('add')).toBe('here')
    expect([first, second, third].map(({calls}) => calls.length)).toEqual([2, 2, 2])
  })

  test('that is offline is said to be, with those of its cell that are not', async () => {
    const svcinfo = {iden: 'f00d', urlinfo: {scheme: 'tcp', host: 'h', port: 1}}
    const cells = {f00d: [{name: 'axon.demo.net', svcinfo}, entryOf('01.axon.demo.net', 2)]}
    await using aha = await startAha({services: {'axon...': {name: 'axon.demo.net', svcinfo}}, cells})
    await using env = await load({ahaServers: [aha.url]})
    await expect(env.open('aha://axon...')).rejects.toMatchObject({
      ...{code: 'REG_UNREACHABLE', telepath: 'NoSuchName'},
      message: 'aha lookup failed: axon...: axon.demo.net is offline',
      hints: ['registry status aha://01.axon.demo.net'],
    })
  })

  test('is given up when its signal aborts', async () => {
    await using silent = await TelepathPeer.start(() => undefined)
    await using env = await load({ahaServers: [silent.url]})
    const aborter = new AbortController()
    const opening = expect(env.open('aha://axon...', {signal: aborter.signal})).rejects.toThrow('enough')
    aborter.abort(new Error('enough'))
    await opening
  })
})

test('passwords are in no error', async () => {
  await using env = await load()
  for (const url of [
    'tcp://u:hunter2@127.0.0.1:1',
    'tcp://u:hunter2@h:x',
    'u:hunter2@h',
    'ssl://u:hunter2@127.0.0.1:1?passwd=hunter2',
  ]) {
    const error = await env.open(url).catch((thrown: unknown) => thrown)
    expect(
      JSON.stringify([String(error), (error as {info: unknown}).info, String((error as Error).stack)]),
    ).not.toContain('hunter2')
  }
})

describe('the services of a cell', () => {
  const online = {online: 'a'.repeat(32)}
  const entry = (svcname: string, svcinfo: Record<string, Value>) => ({
    ...{name: `${svcname}.demo.net`, svcname, svcnetw: 'demo.net'},
    svcinfo: {leader: 'axon', urlinfo: {host: '127.0.0.1', port: 7}, ...svcinfo},
  })

  test('are asked for at the first AHA that knows some, offline ones too', async () => {
    await using first = await startAha({})
    const fenced = {leader: '00.axon.demo.net', since: 5, refused: 2, last: 7}
    const second01 = entry('01.axon', {run: 'r1', promotable: false, fenced})
    const entries = [entry('00.axon', {...online, run: 'r0', fenced: 'newp'}), second01]
    await using second = await startAha({cells: {f00d: entries}})
    await using env = await load({ahaServers: [first.url, second.url]})
    expect(await env.ofCell('f00d')).toEqual([
      {
        ...{name: '00.axon.demo.net', shortName: '00.axon', runId: 'r0', address: '127.0.0.1:7'},
        ...{isOnline: true, isPromotable: true},
      },
      {
        ...{name: '01.axon.demo.net', shortName: '01.axon', runId: 'r1', address: '127.0.0.1:7'},
        ...{isOnline: false, isPromotable: false},
        fence: {leader: '00.axon.demo.net', sinceMs: 5, refused: 2, lastMs: 7},
      },
    ])
    expect(second.calls).toEqual([['getAhaSvcsByIden', ['f00d', false], {}]])
    expect(await env.ofCell('beef')).toEqual([])
  })

  test('are not told by the name of the leader where that is left of an earlier start', async () => {
    const names = async (entries: readonly Value[]) => {
      await using aha = await startAha({cells: {f00d: entries}})
      await using env = await load({ahaServers: [aha.url]})
      return (await env.ofCell('f00d')).map(({shortName}) => shortName)
    }
    const own = entry('00.axon', {run: 'r2'})
    expect(await names([own, entry('axon', {run: 'r1'})])).toEqual(['00.axon'])
    // An old AHA names only this one.
    expect(await names([own, entry('axon', {...online, run: 'r1'})])).toEqual(['00.axon', 'axon'])
    expect(await names([entry('axon', {run: 'r1'})])).toEqual(['axon'])
  })

  test('are not known where there is no AHA, or none answers', async () => {
    await using env = await load({ahaServers: []})
    await expect(env.ofCell('f00d')).rejects.toMatchObject({code: 'REG_UNREACHABLE', telepath: 'NotReady'})
  })
})
