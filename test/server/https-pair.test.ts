import {X509Certificate} from 'node:crypto'
import {mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {ensureHttpsPair, readHttpsPair} from '../../src/server/https-pair.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pair-'))
})
afterEach(() => rm(dir, {recursive: true}))

describe('the pair of the HTTPS listener', () => {
  test('is made where there is none: for the type of the cell, the key for the owner alone', async () => {
    expect(await ensureHttpsPair(dir, Date.now())).toBe(true)
    expect((await readdir(dir)).sort()).toEqual(['sslcert.pem', 'sslkey.pem'])
    expect(((await stat(join(dir, 'sslkey.pem'))).mode & 0o777).toString(8)).toBe('600')
    const {cert, key} = await readHttpsPair(dir)
    const certificate = new X509Certificate(cert)
    expect(certificate.subject).toBe('CN=ahacell')
    expect(certificate.subjectAltName).toBe('DNS:ahacell, DNS:localhost')
    expect(certificate.verify(certificate.publicKey)).toBe(true)
    expect(key).toContain('PRIVATE KEY')
  })

  test('is used as it is where there is one', async () => {
    await ensureHttpsPair(dir, Date.now())
    const before = await readFile(join(dir, 'sslcert.pem'), 'utf8')
    expect(await ensureHttpsPair(dir, Date.now())).toBe(false)
    expect(await readFile(join(dir, 'sslcert.pem'), 'utf8')).toBe(before)
  })

  test.each([
    ['sslcert.pem', 'sslkey.pem'],
    ['sslkey.pem', 'sslcert.pem'],
  ])('is not made, and nothing is replaced, where there is only %s', async (there, absent) => {
    await writeFile(join(dir, there), 'mine')
    await expect(ensureHttpsPair(dir, Date.now())).rejects.toMatchObject({
      code: 'REG_CERT_INVALID',
      message: expect.stringContaining(`${absent} is not`),
    })
    expect(await readFile(join(dir, there), 'utf8')).toBe('mine')
  })

  test('that cannot be read is an error that names the file', async () => {
    await expect(readHttpsPair(dir)).rejects.toMatchObject({
      code: 'REG_CERT_INVALID',
      message: `cannot read ${join(dir, 'sslcert.pem')}: ENOENT`,
    })
  })
})
