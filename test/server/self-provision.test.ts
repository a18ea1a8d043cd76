import {mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, onTestFinished, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {type GivenConf, provisionSelf} from '../../src/server/self-provision.ts'
import {OnceAha} from '../client/enroll/once-aha.ts'
import {NETWORK} from '../support/provision.ts'
import {silentLog} from '../wire/telepath/silent-log.ts'

const HOST = `00.registry.${NETWORK}`
const NOBODY = `tcp://127.0.0.1:1/${'0'.repeat(32)}`

interface Cell {
  readonly dir: string
  readonly certs: CertDir
  /** What was checked, and what was written. */
  readonly checked: GivenConf[]
  readonly written: GivenConf[]
  readonly lines: string[]
  /** Called before the configuration is written. */
  onWrite: () => void
  onCheck: () => void
  provision(...urls: readonly string[]): Promise<boolean>
  /** Throws unless it is refused. */
  refusal(...urls: readonly string[]): Promise<RegistryError>
  files(): Promise<string[]>
}

async function cell(): Promise<Cell> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-self-'))
  onTestFinished(() => rm(dir, {recursive: true}))
  const certs = new CertDir(join(dir, 'certs'))
  const lines: string[] = []
  const made: Cell = {
    dir,
    certs,
    checked: [],
    written: [],
    lines,
    onWrite: () => undefined,
    onCheck: () => undefined,
    provision: (...urls) =>
      provisionSelf(
        {
          dir,
          certs,
          log: silentLog(lines),
          check: async (given) => {
            made.checked.push(given)
            made.onCheck()
          },
          write: async (given) => {
            made.onWrite()
            made.written.push(given)
          },
        },
        urls,
        undefined,
      ),
    refusal: async (...urls) => {
      const error = await made.provision(...urls).catch((thrown: unknown) => thrown)
      if (error instanceof RegistryError) return error
      throw new Error('it was not refused', {cause: error})
    },
    files: async () =>
      (await readdir(dir, {recursive: true, withFileTypes: true}))
        .filter((one) => one.isFile())
        .map((one) => join(one.parentPath, one.name).slice(dir.length + 1))
        .toSorted(),
  }
  return made
}

const FILES = [
  `certs/cas/${NETWORK}.crt`,
  `certs/hosts/${HOST}.crt`,
  `certs/hosts/${HOST}.key`,
  `certs/users/root@${NETWORK}.crt`,
  `certs/users/root@${NETWORK}.key`,
  'prov.done',
]

describe('a service with a one-time URL', () => {
  test('gets certificates and configuration once, and with the same URL never again', async () => {
    const aha = await OnceAha.start()
    const me = await cell()
    const url = await aha.serviceUrl()
    expect(await me.provision(url)).toBe(true)
    expect(await me.files()).toEqual(FILES)
    expect(await readFile(join(me.dir, 'prov.done'), 'utf8')).toBe(url.slice(-32))
    expect(aha.calls).toEqual(['getProvInfo', 'getCaCert', 'signHostCsr', 'signUserCsr'])
    expect(me.written).toEqual(me.checked)
    expect(me.written).toMatchObject([
      {aha: `tcp://127.0.0.1:${aha.port}`, conf: {'aha:name': '00.registry', 'aha:leader': 'registry'}},
    ])
    for (const [kind, name] of [
      ['host', HOST],
      ['user', `root@${NETWORK}`],
    ] as const) {
      expect((await me.certs.certificate(kind, name)).checkPrivateKey(await me.certs.key(kind, name))).toBe(true)
    }
    expect(await me.provision(NOBODY, url)).toBe(false)
    expect(aha.greetings).toBe(1)
  })

  test('takes another URL as a new beginning, and keeps what it had as .bak', async () => {
    const aha = await OnceAha.start()
    const me = await cell()
    await me.provision(await aha.serviceUrl())
    const before = await me.certs.read('host', HOST, 'crt')
    const url = await aha.serviceUrl()
    expect(await me.provision(url)).toBe(true)
    expect(await me.certs.read('host', HOST, 'crt')).not.toBe(before)
    expect(await readFile(`${me.certs.pathOf('host', HOST, 'crt')}.bak`, 'utf8')).toBe(before)
    expect(await readFile(join(me.dir, 'prov.done'), 'utf8')).toBe(url.slice(-32))
  })

  test('of several URLs takes the first that works, and says why others did not', async () => {
    const aha = await OnceAha.start()
    const me = await cell()
    const used = await aha.serviceUrl()
    await (await cell()).provision(used)
    const good = await aha.serviceUrl('01.registry')
    expect(await me.provision(NOBODY, used, good, NOBODY)).toBe(true)
    expect(me.lines.filter((line) => line.includes('provision.failed'))).toHaveLength(2)
    expect(me.lines.join()).not.toMatch(/[0-9a-f]{32}/)
    expect(await me.refusal(NOBODY)).toMatchObject({code: 'REG_UNREACHABLE'})
  })
})

describe('a refusal leaves everything as it was', () => {
  test('of a URL that is used: what, and what to type', async () => {
    const aha = await OnceAha.start()
    const url = await aha.serviceUrl()
    await (await cell()).provision(url)
    const me = await cell()
    expect(await me.refusal(url)).toMatchObject({
      code: 'REG_NOT_FOUND',
      message: expect.stringMatching(/^aha:provision: tcp:.* does not take this one-time URL/),
      hints: expect.arrayContaining([expect.stringContaining('registry provision service NAME')]),
    })
    expect(await me.files()).toEqual([])
  })

  test('of a configuration that this service cannot have: before anything is signed, and no other URL is tried', async () => {
    const aha = await OnceAha.start()
    const me = await cell()
    me.onCheck = () => {
      throw new RegistryError('REG_CONFIG_INVALID', 'no such option')
    }
    const url = await aha.serviceUrl()
    expect(await me.refusal(url, await aha.serviceUrl())).toMatchObject({code: 'REG_CONFIG_INVALID'})
    expect(aha.greetings).toBe(1)
    expect(aha.calls).not.toContain('signHostCsr')
    expect(await me.files()).toEqual(['prov.pending'])
    // An AHA of ours has not counted it as used.
    me.onCheck = () => undefined
    expect(await me.provision(url)).toBe(true)
  })

  test.each(['http://aha/x', `tcp://127.0.0.1:1/x`])('of what is no one-time URL: %s', async (url) => {
    const me = await cell()
    expect(await me.refusal(NOBODY, url)).toMatchObject({code: 'REG_USAGE'})
    expect(await me.files()).toEqual([])
  })

  test('of a URL for a user', async () => {
    const aha = await OnceAha.start()
    const me = await cell()
    expect(await me.refusal(await aha.userUrl())).toMatchObject({
      code: 'REG_USAGE',
      message: expect.stringContaining('is for a user, and not for a service'),
    })
    expect(await me.files()).toEqual([])
  })

  test.each([
    ['no conf', () => ({iden: 'x'})],
    ['no name', () => ({conf: {'aha:network': NETWORK, 'aha:user': 'root'}})],
    ['a path for a name', () => ({conf: {'aha:network': NETWORK, 'aha:user': 'root', 'aha:name': '../x'}})],
  ])('of an AHA that tells %s', async (_, told) => {
    const aha = await OnceAha.start((method, answer) => (method === 'getProvInfo' ? told() : answer))
    const me = await cell()
    expect(await me.refusal(await aha.serviceUrl())).toMatchObject({code: 'REG_BAD_ANSWER'})
    expect(await me.files()).toEqual([])
  })
})

describe('a start that was cut off', () => {
  test.each(['getProvInfo', 'getCaCert', 'signHostCsr', 'signUserCsr'])('at %s is taken up', async (at) => {
    const aha = await OnceAha.start((method, answer, self) => {
      if (method === at) self.cut()
      return answer
    })
    const me = await cell()
    const url = await aha.serviceUrl()
    expect(await me.refusal(url)).toMatchObject({code: 'REG_LINK_CLOSED'})
    expect((await me.files()).filter((name) => name !== 'prov.pending')).toEqual([])
    aha.meddle = undefined
    // The one whose keys are known goes first.
    const others = at === 'getProvInfo' ? [] : [await aha.serviceUrl('01.registry')]
    expect(await me.provision(...others, url)).toBe(true)
    expect(await readFile(join(me.dir, 'prov.done'), 'utf8')).toBe(url.slice(-32))
  })

  test('after everything came back needs the AHA no more', async () => {
    const aha = await OnceAha.start()
    const me = await cell()
    me.onWrite = () => {
      throw new RegistryError('REG_DIR_UNUSABLE', 'the disk is full')
    }
    const url = await aha.serviceUrl()
    expect(await me.refusal(url)).toMatchObject({code: 'REG_DIR_UNUSABLE'})
    expect(await me.files()).not.toContain('prov.done')
    me.onWrite = () => undefined
    expect(await me.provision(url)).toBe(true)
    expect(aha.greetings).toBe(1)
    expect(await me.files()).toEqual(FILES)
  })

  test('with a mark that cannot be read says so', async () => {
    const me = await cell()
    await mkdir(join(me.dir, 'prov.done'))
    expect(await me.refusal(NOBODY)).toMatchObject({code: 'REG_DIR_UNUSABLE'})
    await rm(join(me.dir, 'prov.done'), {recursive: true})
    await writeFile(join(me.dir, 'prov.pending'), '{"version": 1}')
    expect(await me.refusal(NOBODY)).toMatchObject({code: 'REG_UNREACHABLE'})
  })
})
