import {mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, onTestFinished, test} from 'vitest'
import {RegistryError} from '../../../src/base/errors.ts'
import {loadAuthority} from '../../../src/pki/authority.ts'
import {CertDir} from '../../../src/pki/cert-dir.ts'
import {FETCH_AGAIN_MS} from '../../../src/registry/ticket.ts'
import {cloneSelf} from '../../../src/server/mirroring/self-clone.ts'
import type {GivenConf} from '../../../src/server/self-provision.ts'
import {OnceAha} from '../../client/enroll/once-aha.ts'
import {CELL_IDEN, NETWORK} from '../../support/provision.ts'
import {silentLog} from '../../wire/telepath/silent-log.ts'

const HOST = `01.aha.${NETWORK}`
const FILES = [
  `certs/cas/${NETWORK}.crt`,
  `certs/cas/${NETWORK}.key`,
  `certs/hosts/${HOST}.crt`,
  `certs/hosts/${HOST}.key`,
  'prov.done',
]
/** What is done to the directory, in order. */
const STEPS = ['check', 'adopt', 'write'] as const

class Member {
  readonly dir: string
  readonly certs: CertDir
  readonly done: (readonly [step: (typeof STEPS)[number], value: unknown])[] = []
  readonly lines: string[] = []
  /** The step at which the process dies. */
  diesAt: (typeof STEPS)[number] | undefined

  constructor(dir: string) {
    this.dir = dir
    this.certs = new CertDir(join(dir, 'certs'))
  }

  static async make(): Promise<Member> {
    const dir = await mkdtemp(join(tmpdir(), 'registry-clone-'))
    onTestFinished(() => rm(dir, {recursive: true}))
    return new Member(dir)
  }

  clone(url: string): Promise<boolean> {
    return cloneSelf(
      {
        dir: this.dir,
        storePath: join(this.dir, 'registry.db'),
        certs: this.certs,
        log: silentLog(this.lines),
        check: async (given, cellIden) => this.#step('check', {...given, cellIden}),
        adopt: async (cellIden) => this.#step('adopt', cellIden),
        write: async (given) => this.#step('write', given),
      },
      url,
      undefined,
    )
  }

  async refusal(url: string): Promise<RegistryError> {
    const error = await this.clone(url).catch((thrown: unknown) => thrown)
    if (error instanceof RegistryError) return error
    throw new Error('it was not refused', {cause: error})
  }

  async files(): Promise<string[]> {
    const all = await readdir(this.dir, {recursive: true, withFileTypes: true})
    const paths = all.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
    return paths.map((path) => path.slice(this.dir.length + 1)).toSorted()
  }

  #step(step: (typeof STEPS)[number], value: unknown): void {
    if (this.diesAt === step) throw new Error(`killed at ${step}`)
    this.done.push([step, value])
  }
}

const CONF = {
  'aha:network': NETWORK,
  'dns:name': HOST,
  mirror: `ssl://aha.${NETWORK}:27492?certname=root@${NETWORK}`,
}

describe('a new member with a one-time URL', () => {
  test('gets the authority, a certificate of its own and the configuration of a mirror, once', async () => {
    const aha = await OnceAha.start()
    const me = await Member.make()
    const url = await aha.cloneUrl()
    expect(await me.clone(url)).toBe(true)
    expect(await me.files()).toEqual(FILES)
    const given: GivenConf = {aha: `tcp://127.0.0.1:${aha.port}`, conf: CONF}
    expect(me.done).toEqual([
      ['check', {...given, cellIden: CELL_IDEN}],
      ['adopt', CELL_IDEN],
      ['write', given],
    ])
    const authority = await loadAuthority(me.certs, NETWORK)
    const host = await me.certs.certificate('host', HOST)
    expect(host.checkIssued(authority.certificate)).toBe(true)
    expect(host.checkPrivateKey(await me.certs.key('host', HOST))).toBe(true)
    expect((await stat(me.certs.pathOf('ca', NETWORK, 'key'))).mode & 0o777).toBe(0o600)
    expect(aha.calls).toEqual(['getMemberDef', 'getCaCert', 'signHostCsr', 'getCaKey'])
    expect(await me.clone(url)).toBe(false)
    expect(aha.greetings).toBe(1)
    expect(me.lines.join()).not.toContain(url.slice(-32))
  })

  test.each(['getMemberDef', 'getCaCert', 'signHostCsr', 'getCaKey'])(
    'gets all of it with a second start when the answer to %s was lost',
    async (method) => {
      const aha = await OnceAha.start((called, answer, self) => {
        if (called === method) self.cut()
        return answer
      })
      const me = await Member.make()
      const url = await aha.cloneUrl()
      expect(await me.refusal(url)).toMatchObject({code: 'REG_LINK_CLOSED'})
      aha.meddle = undefined
      expect(await me.clone(url)).toBe(true)
      expect(await me.files()).toEqual(FILES)
      await loadAuthority(me.certs, NETWORK)
    },
  )

  test.each(STEPS)('goes on after a kill at the step %s', async (step) => {
    const aha = await OnceAha.start()
    const me = await Member.make()
    const url = await aha.cloneUrl()
    me.diesAt = step
    await expect(me.clone(url)).rejects.toThrow(`killed at ${step}`)
    me.diesAt = undefined
    expect(await me.clone(url)).toBe(true)
    expect(me.done.slice(-3).map(([done]) => done)).toEqual([...STEPS])
    expect(await me.files()).toEqual(FILES)
  })

  test('keeps what it got when it is killed before all is in its place, however long that takes', async () => {
    const aha = await OnceAha.start()
    const me = await Member.make()
    const url = await aha.cloneUrl()
    me.diesAt = 'write'
    await expect(me.clone(url)).rejects.toThrow()
    me.diesAt = undefined
    aha.provision.book.clock.nowMs += FETCH_AGAIN_MS
    expect(await me.clone(url)).toBe(true)
  })

  test('is too late for a lost answer after ten minutes, and is told to ask for another URL', async () => {
    const aha = await OnceAha.start((called, answer, self) => {
      if (called === 'getCaKey') self.cut()
      return answer
    })
    const me = await Member.make()
    const url = await aha.cloneUrl()
    await me.refusal(url)
    aha.provision.book.clock.nowMs += FETCH_AGAIN_MS
    const {code, hints} = await me.refusal(url)
    expect({code, hints}).toMatchObject({
      code: 'REG_NOT_FOUND',
      hints: expect.arrayContaining([expect.stringContaining('registry clone NAME')]),
    })
  })
})

describe('it is refused', () => {
  test('in a directory that has a store of its own, and the URL stays good', async () => {
    const aha = await OnceAha.start()
    const me = await Member.make()
    const url = await aha.cloneUrl()
    await writeFile(join(me.dir, 'registry.db'), 'data')
    expect(await me.refusal(url)).toMatchObject({
      code: 'REG_CONFIG_INVALID',
      message: expect.stringContaining('of its own'),
    })
    expect(await me.files()).toEqual(['registry.db'])
    expect(aha.greetings).toBe(0)
    await (await Member.make()).clone(url)
  })

  test('with the URL of a service, which stays good', async () => {
    const aha = await OnceAha.start()
    const me = await Member.make()
    expect(await me.refusal(await aha.serviceUrl())).toMatchObject({
      code: 'REG_USAGE',
      message: 'clone: the one-time URL is for a service, and not for a clone',
    })
    expect(await me.files()).toEqual([])
  })

  test.each([
    ['getMemberDef', {}, 'it has no conf'],
    ['getMemberDef', {conf: CONF}, 'it names no cell'],
    ['getMemberDef', {conf: {...CONF, 'dns:name': 'a/b'}, cell: CELL_IDEN}, 'it is no name'],
    ['getCaKey', 'text', 'it is no key'],
    ['getCaKey', Buffer.from('sealed for somebody else'), 'not sealed for'],
  ])('when %s answers with %j', async (method, answer, message) => {
    const aha = await OnceAha.start((called, given) => (called === method ? answer : given))
    const me = await Member.make()
    const url = await aha.cloneUrl()
    expect(await me.refusal(url)).toMatchObject({code: 'REG_BAD_ANSWER', message: expect.stringContaining(message)})
    expect((await me.files()).filter((name) => name.startsWith('certs'))).toEqual([])
  })
})

test('nothing of the keys is left beside their places', async () => {
  const aha = await OnceAha.start()
  const me = await Member.make()
  await me.clone(await aha.cloneUrl())
  const secrets = FILES.filter((name) => name.endsWith('.key'))
  for (const name of await me.files()) {
    const text = await readFile(join(me.dir, name), 'utf8')
    expect(text.includes('PRIVATE KEY'), name).toBe(secrets.includes(name))
  }
})
