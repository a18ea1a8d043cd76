import {execFileSync} from 'node:child_process'
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import fc from 'fast-check'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {originText} from '../../src/config/layers.ts'
import {compareConf, inspectConf, LIVE_NAMES, loadConf} from '../../src/config/load.ts'
import {flagOf, type LiveName, OPTION_NAMES, OPTIONS, rowOf, serveFlags, variablesOf} from '../../src/config/options.ts'

const MAKE_PIPE = 'mkfifo' // Node has no call for it

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-config-'))
})
afterEach(() => rm(dir, {recursive: true}))

type Env = Record<string, string>

const cellYaml = (text: string) => writeFile(join(dir, 'cell.yaml'), text)
const modsYaml = (text: string) => writeFile(join(dir, 'cell.mods.yaml'), text)
const load = (env: Env = {}, flags: Record<string, unknown> = {}) => loadConf({dir, env, flags})

/** Gives the messages of everything that is wrong, without the path of the directory. */
async function problemsOf(env: Env = {}, flags: Record<string, unknown> = {}): Promise<string[]> {
  const {problems} = await inspectConf({dir, env, flags})
  return problems.map(({message}) => message.replaceAll(`${dir}/`, ''))
}

async function warningsOf(env: Env = {}): Promise<string[]> {
  return (await load(env)).warnings.map(({message}) => message.replaceAll(`${dir}/`, ''))
}

describe('without any source', () => {
  test('the defaults of the table are in force', async () => {
    const {conf, origins, warnings} = await loadConf({dir: join(dir, 'nowhere'), env: {}})
    expect(conf).toEqual({
      bind: '127.0.0.1',
      'zmq:req:port': 5556,
      'zmq:pub:port': 5557,
      'zmq:hb:port': 5558,
      'zmq:rep:port': null,
      'zmq:types:unique': false,
      'zmq:allow:plain': false,
      'zmq:allow:terminate': false,
      'zmq:reply:within': 400,
      'zmq:rate': 50_000,
      'zmq:hwm': 10_000,
      'zmq:pub:hwm': 10_000,
      'discover:strategy': 'random',
      'lease:grace': 10_000,
      'leader:confirm': 10_000,
      'leader:alone': false,
      'cleanup:interval': 10_000,
      backend: 'sqlite',
      'log:level': 'info',
      'log:structured': false,
      'dns:name': null,
      'aha:network': null,
      'aha:name': null,
      'aha:leader': null,
      'aha:user': null,
      'aha:admin': null,
      'aha:registry': null,
      'aha:urls': null,
      'aha:provision': null,
      'aha:promotable': true,
      mirror: null,
      'aha:svcinfo': null,
      'dmon:listen': null,
      'telepath:name': null,
      'telepath:allow:plain': false,
      'provision:listen': null,
      'provision:expires': 86_400_000,
      'provision:service:root': true,
      'bridge:zmq:to:aha': false,
      'bridge:aha:to:zmq': false,
      'https:bind': '127.0.0.1',
      'https:port': 4443,
      'https:headers': null,
      'https:parse:proxy:remoteip': false,
      clone: null,
      'backup:dir': null,
      'backup:max:age': null,
      'onboot:optimize': false,
      'limit:disk:free': 5,
      'auth:passwd': null,
      'auth:anon': null,
      'auth:passwd:policy': null,
      'max:users': 0,
      inaugural: null,
      'cell:guid': null,
      safemode: false,
      'boothooks:dir': null,
      'health:sysctl:checks': true,
    })
    expect(new Set(Object.values(origins).map(originText))).toEqual(new Set(['default']))
    expect(warnings).toEqual([])
  })

  test('the conf cannot be changed', async () => {
    const {conf} = await load()
    expect(() => Object.assign(conf, {bind: '0.0.0.0'})).toThrow(TypeError)
  })
})

describe('precedence', () => {
  const SOURCES = [
    'cell.yaml',
    'SYN_AHACELL_ZMQ_RATE',
    'SYN_AHA_ZMQ_RATE',
    'SYN_REGISTRY_ZMQ_RATE',
    '--zmq-rate',
    'cell.mods.yaml',
  ] as const

  async function loadFrom(sources: readonly string[]) {
    const env: Env = {}
    const flags: Record<string, string> = {}
    for (const [index, source] of SOURCES.entries()) {
      if (!sources.includes(source)) continue
      const value = String(index + 1)
      if (source.startsWith('SYN_')) env[source] = value
      else if (source === '--zmq-rate') flags['zmq-rate'] = value
      else await writeFile(join(dir, source), `# first line\nzmq:rate: ${value}\n`)
    }
    return load(env, flags)
  }

  test('the strongest source wins, whichever others there are', async () => {
    await fc.assert(
      fc
        .asyncProperty(fc.subarray([...SOURCES], {minLength: 1}), async (sources) => {
          const {conf, origins} = await loadFrom(sources)
          const strongest = sources.at(-1) ?? 'cell.yaml'
          expect(conf['zmq:rate']).toBe(SOURCES.indexOf(strongest) + 1)
          expect(originText(origins['zmq:rate']).replace(`${dir}/`, '')).toBe(
            strongest.endsWith('.yaml') ? `${strongest} line 2` : strongest,
          )
        })
        .afterEach(async () => {
          await rm(dir, {recursive: true})
          await mkdir(dir)
        }),
      {numRuns: 64},
    )
  })

  test('a value given by a program is stronger than a variable and weaker than cell.mods.yaml', async () => {
    const given = {'zmq:rate': 7}
    expect((await loadConf({dir, env: {SYN_REGISTRY_ZMQ_RATE: '1'}, given})).conf['zmq:rate']).toBe(7)
    await modsYaml('zmq:rate: 8\n')
    expect((await loadConf({dir, env: {}, given})).conf['zmq:rate']).toBe(8)
  })

  test('the log variables of the peer are read, and are weaker than the own ones', async () => {
    const both = {SYN_LOG_LEVEL: 'ERROR', SYN_LOG_STRUCT: '1'}
    expect((await load(both)).conf).toMatchObject({'log:level': 'error', 'log:structured': true})
    const own = {SYN_REGISTRY_LOG_LEVEL: 'debug', SYN_REGISTRY_LOG_STRUCTURED: 'no'}
    expect((await load({...both, ...own})).conf).toMatchObject({'log:level': 'debug', 'log:structured': false})
    expect((await load({SYN_LOG_LEVEL: '30'})).conf['log:level']).toBe('warning')
  })

  test('a refused value of a weaker source does not matter when a stronger one is right', async () => {
    await cellYaml('zmq:rate: none\n')
    expect((await load({SYN_AHA_ZMQ_RATE: '9'})).conf['zmq:rate']).toBe(9)
  })
})

const ONCE_URL = 'ssl://aha:27272/0123456789abcdef0123456789abcdef?certhash=8ace'

/** For each live option: a value as it is typed, what it becomes, and one that is refused. */
const SAMPLES: Record<LiveName, readonly [typed: string, value: unknown, refused: string]> = {
  bind: ['127.0.0.9', '127.0.0.9', 'example.net'],
  'zmq:req:port': ['0', 0, '65536'],
  'zmq:pub:port': ['null', null, '-1'],
  'zmq:hb:port': ['65535', 65_535, '5558.5'],
  'zmq:rep:port': ['5559', 5559, 'true'],
  'zmq:types:unique': ['yes', true, 'maybe'],
  'zmq:allow:plain': ['on', true, '1'],
  'zmq:allow:terminate': ['True', true, '"true"'],
  'zmq:reply:within': ['250ms', 250, '500ms'],
  'zmq:rate': ['1_000', 1000, '0'],
  'zmq:hwm': ['0x10', 16, '0'],
  'zmq:pub:hwm': ['012', 10, '1e3'],
  'discover:strategy': ['least-recent', 'least-recent', 'Random'],
  'lease:grace': ['1:30', 90_000, '-1'],
  'cleanup:interval': ['1.5', 1500, '0'],
  backend: ['memory', 'memory', 'etcd'],
  'log:level': ['Debug', 'debug', 'loud'],
  'log:structured': ['1', true, '2'],
  'dns:name': ['aha.example.net', 'aha.example.net', 'https://aha'],
  'aha:network': ['prod.example.net', 'prod.example.net', 'two words'],
  'aha:name': ['00.aha', '00.aha', '00.aha...'],
  'aha:leader': ['registry', 'registry', 'registry...'],
  'aha:user': ['root', 'root', '7'],
  'aha:admin': ['root@example.net', 'root@example.net', 'two words'],
  'aha:registry': ['[ssl://aha, "tcp://root:secret@aha"]', ['ssl://aha', 'tcp://root:secret@aha'], 'aha'],
  mirror: ['ssl://aha', ['ssl://aha'], 'tcp://root:secret@aha'],
  'aha:provision': ['ssl://aha:27272/8ace', ['ssl://aha:27272/8ace'], 'ssl://root:secret@aha'],
  'aha:promotable': ['no', false, '0'],
  'leader:confirm': ['1m', 60_000, '-1'],
  'leader:alone': ['yes', true, '1'],
  'aha:svcinfo': [
    '{urlinfo: {scheme: ssl, host: aha, port: 1}, more: [1]}',
    {urlinfo: {scheme: 'ssl', host: 'aha', port: 1}, more: [1]},
    '{urlinfo: {scheme: ssl, host: aha, port: 0}}',
  ],
  'aha:urls': ['ssl://aha', ['ssl://aha'], 'ssl://root:secret@aha'],
  'dmon:listen': ['tcp://127.0.0.1:0', 'tcp://127.0.0.1:0', 'http://127.0.0.1'],
  'telepath:name': ['registry', 'registry', '7'],
  'telepath:allow:plain': ['yes', true, '1'],
  'provision:listen': ['ssl://127.0.0.1:0', 'ssl://127.0.0.1:0', 'https://127.0.0.1'],
  'provision:expires': ['never', null, 'tomorrow'],
  'provision:service:root': ['no', false, '1'],
  'bridge:zmq:to:aha': ['yes', true, 'both'],
  'bridge:aha:to:zmq': ['true', true, '2'],
  'https:bind': ['::1', '::1', 'example.net'],
  'https:port': ['0', 0, '70000'],
  'https:headers': ['{X-A: b}', {'X-A': 'b'}, '{Content-Length: "3"}'],
  'https:parse:proxy:remoteip': ['yes', true, '1'],
  clone: [ONCE_URL, ONCE_URL, 'tcp://aha/0123456789abcdef0123456789abcdef'],
  'limit:disk:free': ['10', 10, '101'],
  'auth:passwd': ['hunter2', 'hunter2', '[hunter2]'],
  'auth:anon': ['guest', 'guest', '7'],
  'auth:passwd:policy': ['{attempts: 3}', {attempts: 3}, '{attempts: 0}'],
  'max:users': ['5', 5, '-1'],
  inaugural: ['{roles: [{name: readers}]}', {roles: [{name: 'readers'}]}, '{users: [{name: root}]}'],
  'cell:guid': ['20ed1a3500a8122ddbc34c192ba60f0b', '20ed1a3500a8122ddbc34c192ba60f0b', 'abc'],
  'boothooks:dir': ['/etc/hooks', '/etc/hooks', '7'],
  'onboot:optimize': ['true', true, 'maybe'],
  safemode: ['on', true, '1'],
  'backup:dir': ['/srv/backups', '/srv/backups', '7'],
  'backup:max:age': ['1d', 86_400_000, 'tomorrow'],
  'health:sysctl:checks': ['no', false, '0'],
}

/** What is an object or a secret is not given on a command line, the identity neither there nor by a variable. */
const NO_FLAG: readonly LiveName[] = [
  ...(['https:headers', 'auth:passwd', 'auth:passwd:policy', 'inaugural', 'cell:guid'] as const),
  ...(['aha:registry', 'aha:provision', 'aha:svcinfo', 'mirror', 'clone'] as const),
]
const NO_VARIABLE: readonly LiveName[] = ['cell:guid']
const OF_AHA: readonly string[] = ['provision:listen', 'aha:urls', 'bridge:zmq:to:aha', 'bridge:aha:to:zmq']
const MEMBER = {SYN_REGISTRY_AHA_NETWORK: 'prod.example.net', SYN_REGISTRY_AHA_NAME: '00.registry'}
const AHA = {SYN_REGISTRY_AHA_NETWORK: 'prod.example.net', SYN_REGISTRY_DNS_NAME: 'aha.prod.example.net'}

/** Variables without which an option means nothing. */
function baseOf(name: string): Env {
  if (OF_AHA.includes(name)) return AHA
  if (name === 'aha:registry') return MEMBER
  return name === 'aha:svcinfo' ? {...MEMBER, SYN_REGISTRY_AHA_REGISTRY: 'ssl://aha'} : {}
}

describe.each(LIVE_NAMES)('%s', (name) => {
  const [typed, value, refused] = SAMPLES[name]
  const [variable] = variablesOf(name)
  const flag = flagOf(name)?.name
  const base = baseOf(name)

  test('is set by a file, and by a variable and a flag where it may', async () => {
    expect(variable === undefined).toBe(NO_VARIABLE.includes(name))
    expect(flag === undefined).toBe(NO_FLAG.includes(name))
    if (variable !== undefined) {
      const {conf, origins} = await load({...base, [variable]: typed})
      expect(conf[name]).toEqual(value)
      expect(originText(origins[name])).toBe(variable)
    }
    if (flag !== undefined) expect((await load(base, {[flag]: typed})).conf[name]).toEqual(value)
    await cellYaml(`\n${name}: ${typed}\n`)
    const fromFile = await load(base)
    expect(fromFile.conf[name]).toEqual(value)
    expect(originText(fromFile.origins[name])).toBe(`${dir}/cell.yaml line 2`)
  })

  test('refuses a wrong value and names its source', async () => {
    await cellYaml(`\n\n${name}: ${refused}\n`)
    const [problem, ...more] = await problemsOf()
    expect(more).toEqual([])
    expect(problem).toMatch(new RegExp(`^${name} must be .* \\(got .*, from cell\\.yaml line 3\\)$`))
    await rm(join(dir, 'cell.yaml'))
    const byVariable = variable === undefined ? [] : await problemsOf({[variable]: refused})
    expect(byVariable).toEqual(variable === undefined ? [] : [refusedFrom(name, variable)])
    const byFlag = flag === undefined ? [] : await problemsOf({}, {[flag]: refused})
    expect(byFlag).toEqual(flag === undefined ? [] : [refusedFrom(name, `--${flag}`)])
  })
})

function refusedFrom(name: LiveName, source: string): unknown {
  return expect.stringMatching(new RegExp(`^${name} must be .*, from ${source}\\)$`))
}

describe('a Telepath listener', () => {
  test.each([
    'tcp://127.0.0.1:27492',
    'tcp://[::1]:0',
    'tcp://localhost',
    'ssl://0.0.0.0:27492?hostname=a.example.net&ca=example.net',
  ])('%s is safe', async (url) => {
    await cellYaml(`dmon:listen: ${url}\n`)
    expect(await problemsOf()).toEqual([])
  })

  test('is not plain off loopback unless that is said to be all right', async () => {
    await cellYaml('dmon:listen: tcp://192.0.2.10:27492\n')
    expect(await problemsOf()).toEqual([
      expect.stringContaining('is plain Telepath off loopback: passwords and data could be read on the way'),
    ])
    expect(await problemsOf({SYN_AHA_TELEPATH_ALLOW_PLAIN: 'true'})).toEqual([])
  })

  test('has a port that exists', async () => {
    await cellYaml('dmon:listen: tcp://127.0.0.1:99999\n')
    expect(await problemsOf()).toEqual([expect.stringContaining('99999 is no port')])
  })
})

describe('an AHA', () => {
  const listeners = async () => {
    const {conf} = await load()
    return [conf['dmon:listen'], conf['provision:listen'], conf['https:bind']]
  }

  test('is on with a network and a public name, and then listens on all addresses', async () => {
    await cellYaml('aha:network: prod.example.net\ndns:name: aha.prod.example.net\n')
    expect(await listeners()).toEqual([
      'ssl://0.0.0.0:27492?hostname=aha.prod.example.net&ca=prod.example.net',
      'ssl://0.0.0.0:27272?hostname=aha.prod.example.net',
      '0.0.0.0',
    ])
  })

  test('listens where it is told to, and nowhere when told so', async () => {
    await cellYaml(
      'aha:network: n.net\ndns:name: a.n.net\ndmon:listen: null\nprovision:listen: ssl://127.0.0.1:0\nhttps:bind: "::1"\n',
    )
    expect(await listeners()).toEqual([null, 'ssl://127.0.0.1:0', '::1'])
  })

  test('asks nobody for a certificate who comes to get his first', async () => {
    const names = 'aha:network: n.net\ndns:name: a.n.net\n'
    for (const query of ['?hostname=a.n.net&ca=n.net', '?ca=n.net']) {
      await cellYaml(`${names}provision:listen: ssl://127.0.0.1:0${query}\n`)
      expect(await problemsOf()).toEqual([
        expect.stringContaining('provision:listen: ca= asks for client certificates'),
      ])
    }
    await cellYaml(`${names}provision:listen: ssl://127.0.0.1:0?hostname=ca.net\n`)
    expect(await problemsOf()).toEqual([])
  })

  test('has a network whose name leaves room for root in a certificate', async () => {
    await cellYaml(`aha:network: ${'n'.repeat(60)}\ndns:name: a.n.net\n`)
    expect(await problemsOf()).toEqual([expect.stringContaining('aha:network must have at most 59 characters')])
    await cellYaml(`aha:network: ${'n'.repeat(59)}\ndns:name: a.n.net\n`)
    expect(await problemsOf()).toEqual([])
  })

  test.each(['aha:urls: ssl://a.n.net', 'provision:listen: tcp://127.0.0.1:27272'])(
    'has the name that older releases of the peer gave it, where %j says that it is one',
    async (line) => {
      await cellYaml(`aha:network: n.net\naha:name: a\n${line}\n`)
      const [telepath, , https] = await listeners()
      expect([telepath, https]).toEqual(['ssl://0.0.0.0:27492?hostname=a.n.net&ca=n.net', '0.0.0.0'])
      await cellYaml(`aha:network: n.net\naha:name: a\ndns:name: b.n.net\n${line}\n`)
      expect((await listeners())[0]).toBe('ssl://0.0.0.0:27492?hostname=b.n.net&ca=n.net')
    },
  )

  test('is not on for any other service that has a name', async () => {
    await cellYaml('aha:network: n.net\naha:name: 00.axon\n')
    expect(await listeners()).toEqual([null, null, '127.0.0.1'])
  })

  test.each(['aha:network: n.net\n', 'dns:name: a.n.net\nhttps:bind: 127.0.0.1\n'])(
    'is off with %j, and what only an AHA does is refused',
    async (half) => {
      await cellYaml(half)
      expect(await listeners()).toEqual([null, null, '127.0.0.1'])
      await cellYaml(`${half}aha:urls: ssl://a.n.net\nprovision:listen: ssl://127.0.0.1:0\n`)
      expect((await problemsOf()).map((problem) => problem.split(',', 1)[0])).toEqual([
        'provision:listen needs aha:network and dns:name',
        'aha:urls needs aha:network and dns:name',
      ])
    },
  )
})

describe('a service that registers at an AHA', () => {
  test('listens for TLS on a port of the system unless told otherwise, with the names that the AHA knows', async () => {
    const names = 'aha:network: n.net\naha:name: 00.registry\n'
    await cellYaml(`${names}aha:registry: ssl://aha.n.net\n`)
    expect((await load()).conf['dmon:listen']).toBe('ssl://0.0.0.0:0?hostname=00.registry.n.net&ca=n.net')
    await cellYaml(`${names}aha:registry: ssl://aha.n.net\ndmon:listen: ssl://127.0.0.1:7\n`)
    expect((await load()).conf['dmon:listen']).toBe('ssl://127.0.0.1:7')
    await cellYaml(names)
    expect((await load()).conf['dmon:listen']).toBeNull()
  })

  test('may be an AHA itself, with the listener of one', async () => {
    await cellYaml('aha:network: n.net\naha:name: 01.aha\ndns:name: a.n.net\naha:registry: ssl://aha.n.net\n')
    expect((await load()).conf['dmon:listen']).toBe('ssl://0.0.0.0:27492?hostname=a.n.net&ca=n.net')
  })

  test.each([
    ['aha:registry: ssl://aha\naha:network: n.net\n', 'aha:registry needs aha:name and aha:network'],
    ['aha:registry: ssl://aha\naha:name: x\n', 'aha:registry needs aha:name and aha:network'],
    [
      'aha:registry: ssl://aha\naha:network: n.net\naha:name: x\ndmon:listen: null\n',
      'aha:registry needs dmon:listen or aha:svcinfo',
    ],
    ['aha:svcinfo: {urlinfo: {scheme: ssl, host: x, port: 1}}\n', 'aha:svcinfo needs aha:registry'],
    ['aha:provision: ssl://aha/x\ndns:name: a.n.net\n', 'aha:provision is not for an AHA'],
    [
      'aha:provision: ssl://aha/x\naha:network: n.net\naha:name: aha\nprovision:listen: ssl://0.0.0.0:1\n',
      'aha:provision is not for an AHA',
    ],
  ])('%j is refused with the reason', async (text, said) => {
    await cellYaml(text)
    expect(await problemsOf()).toEqual([expect.stringContaining(said)])
  })

  test('needs none of it while it has a one-time URL that brings it', async () => {
    await cellYaml('aha:provision: ssl://aha/x\naha:registry: ssl://aha\n')
    expect(await problemsOf()).toEqual([])
  })

  test('needs none of it, nor what an AHA needs, while it is to become a clone', async () => {
    await cellYaml(`clone: ${ONCE_URL}\nprovision:listen: ssl://127.0.0.1:0\n`)
    expect(await problemsOf()).toEqual([])
  })

  test.each([
    ['aha:provision: ssl://aha/x\n', 'clone and aha:provision are two ways to begin'],
    ['backend: memory\n', 'clone needs backend: sqlite'],
  ])('refuses a clone beside %j', async (text, said) => {
    await cellYaml(`clone: ${ONCE_URL}\n${text}`)
    expect(await problemsOf()).toEqual([expect.stringContaining(said)])
  })

  test('shows no secret of its URLs', async () => {
    await cellYaml('aha:registry: root:hunter2\naha:provision: [hunter2]\n')
    const problems = await problemsOf()
    expect(problems).toHaveLength(2)
    expect(problems.join()).not.toContain('hunter2')
  })
})

describe('an object says what is wrong in it', () => {
  test.each([
    ['auth:passwd:policy', '{complexity: {len: 3}}', 'without "len" in complexity: known are length'],
    ['auth:passwd:policy', '{complexity: {"upper:count": -1}}', 'a whole number from 0 in upper:count'],
    ['inaugural', '{roles: [{rules: []}]}', 'a name for each in roles'],
    [
      'inaugural',
      '{users: [{name: visi, rules: [[true, []]]}]}',
      'a list of rules such as [true, [axon, upload]] in rules',
    ],
    ['aha:svcinfo', '{urlinfo: {host: aha, port: 1}}', 'an object with urlinfo that has scheme and host'],
    ['aha:svcinfo', '{urlinfo: {scheme: ssl, host: aha, port: 1}, at: .inf}', 'without infinities and the like'],
    ['https:headers', '{"a b": c}', '"a b" is no header name'],
    ['https:headers', '{X-A: "b\\nc"}', 'the value of X-A must be a text of printable ASCII'],
  ])('%s: %s', async (name, typed, said) => {
    await cellYaml(`${name}: ${typed}\n`)
    expect(await problemsOf()).toEqual([expect.stringContaining(said)])
  })
})

describe('options of parts that are not there', () => {
  test('a secret is in no message', async () => {
    await cellYaml('auth:passwd: [hunter2]\n')
    const [problem] = await problemsOf()
    expect(problem).toContain('got a value that is not shown')
    const error = await load().catch((thrown: unknown) => thrown)
    expect(JSON.stringify([(error as RegistryError).message, (error as RegistryError).info])).not.toContain('hunter2')
  })

  test('a whole configuration of an AHA server is answered option by option', async () => {
    await cellYaml(
      'aha:network: prod.example.net\ndns:name: aha.prod.example.net\nprovision:listen: tcp://0.0.0.0:27272\nnexslog:en: true\nhttps:port: null\n' +
        'aha:user: root\nclone: ssl://aha:27272/00\n',
    )
    expect((await problemsOf()).map((problem) => problem.split(' ', 1)[0])).toEqual(['clone', 'provision:listen:'])
  })
})

describe('warnings', () => {
  test.each(OPTION_NAMES.filter((name) => rowOf(name).kind === 'peer-only'))('%s is taken and named', async (name) => {
    await cellYaml(`${name}: ${rowOf(name).example}\n`)
    expect(await warningsOf()).toEqual([
      expect.stringMatching(new RegExp(`^${name} has no effect here: .+ \\(from cell\\.yaml line 1\\)$`)),
    ])
  })

  test('a deprecated option is named with what to use instead', async () => {
    expect(await warningsOf({SYN_AHA_AHA_URLS: 'null'})).toEqual([
      'aha:urls is deprecated; use dns:name (from SYN_AHA_AHA_URLS)',
    ])
  })

  test('each is given once, for the source that counts', async () => {
    await cellYaml('nexslog:async: true\n')
    await modsYaml('nexslog:async: false\n')
    expect(await warningsOf({SYN_AHA_NEXSLOG_ASYNC: 'true'})).toEqual([
      'nexslog:async has no effect here: the peer ignores it as well (from cell.mods.yaml line 1)',
    ])
  })

  test('an unknown variable of the peer is one, with the nearest name', async () => {
    expect(
      await warningsOf({SYN_AHA_ZMQ_RATTE: '1', SYN_AHACELL_QQQQQQQQQQQQQQ: '', SYN_CORTEX_AXON: 'x', SYN_AHA: 'x'}),
    ).toEqual([
      'SYN_AHA_ZMQ_RATTE is not an option of the registry and has no effect; did you mean SYN_AHA_ZMQ_RATE?',
      'SYN_AHACELL_QQQQQQQQQQQQQQ is not an option of the registry and has no effect',
    ])
  })
})

describe('what is refused', () => {
  test('an unknown key, with the nearest known one', async () => {
    await cellYaml('bind: 127.0.0.1\nzmq:reqport: 1\nqqqqqqqqqqqqqqqqqqqqqq: 1\n__proto__: 1\nconstructor: 1\n')
    expect(await problemsOf()).toEqual([
      'zmq:reqport is not an option (from cell.yaml line 2); did you mean zmq:req:port?',
      'qqqqqqqqqqqqqqqqqqqqqq is not an option (from cell.yaml line 3)',
      '__proto__ is not an option (from cell.yaml line 4)',
      'constructor is not an option (from cell.yaml line 5)',
    ])
  })

  test('an unknown variable with our own prefix', async () => {
    expect(await problemsOf({SYN_REGISTRY_ZMQ_RATTE: '1'})).toEqual([
      'SYN_REGISTRY_ZMQ_RATTE is not an option of the registry; did you mean SYN_REGISTRY_ZMQ_RATE?',
    ])
  })

  test('what the peer does not take from its environment either', async () => {
    expect(await problemsOf({SYN_REGISTRY_CELL_GUID: 'null'})).toHaveLength(1)
    expect(flagOf('cell:guid')).toBeUndefined()
  })

  test('text that is no YAML, with its place', async () => {
    await cellYaml('bind: 127.0.0.1\nzmq:rate: [1\n')
    expect(await problemsOf({SYN_AHA_ZMQ_HWM: '{a'})).toEqual([
      expect.stringMatching(/^cell\.yaml line 3, column 1: /),
      expect.stringMatching(/^SYN_AHA_ZMQ_HWM line 1, column \d+: /),
    ])
  })

  test('a variable of more than 4 KiB and a file of more than 64 KiB', async () => {
    await cellYaml(`# ${'x'.repeat(64 * 1024)}`)
    expect(await problemsOf({SYN_AHA_BIND: 'x'.repeat(4097)})).toEqual([
      'cell.yaml line 1, column 1: longer than 65536 bytes',
      'SYN_AHA_BIND line 1, column 1: longer than 4096 bytes',
    ])
  })

  test('a file that is a list, or no UTF-8, or a directory', async () => {
    await cellYaml('- bind\n')
    expect(await problemsOf()).toEqual(['cell.yaml line 1: must be a mapping of options to values'])
    await writeFile(join(dir, 'cell.yaml'), Buffer.from('bind: \xff\n', 'latin1'))
    expect(await problemsOf()).toEqual(['cell.yaml is not UTF-8 text'])
    await rm(join(dir, 'cell.yaml'))
    await mkdir(join(dir, 'cell.yaml'))
    expect(await problemsOf()).toEqual(['cell.yaml is not a plain file'])
  })

  test('a pipe, without waiting for its other end', async () => {
    execFileSync(MAKE_PIPE, [join(dir, 'cell.yaml')])
    expect(await problemsOf()).toEqual(['cell.yaml is not a plain file'])
  })

  test('a listener off loopback, until it is allowed', async () => {
    for (const bind of ['0.0.0.0', '192.0.2.1', '"::"', '"fe80::1"', '"::ffff:192.0.2.1"']) {
      await cellYaml(`\nbind: ${bind}\n`)
      expect(await problemsOf()).toEqual([
        expect.stringMatching(
          /^bind: .* is not a loopback address.*Set zmq:allow:plain: true .*\(from cell\.yaml line 2\)$/,
        ),
      ])
      expect(await problemsOf({SYN_REGISTRY_ZMQ_ALLOW_PLAIN: 'true'})).toEqual([])
    }
    for (const bind of ['127.0.0.1', '127.1.2.3', '"::1"', 'localhost']) {
      await cellYaml(`bind: ${bind}\n`)
      expect(await problemsOf()).toEqual([])
    }
  })

  test('an address off loopback is fine when nothing listens on it', async () => {
    await cellYaml('bind: 0.0.0.0\nzmq:req:port: null\nzmq:pub:port: null\nzmq:hb:port: null\n')
    expect(await problemsOf()).toEqual([])
  })

  test('the same port twice, blamed on the one that was set', async () => {
    await cellYaml('zmq:req:port: 5557\n')
    expect(await problemsOf()).toEqual([
      'zmq:pub:port and zmq:req:port must be different ports (both are 5557; zmq:req:port is from cell.yaml line 1)',
    ])
    await cellYaml('zmq:req:port: 0\nzmq:pub:port: 0\nzmq:hb:port: null\n')
    expect(await problemsOf()).toEqual([])
  })

  test('all of it together, with the next commands', async () => {
    await cellYaml('zmq:rate: 0\nbackend: etcd\nnope: 1\n')
    const error = await load({SYN_REGISTRY_NOPE: '1'}).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(RegistryError)
    const {code, message, hints, info} = error as RegistryError
    expect(code).toBe('REG_CONFIG_INVALID')
    expect(message.split('\n')).toHaveLength(5)
    expect(message).toMatch(/^4 things are wrong in the configuration:\n {2}nope is not an option/)
    expect(hints).toEqual([
      'registry config explain zmq:rate',
      'registry config explain backend',
      'registry config validate',
    ])
    expect((info['problems'] as unknown[]).length).toBe(4)
  })
})

describe('reloading', () => {
  test('tells what can be applied from what needs a restart', async () => {
    const before = (await load()).conf
    await cellYaml('log:level: debug\nlease:grace: 1m\nbind: 127.0.0.2\nzmq:hwm: 7\nzmq:rate: 50000\n')
    expect(compareConf(before, (await load()).conf)).toEqual({
      live: ['lease:grace', 'log:level'],
      restart: ['bind', 'zmq:hwm'],
    })
    expect(compareConf(before, before)).toEqual({live: [], restart: []})
  })
})

describe('the table', () => {
  test('gives each option its own variables and flag', () => {
    const variables = OPTION_NAMES.flatMap(variablesOf)
    expect(new Set(variables).size).toBe(variables.length)
    const flags = serveFlags().map(({name}) => name)
    expect(new Set(flags).size).toBe(flags.length)
    expect(variablesOf('zmq:req:port')).toEqual([
      'SYN_REGISTRY_ZMQ_REQ_PORT',
      'SYN_AHA_ZMQ_REQ_PORT',
      'SYN_AHACELL_ZMQ_REQ_PORT',
    ])
  })

  test('gives flags that say their default, and hides those without effect', () => {
    expect(flagOf('zmq:req:port')).toEqual({
      option: 'zmq:req:port',
      name: 'zmq-req-port',
      type: 'text',
      summary: 'Port of ZeroMQ requests; 0 takes a free one, null switches the listener off.',
      defaultText: '5556',
      hidden: false,
    })
    expect(flagOf('log:structured')).toMatchObject({name: 'structured-logging', type: 'boolean'})
    expect(flagOf('nexslog:en')).toMatchObject({name: 'nexslog-en', hidden: true})
    expect(flagOf('https:headers')).toBeUndefined()
  })

  test('is in one sentence per option, with an example that is accepted', async () => {
    for (const name of OPTION_NAMES) {
      expect(OPTIONS[name].about, name).toMatch(/^[A-Z][^\n]*\.$/)
      if (rowOf(name).kind !== 'live') continue
      await cellYaml(
        `zmq:allow:plain: true\n${name === 'zmq:allow:plain' ? '' : `${name}: ${OPTIONS[name].example}\n`}`,
      )
      expect(await problemsOf(baseOf(name)), name).toEqual([])
    }
  })
})

describe('laws', () => {
  test('no bytes in the file do more than make problems', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({maxLength: 300}), async (bytes) => {
        await writeFile(join(dir, 'cell.yaml'), bytes)
        const {conf} = await inspectConf({dir, env: {}})
        expect(Object.keys(conf)).toEqual(LIVE_NAMES)
      }),
      {numRuns: 300},
    )
  })

  test('no value of an option does more than make a problem', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...OPTION_NAMES),
        fc.anything({withBigInt: true, withNullPrototype: true}),
        async (name, value) => {
          const {problems, conf} = await inspectConf({dir, env: {}, given: {[name]: value}})
          expect(problems.every(({message}) => message.length < 400)).toBe(true)
          expect(Object.keys(conf)).toEqual(LIVE_NAMES)
        },
      ),
      {numRuns: 500},
    )
  })
})
