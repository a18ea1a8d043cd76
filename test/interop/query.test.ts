// `registry query` on a real Cortex, Axon, JSONStor and Cryotank, found through our registry as their AHA, and beside the stock tools.
import {spawn} from 'node:child_process'
import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {cleanEnv, LAUNCHER, runCli} from '../support/cli.ts'
import {OurDeployment} from './our-deployment.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'

const START_WITHIN_MS = 600_000
const MIB = 1024 * 1024

let net: OurDeployment
let folder: string

showLogsWhenFailed()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-query-'))
  net = await OurDeployment.start({cortex: true, cryotank: true})
}, START_WITHIN_MS)
afterAll(async () => {
  await net?.[Symbol.asyncDispose]()
  await rm(folder, {recursive: true})
})

const query = (...args: readonly string[]) => net.registry(['query', ...args])
const storm = (...args: readonly string[]) => query('aha://cortex...', ...args)
const linesOf = (text: string): unknown[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
const bytesOf = (bytes: Uint8Array) => JSON.stringify({$bytes: Buffer.from(bytes).toString('base64')})

/** What the stock command line prints: without its dots and its summary. */
async function stock(text: string): Promise<string> {
  const {stdout} = await net.tool('storm', ['aha://cortex...', text])
  return stdout.replaceAll(/^(\.+|complete\. .*)\n/gm, '')
}

describe('Storm', () => {
  test('makes and finds a node, and prints it as the stock tool does', async () => {
    const made = await storm('[ inet:fqdn=vertex.link +#seen.here=(2020, ?) +#known ]')
    expect(made).toMatchObject({status: 0, stderr: expect.stringMatching(/^1 node, \d+ edits in [\d.]+ m?s$/m)})
    expect(made.stdout).toMatch(/^inet:fqdn=vertex\.link\n {8}:domain = link\n/)
    // Each run of the stock tool takes some seconds.
    const same = async (text: string) => {
      const [ours, theirs] = await Promise.all([storm(text), stock(text)])
      expect({text, ...ours}).toMatchObject({text, status: 0, stdout: theirs})
    }
    await Promise.all(['inet:fqdn', 'syn:tag | count'].map(same))
    const there = await runCli(['query', net.of('00.cortex').cellUrl, 'inet:fqdn=vertex.link'])
    expect(there.stdout).toBe(made.stdout)
  })

  test('takes a query and its variables from files, and a view', async () => {
    await writeFile(join(folder, 'q.storm'), '// a comment\n[ it:dev:str=$text ]\n')
    await writeFile(join(folder, 'opts.yaml'), 'vars:\n  text: "漢 and \\U0001F600"\n')
    const files = ['--query-file', join(folder, 'q.storm'), '--opts', join(folder, 'opts.yaml')]
    const {stdout: forked} = await storm('$lib.print($lib.view.get().fork().iden)')
    const inFork = await storm(...files, '--view', forked.trim(), '--json')
    expect(linesOf(inFork.stdout)).toMatchObject([{node: {form: 'it:dev:str', value: '漢 and 😀'}}, {end: {nodes: 1}}])
    expect((await storm('it:dev:str | count')).stdout).toBe('Counted 0 nodes.\n')
    expect((await storm('it:dev:str | count', '--view', forked.trim())).stdout).toBe('Counted 1 nodes.\n')
    expect(await storm('it:dev:str', '--view', 'nosuch')).toMatchObject({status: 3})
  })

  test('gives its messages as they are', async () => {
    const {stdout} = await storm('inet:fqdn=vertex.link $lib.print(hi)', '--raw')
    const kinds = linesOf(stdout).map((message) => (message as readonly string[])[0])
    expect(kinds).toEqual(['init', 'print', 'node', 'fini'])
  })

  test('says what went wrong, and where', async () => {
    const wrong = await storm('inet:fqdn\n  | limit 1 |||')
    expect(wrong.status).toBe(1)
    expect(wrong.stderr.split('\n').slice(0, 2)).toEqual(['  2 |   | limit 1 |||', '    |              ^'])
    expect(await storm('$lib.raise(Refused, "not now")', '--json')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('"info":{"errname":"Refused","line":1,"column":2,"nodes":0}'),
    })
    expect(await storm('return((5))')).toMatchObject({status: 0, stdout: '5\n'})
    expect(await storm('$lib.print(before) $lib.exit()')).toMatchObject({status: 0, stdout: 'before\n'})
    expect(await query('aha://axon...', 'inet:fqdn')).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('this service takes no Storm'),
    })
    expect(await query('aha://nosuch...', 'inet:fqdn')).toMatchObject({status: 3})
  })

  test.each([
    ['that says something', 'for $i in $lib.range(1000000000) { $lib.print(again) }'],
    ['that is silent', '$lib.print(waiting) $lib.time.sleep(600)'],
  ])('that is cancelled ends at the Cortex: a query %s', async (_, text) => {
    const env = cleanEnv({SYN_DIR: folder})
    const url = net.of('00.cortex').cellUrl
    const child = spawn(LAUNCHER, ['query', url, text], {env, stdio: ['ignore', 'pipe', 'pipe']})
    await once(child.stdout, 'data')
    expect(await tasks()).toEqual([expect.stringContaining('"name":"storm"')])
    child.stdout.resume()
    child.kill('SIGINT')
    const [status] = await once(child, 'close')
    expect(status).toBe(130)
    while ((await tasks()).length > 0) await new Promise((resolve) => setImmediate(resolve))
  })
})

/** The queries that run at the Cortex. */
async function tasks(): Promise<readonly string[]> {
  const {stdout} = await query(net.of('00.cortex').cellUrl, '--call', 'getTasks')
  return stdout.split('\n').filter((line) => line !== '')
}

describe('calls', () => {
  test('of an Axon are streamed, and bytes come and go exactly', async () => {
    const bytes = randomBytes(1000)
    const sha = createHash('sha256').update(bytes).digest()
    const put = await query('aha://axon...', '--call', 'put', bytesOf(bytes))
    expect(JSON.parse(put.stdout)).toEqual([1000, JSON.parse(bytesOf(sha))])
    const hashes = await query('aha://axon...', '--call', 'hashes', '0', '--json')
    expect(linesOf(hashes.stdout)).toContainEqual([expect.any(Number), [JSON.parse(bytesOf(sha)), 1000]])
    expect(linesOf(hashes.stdout).at(-1)).toHaveProperty('end.items')
    const history = await query('aha://axon...', '--call', 'history', '0')
    expect(linesOf(history.stdout)).toContainEqual([expect.any(Number), [JSON.parse(bytesOf(sha)), 1000]])
    expect(JSON.parse((await query('aha://axon...', '--call', 'size', bytesOf(sha))).stdout)).toBe(1000)
    expect(JSON.parse((await query('aha://axon...', '--call', 'metrics')).stdout)).toMatchObject({'file:count': 1})
  })

  test('of a JSONStor keep values as they are', async () => {
    const item = '{big: 18446744073709551615, half: 0.5, one: 1.0, text: "5", list: [yes, null, {}]}'
    const set = await query('aha://jsonstor...', '--call', 'setPathObj', '[a, b]', item)
    expect(set.status).toBe(0)
    const got = await query('aha://jsonstor...', '--call', 'getPathObj', '[a, b]')
    expect(got.stdout).toContain('"big": 18446744073709551615')
    expect(got.stdout).toContain('"one": 1.0')
    expect(JSON.parse(got.stdout)).toMatchObject({half: 0.5, text: '5', list: [true, null, {}]})
    const paths = await query('aha://jsonstor...', '--call', 'getPathObjs', '[a]', '--json')
    expect(linesOf(paths.stdout)).toMatchObject([[['b'], {text: '5'}], {end: {items: 1}}])
    expect(await query('aha://jsonstor...', '--call', 'getPathObj', '[none]')).toMatchObject({stdout: 'null\n'})
  })

  test('of a Cryotank are streamed from its tanks', async () => {
    const puts = await query('aha://cryotank...', '--call', 'puts', 'tank', '[[one, {a: 1}], [two, {$bytes: AAE=}]]')
    expect(puts.stdout).toBe('2\n')
    const slice = await query('aha://cryotank...', '--call', 'slice', 'tank', '0', '--kwarg', 'size=10')
    expect(linesOf(slice.stdout)).toEqual([
      [0, ['one', {a: 1}]],
      [1, ['two', {$bytes: 'AAE='}]],
    ])
    const rows = await query('aha://cryotank...', '--call', 'rows', 'tank', '1', '5', '--json')
    expect(linesOf(rows.stdout)).toEqual([[1, {$bytes: expect.any(String)}], {end: {items: 1}}])
    // A tank is an object of its own behind the name of the service.
    const own = await query(`${net.of('00.cryotank').cellUrl}:cryotank/tank`, '--call', 'slice', '1', '1')
    expect(linesOf(own.stdout)).toEqual([[1, ['two', {$bytes: 'AAE='}]]])
  })
})

describe('a file', () => {
  test.each([['aha://axon...'], ['aha://cortex...']])(
    'comes back from %s as it was, by our tools and by theirs',
    async (url) => {
      const bytes = randomBytes(20 * MIB + 1)
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      const path = join(folder, 'large.bin')
      await writeFile(path, bytes)
      const put = await query(url, '--file', 'put', path)
      expect(put).toMatchObject({status: 0, stdout: `${sha256}\n`, stderr: 'uploaded 20.0 MiB\n'})
      expect(await net.ask('00.axon', 'size', Buffer.from(sha256, 'hex'))).toBe(bytes.length)
      const output = join(folder, `${sha256}.out`)
      const got = await query(url, '--file', 'get', sha256, '--output', output)
      expect(got).toMatchObject({status: 0, stdout: ''})
      expect((await readFile(output)).equals(bytes)).toBe(true)
      const theirs = join(folder, 'theirs')
      await net.tool('axon.get', ['-a', net.of('00.axon').cellUrl, '-o', theirs, '-l', sha256])
      expect((await readFile(join(theirs, sha256))).equals(bytes)).toBe(true)
    },
  )

  test('that the Axon does not have is not there afterwards', async () => {
    const output = join(folder, 'none.out')
    const {status, stderr} = await query('aha://axon...', '--file', 'get', '0'.repeat(64), '--output', output)
    expect({status, stderr}).toEqual({
      status: 3,
      stderr: expect.stringContaining('does not contain the requested file'),
    })
    expect(await readdir(folder)).not.toContain('none.out')
  })

  test('is not uploaded to a service that keeps none', async () => {
    const {status, stderr} = await query('aha://jsonstor...', '--file', 'put', join(folder, 'q.storm'))
    expect({status, stderr}).toEqual({status: 3, stderr: expect.stringContaining('neither an Axon nor a Cortex')})
  })
})
