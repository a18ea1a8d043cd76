import {X509Certificate} from 'node:crypto'
import {mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, onTestFinished, test} from 'vitest'
import {RegistryError} from '../../../src/base/errors.ts'
import {type Enrolled, type EnrollOrder, enroll} from '../../../src/client/enroll/enroll.ts'
import {CertDir} from '../../../src/pki/cert-dir.ts'
import {makeCsr, readCsr, signCsr} from '../../../src/pki/csr.ts'
import {DEFAULT_TTL_MS, loadSigner} from '../../../src/pki/issuer.ts'
import {encodePem} from '../../../src/pki/pem.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {certsWithCa, freshCerts, NETWORK} from '../../pki/certs.ts'
import {newKey} from '../../support/provision.ts'
import {type Meddle, OnceAha} from './once-aha.ts'

const USER = `visi@${NETWORK}`
const AHA_URL = `ssl://aha.${NETWORK}:27492?certname=${USER}`

interface Home {
  readonly dir: string
  readonly certs: CertDir
  enroll(url: string, more?: Partial<EnrollOrder>): Promise<Enrolled>
  /** Throws unless it is refused. */
  refusal(url: string, more?: Partial<EnrollOrder>): Promise<RegistryError>
  read(path: string): Promise<string>
  /** Files below it, without the lock. */
  files(): Promise<string[]>
}

async function home(): Promise<Home> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-home-'))
  onTestFinished(() => rm(dir, {recursive: true}))
  const certs = new CertDir(join(dir, 'certs'))
  const run = (url: string, more: Partial<EnrollOrder> = {}) =>
    enroll({url, certDir: certs, synDir: dir, replace: false, ...more})
  return {
    dir,
    certs,
    enroll: run,
    refusal: async (url, more) => {
      const error = await run(url, more).catch((thrown: unknown) => thrown)
      if (error instanceof RegistryError) return error
      throw new Error('it was not refused', {cause: error})
    },
    read: (path) => readFile(join(dir, path), 'utf8'),
    files: async () => {
      const all = await readdir(dir, {recursive: true, withFileTypes: true})
      const files = all.filter((one) => one.isFile() && one.name !== '.lock')
      return files.map((one) => join(one.parentPath, one.name).slice(dir.length + 1)).toSorted()
    },
  }
}

describe('enrolling', () => {
  test('writes the authority, a certificate for a key that only the owner reads, and the AHA', async () => {
    const aha = await OnceAha.start()
    const me = await home()
    const url = await aha.userUrl()
    expect(await me.enroll(url)).toEqual({
      user: USER,
      network: NETWORK,
      files: [
        me.certs.pathOf('ca', NETWORK, 'crt'),
        me.certs.pathOf('user', USER, 'key'),
        me.certs.pathOf('user', USER, 'crt'),
      ],
      config: join(me.dir, 'telepath.yaml'),
      ahaServers: [AHA_URL],
      added: [AHA_URL],
    })
    expect(await me.read('telepath.yaml')).toBe(`version: 1\naha:servers:\n- ${AHA_URL}\n`)
    const key = await me.certs.key('user', USER)
    expect(key.asymmetricKeyDetails?.modulusLength).toBe(2048)
    expect((await stat(me.certs.pathOf('user', USER, 'key'))).mode & 0o777).toBe(0o600)
    const certificate = await me.certs.certificate('user', USER)
    expect(certificate.checkPrivateKey(key) && certificate.verify(aha.provision.ca.publicKey)).toBe(true)
    expect(aha.calls).toEqual(['getUserInfo', 'getCaCert', 'signUserCsr'])
    expect(await me.files()).toEqual([
      `certs/cas/${NETWORK}.crt`,
      `certs/users/${USER}.crt`,
      `certs/users/${USER}.key`,
      'telepath.yaml',
    ])
    expect(await me.refusal(url, {replace: true})).toMatchObject({code: 'REG_NOT_FOUND'})
  })

  test('of a second user leaves what the first has', async () => {
    const aha = await OnceAha.start()
    const me = await home()
    await me.enroll(await aha.userUrl())
    const second = await me.enroll(await aha.userUrl('bob'))
    expect(second.files.map((path) => path.slice(me.dir.length))).toEqual([
      `/certs/users/bob@${NETWORK}.key`,
      `/certs/users/bob@${NETWORK}.crt`,
    ])
    expect(await me.read('telepath.yaml')).toBe(
      `version: 1\naha:servers:\n- ${AHA_URL}\n- ${AHA_URL.replace('visi', 'bob')}\n`,
    )
  })

  test('keeps the comments of telepath.yaml, and an entry that is there', async () => {
    const aha = await OnceAha.start()
    const me = await home()
    const before = `# mine\naha:servers:\n- ${AHA_URL} # known\n# more\ncertdirs: []\nversion: 1\n`
    await writeFile(join(me.dir, 'telepath.yaml'), before)
    expect(await me.enroll(await aha.userUrl())).toMatchObject({added: []})
    expect(await me.read('telepath.yaml')).toBe(before)
  })

  test('adds the certificate to come with to the URLs of an AHA that does not say it', async () => {
    const urls = ['ssl://aha.demo.net', 'ssl://01.aha.demo.net:1?certname=old@demo.net', 'tcp://aha.demo.net:2']
    const aha = await OnceAha.start((method, answer) =>
      method === 'getUserInfo' ? {...(answer as object), 'aha:urls': urls} : answer,
    )
    const me = await home()
    expect((await me.enroll(await aha.userUrl())).ahaServers).toEqual([
      `ssl://aha.demo.net?certname=${USER}`,
      `ssl://01.aha.demo.net:1?certname=${USER}`,
      'tcp://aha.demo.net:2',
    ])
  })
})

describe('what is there', () => {
  test('is not replaced, and the URL stays good; with force it is kept as .bak', async () => {
    const aha = await OnceAha.start()
    const me = await home()
    await me.enroll(await aha.userUrl())
    const before = await me.read(`certs/users/${USER}.crt`)
    const url = await aha.userUrl('visi', true)
    expect(await me.refusal(url)).toMatchObject({
      code: 'REG_FILE_EXISTS',
      message: expect.stringContaining('The URL is not used'),
    })
    expect(await me.read(`certs/users/${USER}.crt`)).toBe(before)
    await me.enroll(url, {replace: true})
    expect(await me.read(`certs/users/${USER}.crt`)).not.toBe(before)
    expect(await me.read(`certs/users/${USER}.crt.bak`)).toBe(before)
  })

  test('another authority of that name is not replaced, before anything is signed', async () => {
    const aha = await OnceAha.start()
    const me = await home()
    await using other = await certsWithCa()
    await me.certs.create('ca', NETWORK, 'crt', await other.dir.read('ca', NETWORK, 'crt'))
    const url = await aha.userUrl()
    const refused = await me.refusal(url)
    expect(refused).toMatchObject({code: 'REG_FILE_EXISTS', message: expect.stringContaining('another authority')})
    expect(aha.calls).not.toContain('signUserCsr')
    await me.enroll(url, {replace: true})
    expect(await me.read(`certs/cas/${NETWORK}.crt.bak`)).toBe(await other.dir.read('ca', NETWORK, 'crt'))
  })

  test('a certificate of the same network is refused before the AHA is spoken to', async () => {
    const me = await home()
    await using other = await certsWithCa()
    await other.issue('user', USER)
    await me.certs.create('user', USER, 'crt', await other.dir.read('user', USER, 'crt'))
    for (const host of [NETWORK, `aha.${NETWORK}`]) {
      const url = `ssl://${host}:1/${'0'.repeat(32)}?certhash=${'0'.repeat(64)}`
      expect(await me.refusal(url)).toMatchObject({code: 'REG_FILE_EXISTS'})
    }
    // A name that only ends alike is another network.
    expect(await me.refusal(`tcp://not${NETWORK}.invalid:1/${'0'.repeat(32)}`)).toMatchObject({
      code: 'REG_UNREACHABLE',
      hints: [expect.stringContaining('resolve'), 'give the same URL again then: it is as good as before'],
    })
  })

  test.each([
    ['aha:servers: {}\nversion: 1\n', 'aha:servers must be a list'],
    ['version: 2\n', 'its version is 2, not 1'],
    ['a: [\n', 'telepath.yaml'],
  ])('a telepath.yaml that cannot be used is refused before the AHA is spoken to: %j', async (text, said) => {
    const aha = await OnceAha.start()
    const me = await home()
    await writeFile(join(me.dir, 'telepath.yaml'), text)
    expect(await me.refusal(await aha.userUrl())).toMatchObject({
      code: 'REG_CONFIG_INVALID',
      message: expect.stringContaining(said),
    })
    expect(aha.greetings).toBe(0)
  })
})

describe('an enrollment that was cut off', () => {
  test('after the certificate was signed goes on with the same URL and key, for 10 minutes', async () => {
    const aha = await OnceAha.start((method, answer, self) => {
      if (method === 'signUserCsr') self.cut()
      return answer
    })
    const me = await home()
    const url = await aha.userUrl()
    expect(await me.refusal(url)).toMatchObject({code: 'REG_LINK_CLOSED'})
    expect((await me.files()).filter((name) => !name.startsWith('enroll/'))).toEqual([])
    // Somebody else who has the URL gets nothing.
    expect(await (await home()).refusal(url)).toMatchObject({code: 'REG_NOT_FOUND'})
    aha.meddle = undefined
    expect(await me.enroll(url)).toMatchObject({user: USER, added: [AHA_URL]})
    expect((await me.certs.certificate('user', USER)).checkPrivateKey(await me.certs.key('user', USER))).toBe(true)
    expect(await me.files()).toHaveLength(4)
  })

  test('at any call goes on', async () => {
    for (const at of ['getUserInfo', 'getCaCert']) {
      const aha = await OnceAha.start((method, answer, self) => {
        if (method === at) self.cut()
        return answer
      })
      const me = await home()
      const url = await aha.userUrl()
      expect((await me.refusal(url)).code, at).toBe('REG_LINK_CLOSED')
      aha.meddle = undefined
      expect(await me.enroll(url), at).toMatchObject({user: USER})
    }
  })

  test('because a file could not be written goes on without the AHA', async () => {
    const me = await home()
    const path = me.certs.pathOf('user', USER, 'crt')
    const aha = await OnceAha.start(async (method, answer) => {
      // A directory where the certificate is to be.
      if (method === 'signUserCsr') await mkdir(path, {recursive: true})
      return answer
    })
    const url = await aha.userUrl()
    expect((await me.refusal(url)).message).toContain(path)
    await rm(path, {recursive: true})
    expect(await me.enroll(url)).toMatchObject({files: [path], added: [AHA_URL]})
    expect(aha.greetings).toBe(1)
    expect(await me.files()).toHaveLength(4)
  })

  test('keeps its key where only the owner reads it, and does not show the URL by its name', async () => {
    const aha = await OnceAha.start((method, answer, self) => {
      if (method === 'signUserCsr') self.cut()
      return answer
    })
    const me = await home()
    const url = await aha.userUrl()
    await me.refusal(url)
    const [name = ''] = await me.files()
    expect(name).toMatch(/^enroll\/[0-9a-f]{32}\.json$/)
    expect(url).not.toContain(name.slice(7, 39))
    expect((await stat(join(me.dir, name))).mode & 0o777).toBe(0o600)
  })
})

describe('an answer that is not what was asked for', () => {
  /** Signs another request than the one that came, or in another way. */
  async function signedWrongly(name: string, purpose: 'host' | 'user', isOurKey: boolean): Promise<Meddle> {
    const certs = await freshCerts()
    const signer = await loadSigner(certs.dir, NETWORK)
    const ca = Buffer.from(await certs.dir.read('ca', NETWORK, 'crt'))
    return async (method, answer) => {
      if (method === 'getCaCert') return ca
      if (method !== 'signUserCsr') return answer
      const got = new X509Certificate(answer as Uint8Array)
      const csr = readCsr(await makeCsr(name, await newKey(), {isCa: false, alternativeNames: []}))
      const request = {name, publicKey: isOurKey ? got.publicKey : csr.publicKey}
      const signed = await signCsr(request, purpose, signer, {nowMs: Date.now(), ttlMs: DEFAULT_TTL_MS})
      return Buffer.from(encodePem('CERTIFICATE', signed.raw))
    }
  }

  const answering =
    (method: string, value: (answer: Value) => Value): Meddle =>
    (called, answer) =>
      called === method ? value(answer) : answer

  test.each<[string, string, () => Meddle | Promise<Meddle>]>([
    ['for another name', 'and visi@demo.net was asked for', () => signedWrongly(`root@${NETWORK}`, 'user', true)],
    ['for another key', 'is for another key', () => signedWrongly(USER, 'user', false)],
    ['for another use', 'is not for use as user certificate', () => signedWrongly(USER, 'host', true)],
    ['of another authority', 'the known demo.net has not signed it', otherAuthority],
    ['no certificate', 'is no certificate', () => answering('signUserCsr', () => Buffer.from('-----BEGIN'))],
    ['a text', 'it is no certificate', () => answering('signUserCsr', (answer) => String(answer))],
    ['too long', 'it is no certificate', () => answering('signUserCsr', () => Buffer.alloc(65_537))],
    ['no object', 'it is not an object', () => answering('getUserInfo', () => [1])],
    [
      'no name',
      'aha:user: it is no name',
      () => answering('getUserInfo', (told) => ({...(told as object), 'aha:user': 'a/../b'})),
    ],
    ['no network', 'aha:network: it is no name', () => answering('getUserInfo', () => ({'aha:user': 'visi'}))],
    [
      'no URL',
      'aha:urls: it is no URL',
      () => answering('getUserInfo', (told) => ({...(told as object), 'aha:urls': ['a b']})),
    ],
    [
      'a password',
      'there is a password',
      () => answering('getUserInfo', (told) => ({...(told as object), 'aha:urls': 'ssl://a:b@c'})),
    ],
  ])('%s is refused, and nothing is written', async (_, said, meddle) => {
    const aha = await OnceAha.start(await meddle())
    const me = await home()
    const refused = await me.refusal(await aha.userUrl())
    expect(refused.message).toContain(said)
    expect(['REG_CERT_INVALID', 'REG_BAD_ANSWER']).toContain(refused.code)
    expect((await me.files()).filter((name) => !name.startsWith('enroll/'))).toEqual([])
  })

  async function otherAuthority(): Promise<Meddle> {
    const certs = await freshCerts()
    const pem = Buffer.from(await certs.dir.read('ca', NETWORK, 'crt'))
    return answering('getCaCert', () => pem)
  }

  test('an authority of another name, and one that is none, are refused before anything is signed', async () => {
    const certs = await freshCerts()
    await certs.issue('ca', 'other.net')
    await certs.issue('user', USER)
    const other = await certs.dir.read('ca', 'other.net', 'crt')
    const user = await certs.dir.read('user', USER, 'crt')
    for (const [pem, said] of [
      [other, 'the authority is named "other.net", and not demo.net'],
      [user, `the authority is named "${USER}"`],
    ] as const) {
      const aha = await OnceAha.start(answering('getCaCert', () => Buffer.from(pem)))
      expect((await (await home()).refusal(await aha.userUrl())).message).toContain(said)
      expect(aha.calls).not.toContain('signUserCsr')
    }
  })
})

describe('a URL', () => {
  test('for a service says so, in words', async () => {
    const aha = await OnceAha.start()
    const me = await home()
    expect(await me.refusal(await aha.serviceUrl())).toMatchObject({
      code: 'REG_USAGE',
      message: 'the one-time URL is for a service, and not for a user',
      hints: [expect.stringContaining('aha:provision'), expect.stringContaining('used it up')],
    })
    expect(await me.files()).toEqual([])
  })

  test('is in no error', async () => {
    const aha = await OnceAha.start()
    const iden = '0123456789abcdef0123456789abcdef'
    const me = await home()
    const unknown = await me.refusal(aha.url(iden))
    expect(unknown).toMatchObject({
      code: 'REG_NOT_FOUND',
      hints: [expect.stringContaining('provision user NAME --again')],
    })
    const url = await aha.userUrl()
    const own = url.slice(-32)
    aha.meddle = () => {
      throw new RegistryError('REG_BAD_REQUEST', `no ${own}`, {info: {name: own}})
    }
    const failed = await me.refusal(url)
    expect(failed).toMatchObject({code: 'REG_BAD_REQUEST', message: 'no …'})
    const all = [unknown, failed, await me.refusal(`ssl://x/${iden}/y`), await me.refusal(iden)]
    for (const error of all) {
      expect(JSON.stringify([error.message, error.info, error.hints, String(error.cause)])).not.toMatch(/[0-9a-f]{32}/)
    }
  })

  test('is not used when its keys cannot be kept', async () => {
    const aha = await OnceAha.start()
    const me = await home()
    await writeFile(join(me.dir, 'enroll'), '') // nobody can write below a file
    expect(await me.refusal(await aha.userUrl())).toMatchObject({code: 'REG_DIR_UNUSABLE'})
    expect(aha.greetings).toBe(0)
  })

  test('of something that speaks no Telepath ends in time', async () => {
    const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const {port} = server.address() as {port: number}
    const {code} = await (await home()).refusal(`tcp://127.0.0.1:${port}/${'0'.repeat(32)}`)
    expect(['REG_BAD_ANSWER', 'REG_LINK_CLOSED']).toContain(code)
  })
})
