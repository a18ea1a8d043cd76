import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {chmod, mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setImmediate} from 'node:timers/promises'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {cleanEnv, LAUNCHER, runCli} from '../support/cli.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-cert-cli-'))
  await cert('ca', 'demo.net', '--key', 'p256')
})
afterAll(() => rm(dir, {recursive: true}))

/** Runs `registry cert …` on the directory of this test, and keeps all that it said. */
const said: string[] = []
async function cert(...args: readonly string[]) {
  const result = await runCli(['cert', ...args], {env: {SYN_CERT_DIR: dir}})
  said.push(result.stdout, result.stderr)
  return result
}
async function json(...args: readonly string[]) {
  const {status, stdout} = await cert(...args, '--json')
  return {status, data: JSON.parse(stdout)}
}

describe('making certificates', () => {
  test('signs with the only authority there is, and says so', async () => {
    const {status, stdout, stderr} = await cert('host', 'aha.demo.net', '--sans', 'DNS:localhost,IP:127.0.0.1')
    expect({status, stderr}).toEqual({
      status: 0,
      stderr: `signed by demo.net, the only authority with a key in ${dir}\n`,
    })
    expect(stdout).toContain(`key saved          ${dir}/hosts/aha.demo.net.key\n`)
    expect((await stat(`${dir}/hosts/aha.demo.net.key`)).mode & 0o777).toBe(0o600)
    const {data} = await json('show', 'aha.demo.net')
    expect(data).toMatchObject({ok: true, key: 'RSA 2048', chain: ['aha.demo.net', 'demo.net'], privateKey: 'private'})
    expect(data.alternativeNames).toEqual(['DNS:aha.demo.net', 'DNS:localhost', 'IP:127.0.0.1'])
  })

  test('refuses what is there with 5, and with --force keeps it as .bak', async () => {
    await cert('user', 'visi@demo.net', '--key', 'p256')
    const old = await readFile(`${dir}/users/visi@demo.net.crt`, 'utf8')
    expect(await json('user', 'visi@demo.net', '--key', 'p256')).toMatchObject({
      ...{status: 5, data: {error: {code: 'REG_FILE_EXISTS'}}},
    })
    expect(await json('user', 'visi@demo.net', '--key', 'p256', '--force')).toMatchObject({status: 0})
    expect(await readFile(`${dir}/users/visi@demo.net.crt.bak`, 'utf8')).toBe(old)
  })

  test('asks which authority is meant when there are several', async () => {
    await cert('ca', 'other.net', '--key', 'p256')
    expect(await json('user', 'x@demo.net')).toMatchObject({status: 2, data: {error: {code: 'REG_USAGE'}}})
    await rm(`${dir}/cas/other.net.key`)
  })

  test.each([
    [['user', 'x@demo.net', '--signas', 'nope'], 3, 'REG_CERT_MISSING'],
    [['user', 'x@demo.net', '--signas', 'other.net'], 3, 'REG_CERT_MISSING'],
    [['user', 'x'.repeat(65)], 2, 'REG_BAD_REQUEST'],
    [['user', '../../x'], 2, 'REG_BAD_REQUEST'],
    [['user', 'x', '--ttl', 'forever'], 2, 'REG_USAGE'],
    [['host', 'x', '--sans', 'nonsense'], 2, 'REG_BAD_REQUEST'],
    [['show', 'nope'], 3, 'REG_CERT_MISSING'],
    [['sign', './nope.csr', '--kind', 'host'], 3, 'REG_CERT_MISSING'],
    [['revoke', 'nope'], 3, 'REG_CERT_MISSING'],
    [['revoke'], 2, 'REG_USAGE'],
    [['renew', 'nope'], 3, 'REG_CERT_MISSING'],
  ])('%j ends with %i', async (args, status, code) => {
    expect(await json(...args)).toMatchObject({status, data: {error: {code}}})
  })

  test('goes by way of a request to an authority elsewhere and back', async () => {
    const there = await mkdtemp(join(tmpdir(), 'registry-cert-there-'))
    await cert('csr', '00.axon.demo.net', '--kind', 'host', '--certdir', there, '--key', 'p256')
    const request = `${there}/hosts/00.axon.demo.net.csr`
    expect(await json('sign', request, '--kind', 'host', '--name', 'other')).toMatchObject({status: 4})
    await cert('sign', request, '--kind', 'host', '--name', '00.axon.demo.net')
    await cert('import', `${dir}/cas/demo.net.crt`, '--certdir', there)
    const {data} = await json('import', `${dir}/hosts/00.axon.demo.net.crt`, '--certdir', there)
    expect(data).toMatchObject({kind: 'host', name: '00.axon.demo.net', answered: request})
    expect(await cert('check', '00.axon.demo.net', '--certdir', there)).toMatchObject({status: 0})
    await rm(there, {recursive: true})
  })
})

describe('checking', () => {
  test('answers by exit status', async () => {
    await cert('user', 'short@demo.net', '--key', 'p256', '--ttl', '10d')
    expect(await cert('check', 'short@demo.net')).toMatchObject({status: 0})
    expect(await cert('check', 'short@demo.net', '--expires-in', '9d')).toMatchObject({status: 0})
    const {status, data} = await json('check', 'short@demo.net', '--expires-in', '11d')
    expect({status, ok: data.ok}).toEqual({status: 8, ok: false})
    expect(data.certificates[0].problems).toEqual([expect.stringMatching(/^expires in (9d 23h|10d)$/)])
  })

  test('judges a file by what the directory trusts', async () => {
    const stranger = await mkdtemp(join(tmpdir(), 'registry-cert-stranger-'))
    await cert('ca', 'demo.net', '--key', 'p256', '--certdir', stranger)
    await cert('user', 'eve@demo.net', '--key', 'p256', '--certdir', stranger)
    const {status, data} = await json('check', `${stranger}/users/eve@demo.net.crt`, '--kind', 'user')
    expect(status).toBe(8)
    expect(data.certificates[0].problems).toEqual([expect.stringMatching(/^bad signature: /)])
    await rm(stranger, {recursive: true})
  })

  test('says that others may read a key', async () => {
    await cert('user', 'open@demo.net', '--key', 'p256')
    const key = `${dir}/users/open@demo.net.key`
    await chmod(key, 0o644)
    expect(await json('check', 'open@demo.net')).toMatchObject({status: 8})
    await rm(key)
    await rm(`${dir}/users/open@demo.net.crt`)
  })
})

describe('revoking', () => {
  test('does nothing without a yes, shows before and after, and the check knows it', async () => {
    await cert('user', 'fred@demo.net', '--key', 'p256')
    expect(await json('revoke', 'fred@demo.net')).toMatchObject({status: 2})
    const dry = await json('revoke', 'fred@demo.net', '--dry-run')
    expect(dry).toMatchObject({status: 0, data: {isChanged: false, isDryRun: true}})
    expect(await readdir(dir)).not.toContain('crls')
    const {data} = await json('revoke', 'fred@demo.net', '--yes', '--reason', 'keyCompromise')
    expect(data).toMatchObject({ca: 'demo.net', isChanged: true, before: 0, after: 1, reason: 'keyCompromise'})
    expect(await json('revoke', 'fred@demo.net', '--yes')).toMatchObject({
      status: 0,
      data: {isChanged: false, after: 1},
    })
    const check = await json('check', 'fred@demo.net')
    expect(check.status).toBe(8)
    expect(check.data.certificates[0].problems).toEqual([expect.stringMatching(/^revoked: .*keyCompromise/)])
  })

  test('goes by serial number where the certificate is not here', async () => {
    const args = ['revoke', '--serial', '00:AB:cd', '--signas', 'demo.net', '--yes']
    expect(await json(...args)).toMatchObject({status: 0, data: {serial: 'abcd', isChanged: true}})
  })
})

describe('renewing', () => {
  test('renews what is due and runs the hook once, and not when nothing is due', async () => {
    const own = await mkdtemp(join(tmpdir(), 'registry-cert-renew-'))
    const there = (...args: readonly string[]) => json(...args, '--certdir', own)
    await there('ca', 'demo.net', '--key', 'p256')
    await there('host', 'a.demo.net', '--key', 'p256', '--ttl', '1h', '--backdate', '2h')
    await there('host', 'b.demo.net', '--key', 'p256', '--ttl', '1h')
    const hook = `printf '%s' "$REGISTRY_RENEWED" >> ${own}/hooked`
    expect(await there('renew', '--dry-run', '--hook', hook)).toMatchObject({
      ...{
        status: 0,
        data: {
          ok: true,
          certificates: [
            {name: 'a.demo.net', state: 'due'},
            {name: 'b.demo.net', state: 'not due'},
          ],
        },
      },
    })
    const {status, data} = await there('renew', '--hook', hook)
    expect(status).toBe(0)
    expect(data.certificates).toMatchObject([
      {name: 'a.demo.net', state: 'renewed'},
      {name: 'b.demo.net', state: 'not due'},
    ])
    await there('renew', '--kind', 'host', 'b.demo.net', '--hook', hook)
    expect(await readFile(join(own, 'hooked'), 'utf8')).toBe('host/a.demo.net')
    const failed = await there('renew', 'b.demo.net', '--now', '--hook', 'exit 3')
    expect(failed).toMatchObject({status: 1, data: {error: {code: 'REG_HOOK_FAILED'}}})
    await rm(`${own}/cas/demo.net.key`)
    expect(await there('renew', '--now')).toMatchObject({status: 8, data: {ok: false}})
    await rm(own, {recursive: true})
  })
})

describe('secrets', () => {
  const PLANTED = 'planted-passphrase-5ca1ab1e'

  test('a passphrase comes from a file or the standard input, never from the command line', async () => {
    const file = join(dir, 'passphrase')
    await writeFile(file, `${PLANTED}\n`, {mode: 0o600})
    await cert('user', 'p@demo.net', '--key', 'p256')
    expect(await cert('p12', 'p@demo.net')).toMatchObject({status: 2})
    expect(await cert('p12', 'p@demo.net', '--passphrase', PLANTED)).toMatchObject({status: 2})
    said.splice(-2) // this text named the flag's value because the user typed it
    expect(await cert('p12', 'p@demo.net', '--passphrase-file', file)).toMatchObject({status: 0})
    expect((await stat(`${dir}/users/p@demo.net.p12`)).mode & 0o777).toBe(0o600)
  })

  test('no process has one in its arguments or environment while it works', async () => {
    const child = spawn(LAUNCHER, ['cert', 'p12', 'p@demo.net', '--passphrase-stdin', '--force'], {
      env: cleanEnv({SYN_CERT_DIR: dir}),
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const ended = once(child, 'close')
    child.stdin.on('error', () => undefined) // it may end before it reads
    child.stdin.end(PLANTED)
    let isRunning = true
    const seen: string[] = []
    void ended.then(() => {
      isRunning = false
    })
    while (isRunning) {
      for (const part of ['cmdline', 'environ'])
        seen.push(await readFile(`/proc/${child.pid}/${part}`, 'utf8').catch(() => ''))
      await setImmediate()
    }
    expect((await ended)[0]).toBe(0)
    expect(seen.join('')).toContain('--passphrase-stdin')
    expect(seen.join('')).not.toContain(PLANTED)
  })

  test('nothing of a key or a passphrase was ever said', async () => {
    const keys = (await readdir(dir, {recursive: true})).filter((name) => name.endsWith('.key'))
    const lines = await Promise.all(keys.map((name) => readFile(join(dir, name), 'utf8')))
    const secrets = lines.flatMap((text) => text.split('\n').filter((line) => /^[A-Za-z0-9+/=]{20,}$/.test(line)))
    expect(secrets.length).toBeGreaterThan(20)
    const all = said.join('\n')
    expect(all.length).toBeGreaterThan(5000)
    for (const secret of [PLANTED, 'PRIVATE KEY', ...secrets]) expect(all.includes(secret)).toBe(false)
  })
})
