// `registry query` as a process, against a peer that says what a Cortex and an Axon say.
import {spawn} from 'node:child_process'
import {createHash} from 'node:crypto'
import {once} from 'node:events'
import {mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {cleanEnv, LAUNCHER, runCli} from '../support/cli.ts'
import {StormPeer, type StormPeerOptions} from '../support/storm-peer.ts'

const MIB = 1024 * 1024
const INIT: Value = ['init', {task: 'a1', hash: 'h1'}]
const NODE: Value = ['node', [['inet:fqdn', 'vertex.link'], {props: {host: 'vertex', '.created': 5}, tags: {}}]]
const fini = (count: number): Value => ['fini', {count, took: 3}]

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-query-'))
})
afterEach(() => rm(folder, {recursive: true}))

/** Runs `registry query` against a peer that answers so. */
async function query(options: StormPeerOptions, ...args: readonly string[]) {
  await using peer = await StormPeer.start(options)
  const result = await runCli(['query', peer.url, ...args], {cwd: folder})
  return {...result, received: peer.received}
}

const saying = (...messages: readonly Value[]): StormPeerOptions => ({storm: () => [INIT, ...messages]})

/** Starts `registry query` with its output in a pipe that is read when the test wants. */
function start(peer: StormPeer, ...args: readonly string[]) {
  return spawn(LAUNCHER, ['query', peer.url, ...args], {
    cwd: folder,
    env: cleanEnv(),
    stdio: 'pipe',
  })
}

async function* endless(): AsyncGenerator<Value, void> {
  yield INIT
  for (;;) yield ['print', {mesg: 'again'}]
}

describe('a Storm query', () => {
  test('prints results on stdout, and all else on stderr', async () => {
    const messages: Value[] = [
      NODE,
      ['print', {mesg: 'hello'}],
      ['warn', {mesg: 'careful'}],
      ['node:edits:count', {count: 2}],
    ]
    const {status, stdout, stderr, received} = await query(saying(...messages, fini(1)), 'inet:fqdn')
    expect(stdout).toBe('inet:fqdn=vertex.link\n        :host = vertex\n        .created = 5\nhello\n')
    expect(stderr).toBe('warning: careful\n1 node, 2 edits in 3 ms\n')
    expect(status).toBe(0)
    expect(received).toContainEqual([
      't2:init',
      expect.objectContaining({todo: ['storm', ['inet:fqdn'], {opts: {repr: true, editformat: 'count'}}]}),
    ])
  })

  test('gives one JSON value per line, and the end', async () => {
    const {stdout, stderr} = await query(saying(NODE, ['print', {mesg: 'x'}], ['new:kind', 5], fini(1)), 'q', '--json')
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      {node: {form: 'inet:fqdn', value: 'vertex.link', props: {host: 'vertex', '.created': 5}, tags: {}}},
      {print: {mesg: 'x'}},
      {'new:kind': 5},
      {end: {nodes: 1, edits: 0, tookMs: 3}},
    ])
    expect(stderr).toBe('')
  })

  test('gives the messages as they are, asked for as they are', async () => {
    const {stdout, received} = await query(saying(NODE, fini(1)), 'q', '--raw', '--view', 'v1')
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([INIT, NODE, fini(1)])
    expect(received).toContainEqual([
      't2:init',
      expect.objectContaining({todo: ['storm', ['q'], {opts: {view: 'v1'}}]}),
    ])
  })

  test('that fails shows where, and what came before', async () => {
    const facts = {mesg: 'no such thing', highlight: {hash: 'h1', lines: [2, 2], columns: [3, 6]}}
    const peer = saying(NODE, ['err', ['NoSuchProp', facts]], fini(1))
    const {status, stdout, stderr} = await query(peer, 'inet:fqdn\n[ :foo=1 ]')
    expect(stdout).toMatch(/^inet:fqdn=/)
    expect(stderr.split('\n')).toEqual([
      '  2 | [ :foo=1 ]',
      '    |   ^~~',
      '1 node in 3 ms',
      'error: no such thing (line 2, column 3) (REG_QUERY_FAILED)',
      '',
    ])
    expect(status).toBe(1)
    const json = await query(peer, 'inet:fqdn\n[ :foo=1 ]', '--json')
    expect(JSON.parse(json.stdout.trimEnd().split('\n').at(-1) ?? '')).toEqual({
      error: {
        code: 'REG_QUERY_FAILED',
        message: 'no such thing (line 2, column 3)',
        hints: [],
        info: {errname: 'NoSuchProp', line: 2, column: 3, nodes: 1},
      },
    })
    expect(json).toMatchObject({status: 1, stderr: ''})
  })

  test('that is refused with facts of any size is shown', async () => {
    const refusal: Value = ['NoSuchView', {mesg: 'no view', offset: 2n ** 63n}]
    const {stdout, status} = await query({refusal}, 'q', '--json')
    expect(stdout).toContain('"info":{"errname":"NoSuchView","offset":9223372036854775808}')
    expect(status).toBe(3)
  })

  test('that returns prints the value, and has not failed', async () => {
    const peer = saying(['err', ['StormReturn', {mesg: "['1', None]"}]], fini(0))
    expect(await query(peer, 'return((1, $lib.null))')).toMatchObject({status: 0, stdout: "['1', None]\n"})
  })

  test('comes from a file or the standard input, and so do its options', async () => {
    await writeFile(join(folder, 'q.storm'), 'inet:fqdn=$fqdn\n')
    await writeFile(join(folder, 'opts.yaml'), 'vars: {fqdn: vertex.link, big: 18446744073709551615}\nrepr: false\n')
    const {received} = await query(saying(fini(0)), '--query-file', 'q.storm', '--opts', 'opts.yaml')
    const opts = {repr: false, editformat: 'count', vars: {fqdn: 'vertex.link', big: 18446744073709551615n}}
    expect(received).toContainEqual([
      't2:init',
      expect.objectContaining({todo: ['storm', ['inet:fqdn=$fqdn\n'], {opts}]}),
    ])
    await using peer = await StormPeer.start(saying(fini(0)))
    const child = start(peer, '-')
    child.stdin.on('error', () => undefined) // it may end before it reads
    child.stdin.end('inet:ipv4')
    await once(child, 'close')
    expect(JSON.stringify(peer.received)).toContain('["storm",["inet:ipv4"]')
  })

  test.each([
    [['a', 'b'], 'a query is one word: put it in quotes'],
    [[], 'there is no query'],
    [['a', '--query-file', 'x'], 'the query is given twice'],
    [['-', '--opts', '-'], 'cannot both come from the standard input'],
    [['a', '--opts', 'missing'], 'cannot read the options from missing: ENOENT'],
    [['a', '--opts', 'list.yaml'], 'list.yaml holds no options'],
    [['a', '--kwarg', 'b=1'], '--kwarg is for calls, not for Storm queries'],
    [['a', '--output', 'b'], '--output is for files, not for Storm queries'],
    [['a', '--call', 'b', '--file', 'put'], '--file is for files, not for calls'],
    [['--file', 'put'], '--file put takes one path'],
    [['a', '--file', 'get'], '"a" is no SHA-256'],
    [['a', '--file', 'put', '--force'], '--output and --force are for --file get'],
    [['0'.repeat(64), '--file', 'get', '--json'], 'say with --output where the file is to go'],
  ])('that is typed as %j is refused before anything is asked', async (args, message) => {
    await writeFile(join(folder, 'list.yaml'), '[1]')
    const {status, stdout, stderr, received} = await query({}, ...args)
    expect(`${stdout}${stderr}`).toContain(message)
    expect(status).toBe(2)
    expect(received).toEqual([])
  })
})

describe('a stream without end', () => {
  test.each([[[]], [['--raw']]])('is ended at the Cortex by Ctrl-C %j', async (flags) => {
    await using peer = await StormPeer.start({storm: endless})
    const child = start(peer, 'q', ...flags)
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    await once(child.stdout, 'data')
    child.stdout.resume()
    child.kill('SIGINT')
    const [status] = await once(child, 'close')
    await Promise.all(peer.links.map(({closed}) => closed))
    expect({status, stderr}).toEqual({status: 130, stderr: 'cancelled\n'})
  })

  test('says under --json that it was cancelled', async () => {
    await using peer = await StormPeer.start({storm: endless})
    const child = start(peer, 'q', '--json')
    let last = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (last === '') child.kill('SIGINT')
      last = (last + text).slice(-4096)
    })
    const [status] = await once(child, 'close')
    expect(status).toBe(130)
    expect(JSON.parse(last.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({error: {code: 'REG_CANCELLED'}})
  })

  test('is ended at the Cortex also while its reader does not read', async () => {
    const many = Array.from({length: 64}, (): Value => ['print', {mesg: 'x'.repeat(MIB)}])
    await using peer = await StormPeer.start({storm: () => many})
    const child = start(peer, 'q')
    await peer.full()
    await once(child.stdout, 'readable')
    child.kill('SIGINT')
    await Promise.all(peer.links.map(({closed}) => closed))
    child.stdout.resume()
    const [status] = await once(child, 'close')
    expect(status).toBe(130)
  })

  test('ends quietly when nobody reads any more', async () => {
    await using peer = await StormPeer.start({storm: endless})
    const child = start(peer, 'q')
    await once(child.stdout, 'data')
    child.stdout.destroy()
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    await once(child, 'close')
    await Promise.all(peer.links.map(({closed}) => closed))
    expect(stderr).toBe('')
  })

  test.each([
    ['Storm', ['q']],
    ['Storm as it is', ['q', '--raw']],
    ['a file', ['--file', 'get', '0'.repeat(64)]],
  ])('is not kept in memory while its reader is slow: %s', async (_, args) => {
    const [count, ahead] = [128, 8 * MIB]
    const text = 'x'.repeat(MIB / 2)
    const pieces = Array.from({length: count}, () => Buffer.from(text))
    const messages = Array.from({length: count}, (): Value => ['print', {mesg: text}])
    await using peer = await StormPeer.start({storm: () => [INIT, ...messages, fini(0)], pieces})
    const child = start(peer, ...args)
    child.stderr.resume()
    let read = 0
    let largest = 0
    for await (const chunk of child.stdout) {
      read += (chunk as Buffer).length
      await peer.full()
      largest = Math.max(largest, peer.sent * text.length - read)
    }
    expect(read).toBeGreaterThanOrEqual(count * text.length)
    expect(largest).toBeLessThan(ahead)
  })
})

describe('a file', () => {
  const bytes = Buffer.from(Array.from({length: 256}, (_, value) => value))
  const sha256 = createHash('sha256').update(bytes).digest('hex')

  test('is uploaded, and its SHA-256 printed', async () => {
    await writeFile(join(folder, 'a.bin'), bytes)
    const {status, stdout, stderr} = await query({}, '--file', 'put', 'a.bin')
    expect({status, stdout, stderr}).toEqual({status: 0, stdout: `${sha256}\n`, stderr: 'uploaded 256 bytes\n'})
    const json = await query({}, '--file', 'put', 'a.bin', '--json')
    expect(JSON.parse(json.stdout)).toEqual({sha256, sizeBytes: 256, output: null})
    expect((await query({}, '--file', 'put', 'nothing')).stderr).toContain('cannot read nothing: ENOENT')
  })

  test('is downloaded to a file, or to a pipe', async () => {
    const peer = {pieces: [bytes.subarray(0, 100), bytes.subarray(100)]}
    const {status, stderr} = await query(peer, '--file', 'get', sha256, '--output', 'a.bin')
    expect({status, stderr}).toEqual({status: 0, stderr: 'downloaded 256 bytes to a.bin\n'})
    expect((await readFile(join(folder, 'a.bin'))).equals(bytes)).toBe(true)
    const text = Buffer.from('as it stands\n')
    const piped = await query({pieces: [text]}, '--file', 'get', createHash('sha256').update(text).digest('hex'))
    expect(piped).toMatchObject({status: 0, stdout: 'as it stands\n'})
  })

  test('replaces another only when told to, and nothing that is no file', async () => {
    const peer = {pieces: [bytes]}
    await writeFile(join(folder, 'a.bin'), 'mine')
    const refused = await query(peer, '--file', 'get', sha256, '--output', 'a.bin')
    expect(refused).toMatchObject({status: 5, stderr: expect.stringContaining('REG_FILE_EXISTS')})
    expect(await readFile(join(folder, 'a.bin'), 'utf8')).toBe('mine')
    expect(refused.received.filter((one) => JSON.stringify(one).includes('"get"'))).toEqual([])
    const forced = await query(peer, '--file', 'get', sha256, '--output', 'a.bin', '--force', '--json')
    expect(JSON.parse(forced.stdout)).toEqual({sha256, sizeBytes: 256, output: 'a.bin'})
    const device = await query(peer, '--file', 'get', sha256, '--output', '/dev/null', '--force')
    expect(device).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('/dev/null is there and is no plain file'),
    })
    expect((await stat('/dev/null')).isCharacterDevice()).toBe(true)
  })

  test('that came damaged, or not whole, is not there', async () => {
    const damaged = await query({pieces: [bytes, bytes]}, '--file', 'get', sha256, '--output', 'a.bin')
    expect(damaged).toMatchObject({status: 1, stderr: expect.stringContaining('REG_BAD_ANSWER')})
    await using peer = await StormPeer.start({pieces: Array.from({length: 64}, () => Buffer.alloc(MIB))})
    const child = start(peer, '--file', 'get', sha256, '--output', 'a.bin')
    await peer.full()
    child.kill('SIGINT')
    const [status] = await once(child, 'close')
    expect(status).toBe(130)
    expect(await readdir(folder)).toEqual([])
  })
})
