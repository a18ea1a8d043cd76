import {mkdir, readFile, stat, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {describe, expect, onTestFinished, test} from 'vitest'
import {CertDir, checkCertName} from '../../src/pki/cert-dir.ts'
import {emptyCerts, type TestCerts} from './certs.ts'

async function fresh(): Promise<TestCerts> {
  const certs = await emptyCerts()
  onTestFinished(() => certs[Symbol.asyncDispose]())
  return certs
}

async function touch(dir: CertDir, name: string): Promise<void> {
  await dir.create('user', name, 'crt', 'x')
}

describe('the user certificate for a name', () => {
  const walks: readonly (readonly [has: string, asked: string, found: string])[] = [
    ['visi@00.js.demo.net', 'visi@00.js.demo.net', 'visi@00.js.demo.net'],
    ['visi@js.demo.net', 'visi@00.js.demo.net', 'visi@js.demo.net'],
    ['visi@demo.net', 'visi@00.js.demo.net', 'visi@demo.net'],
    ['visi@net', 'visi@00.js.demo.net', 'visi@net'],
    ['visi', 'visi', 'visi'],
    ['a@b@demo.net', 'a@b@demo.net', 'a@b@demo.net'],
  ]
  test.each(walks)('is %s for %s', async (has, asked, found) => {
    const {dir} = await fresh()
    await touch(dir, has)
    expect(await dir.userCertFor(asked)).toBe(found)
  })

  test('is the nearest one', async () => {
    const {dir} = await fresh()
    for (const name of ['visi@net', 'visi@demo.net']) await touch(dir, name)
    expect(await dir.userCertFor('visi@00.demo.net')).toBe('visi@demo.net')
  })

  test.each(['visi@js.demo.org', 'fred@demo.net', 'visi'])('is missing for %s', async (asked) => {
    const {dir} = await fresh()
    await touch(dir, 'visi@demo.net')
    await expect(dir.userCertFor(asked)).rejects.toMatchObject({code: 'REG_CERT_MISSING', telepath: 'NoSuchCert'})
  })
})

describe('stacked directories', () => {
  test('give what the first of them has, and take what is written into the first', async () => {
    const [one, two] = [await fresh(), await fresh()]
    await two.dir.create('host', 'a.net', 'crt', 'two')
    await two.dir.create('host', 'b.net', 'crt', 'two')
    await one.dir.create('host', 'b.net', 'crt', 'one')
    const both = new CertDir(one.path, two.path)
    expect(await both.read('host', 'a.net', 'crt')).toBe('two')
    expect(await both.read('host', 'b.net', 'crt')).toBe('one')
    await both.create('host', 'a.net', 'crt', 'new')
    expect(await one.dir.read('host', 'a.net', 'crt')).toBe('new')
    expect(await two.dir.read('host', 'a.net', 'crt')).toBe('two')
    expect(await both.list('host', 'crt')).toEqual([
      {name: 'a.net', path: join(one.path, 'hosts', 'a.net.crt')},
      {name: 'b.net', path: join(one.path, 'hosts', 'b.net.crt')},
    ])
  })

  test('need not exist to be read', async () => {
    const dir = new CertDir('/nonexistent/a', '/nonexistent/b')
    expect(await dir.list('ca', 'crt')).toEqual([])
    expect(await dir.find('host', 'a.net', 'crt')).toBeUndefined()
    await expect(dir.key('host', 'a.net')).rejects.toMatchObject({code: 'REG_CERT_MISSING', telepath: 'NoCertKey'})
  })
})

describe('a file of a certificate directory', () => {
  test.each(['key', 'p12'] as const)('of the kind %s can be read by its owner alone', async (ending) => {
    const {dir} = await fresh()
    for (const path of [await dir.create('user', 'a', ending, '1'), await dir.replace('user', 'a', ending, '2')]) {
      expect((await stat(path)).mode & 0o777).toBe(0o600)
    }
    expect((await stat(`${dir.pathOf('user', 'a', ending)}.bak`)).mode & 0o777).toBe(0o600)
    expect((await stat(join(dir.paths[0], 'users'))).mode & 0o777).toBe(0o700)
  })

  test('is not replaced by accident', async () => {
    const {dir} = await fresh()
    await dir.create('user', 'a', 'crt', 'old')
    await expect(dir.create('user', 'a', 'crt', 'new')).rejects.toMatchObject({
      code: 'REG_FILE_EXISTS',
      telepath: 'DupFileName',
    })
    expect(await dir.read('user', 'a', 'crt')).toBe('old')
  })

  test('is made by one of many that make it at the same time', async () => {
    const {dir} = await fresh()
    const made = await Promise.allSettled([1, 2, 3, 4].map((one) => dir.create('user', 'a', 'key', `key ${one}`)))
    const winner = made.findIndex(({status}) => status === 'fulfilled')
    expect(made.filter(({status}) => status === 'fulfilled')).toHaveLength(1)
    expect(await dir.read('user', 'a', 'key')).toBe(`key ${winner + 1}`)
    expect(await dir.list('user', 'key')).toHaveLength(1)
  })

  test('leaves the old one beside it when it is replaced', async () => {
    const {dir} = await fresh()
    await dir.replace('user', 'a', 'crt', 'first')
    await dir.replace('user', 'a', 'crt', 'second')
    expect(await readFile(`${dir.pathOf('user', 'a', 'crt')}.bak`, 'utf8')).toBe('first')
    expect(await dir.list('user', 'crt')).toHaveLength(1)
  })

  test('is refused when it is no certificate, no key, or without end', async () => {
    const {dir} = await fresh()
    await dir.create('host', 'a', 'crt', 'rubbish')
    await dir.create(
      'host',
      'a',
      'key',
      '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII=\n-----END ENCRYPTED PRIVATE KEY-----',
    )
    await dir.create('host', 'b', 'crt', 'x'.repeat(4 * 1024 * 1024 + 1))
    const bad = {code: 'REG_CERT_INVALID', telepath: 'BadCertBytes'}
    await expect(dir.certificate('host', 'a')).rejects.toMatchObject(bad)
    await expect(dir.key('host', 'a')).rejects.toMatchObject({...bad, message: expect.stringContaining('passphrase')})
    await expect(dir.certificate('host', 'b')).rejects.toMatchObject(bad)
  })

  test('that is a folder is none', async () => {
    const {dir, path} = await fresh()
    await mkdir(join(path, 'hosts', 'a.crt'), {recursive: true})
    expect(await dir.find('host', 'a', 'crt')).toBeUndefined()
  })

  test('that is hidden or a copy is not listed', async () => {
    const {dir, path} = await fresh()
    await dir.create('ca', 'demo.net', 'crt', 'x')
    for (const name of ['.demo.net.crt.1.tmp', '.hidden.crt', 'demo.net.crt.bak'])
      await writeFile(join(path, 'cas', name), 'x')
    expect((await dir.list('ca', 'crt')).map(({name}) => name)).toEqual(['demo.net'])
  })
})

describe('a name', () => {
  test.each([
    '',
    '.',
    '..',
    '../a',
    'a/b',
    '/etc/passwd',
    'a\\b',
    'a\0b',
    'a\nb',
    'a..b',
    '.a',
    'é'.repeat(101),
    '\ud800',
  ])('like %j leads nowhere', (name) => {
    expect(() => checkCertName(name)).toThrow(expect.objectContaining({code: 'REG_BAD_REQUEST'}))
  })

  test.each(['demo.net', 'visi@demo.net', 'The Signer', 'größe.net', '00.axon'])('like %s is fine', (name) => {
    expect(() => checkCertName(name)).not.toThrow()
  })
})
