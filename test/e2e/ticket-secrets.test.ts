// One-time URLs are made, used and taken back, with passwords among what they tell; then all files are searched.
import {randomBytes} from 'node:crypto'
import {readdir, readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {withTeleEnv} from '../../src/client/telepath/tele-env.ts'
import {makeCsr} from '../../src/pki/csr.ts'
import {newPrivateKey} from '../../src/pki/keys.ts'
import {startAhaServer} from '../support/aha-server.ts'

const HOST = 'aha.demo.net'

/** Every file below a directory, as it is on the disk. */
async function filesIn(dir: string): Promise<readonly (readonly [name: string, text: string])[]> {
  const entries = await readdir(dir, {recursive: true, withFileTypes: true})
  const paths = entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []))
  return await Promise.all(paths.map(async (path) => [path, (await readFile(path)).toString('latin1')] as const))
}

test('no file of the data directory has a one-time URL that was made, nor what it tells', async () => {
  await using server = await startAhaServer({'log:level': 'DEBUG'})
  const passwd = `needle${randomBytes(8).toString('hex')}`
  const urls: string[] = []
  {
    await using root = await openTelepath(`cell://${server.dir}`)
    const call = async (method: string, ...args: readonly never[] | readonly unknown[]) =>
      String(await root.call(method, {args: args as never}))
    urls.push(await call('addAhaSvcProv', '00.axon', {conf: {'mysql:passwd': passwd}}))
    urls.push(await call('addAhaSvcProv', '01.axon', {conf: {'mysql:passwd': passwd}}))
    urls.push(await call('addAhaUserEnroll', 'visi'))
    urls.push(await call('addAhaClone', '01.aha.demo.net'))
    const [service = '', revoked = '', user = ''] = urls
    await using env = await withTeleEnv({dir: server.dir, certDirs: [], serviceDir: join(server.dir, 'none')})
    const at = (url: string) => `${url.replace(HOST, '127.0.0.1')}&hostname=${HOST}`
    await using asService = await env.open(at(service), {spareLinks: 0})
    expect(await asService.call('getProvInfo')).toMatchObject({
      iden: /\/([0-9a-f]{32})\?/.exec(service)?.[1],
      conf: {'mysql:passwd': passwd},
    })
    await using asUser = await env.open(at(user), {spareLinks: 0})
    const csr = await makeCsr('visi@demo.net', await newPrivateKey('p256'), {isCa: false, alternativeNames: []})
    await asUser.call('signUserCsr', {args: [Buffer.from(csr)]})
    await call('delProvision', /\/([0-9a-f]{8})/.exec(revoked)?.[1])
  }
  const idens = urls.map((url) => /\/([0-9a-f]{32})\?/.exec(url)?.[1] ?? '')
  const find = async () => {
    const files = await filesIn(server.dir)
    expect(
      files.some(([name, text]) => name.endsWith('registry.db') && text.includes(idens[0]?.slice(0, 8) ?? '')),
    ).toBe(true)
    return files.flatMap(([name, text]) => [...idens, passwd].filter((needle) => text.includes(needle)).map(() => name))
  }
  await server.stop()
  expect(idens.map(({length}) => length)).toEqual([32, 32, 32, 32])
  expect(await find()).toEqual([])
})
