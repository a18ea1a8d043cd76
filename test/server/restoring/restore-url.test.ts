import {existsSync} from 'node:fs'
import {mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {directorySource, writeArchive} from '../../../src/backup/archive-write.ts'
import type {Manifest} from '../../../src/backup/manifest.ts'
import {NO_PROGRESS} from '../../../src/backup/progress.ts'
import {Restoring} from '../../../src/server/restoring/restore.ts'
import {openSource} from '../../../src/server/restoring/restore-source.ts'
import {restoreFromUrl} from '../../../src/server/restoring/restore-url.ts'
import {SqliteStore} from '../../../src/store/sqlite.ts'
import {backUp} from '../../support/cell-backup.ts'
import {makeBackup} from '../../support/made-backup.ts'
import {serveWebPages, type WebPages} from '../../support/web-pages.ts'
import {silentLog} from '../../wire/telepath/silent-log.ts'

const {signal} = new AbortController()
const SECRET = 'token=s3cret'
let home = ''
let web: WebPages
let port = 0
let made = 0

async function archiveOf(dir: string, manifest: Manifest, compression: 'gzip' | 'zstd'): Promise<Buffer> {
  const source = directorySource(dir, manifest)
  return Buffer.concat(await Array.fromAsync(writeArchive(source, {compression, progress: NO_PROGRESS, signal})))
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-restore-url-'))
  web = await serveWebPages()
  const {pages} = web
  port = web.port
  const cell = join(home, 'cell')
  await mkdir(cell)
  {
    await using store = new SqliteStore(join(cell, 'registry.db'))
    await store.open()
    await store.append([{timeMs: 1, actor: 'test', change: '{"kind":"log:rotate","v":1}', effect: {kind: 'rotate'}}])
  }
  await writeFile(join(cell, 'cell.guid'), 'ab'.repeat(16))
  const manifest = await backUp(cell, join(home, 'b1'))
  const gzip = await archiveOf(join(home, 'b1'), manifest, 'gzip')
  pages.set('/b1.tgz', gzip)
  pages.set('/b1.tar.zst', await archiveOf(join(home, 'b1'), manifest, 'zstd'))
  pages.set('/cut.tgz', gzip.subarray(0, gzip.length - 200))
  pages.set('/text', Buffer.from('<html>not here</html>'))
  const cellOf = {kind: 'synapse', iden: 'cd'.repeat(16), type: 'axon', name: null, version: null} as const
  const axon = await makeBackup(join(home, 'axon'), undefined, {cell: cellOf})
  pages.set('/axon.tgz', await archiveOf(join(home, 'axon'), axon, 'gzip'))
})
afterAll(async () => {
  await web[Symbol.asyncDispose]()
  await rm(home, {recursive: true})
})

const urlOf = (path: string, scheme = 'https+insecure') => `${scheme}://visi:pw0rd@127.0.0.1:${port}${path}?${SECRET}`

async function restore(url: string, dir: string, follows?: 'mirror' | 'clone'): Promise<readonly string[]> {
  const lines: string[] = []
  const readConf = () => Promise.resolve({minFreePercent: 0, isMirror: false, backupDir: null})
  try {
    await restoreFromUrl(url, {
      dir,
      log: silentLog(lines),
      signal,
      wallMs: () => Date.parse('2026-11-21T12:00:00Z'),
      readConf,
      follows,
    })
  } finally {
    expect(lines.join('\n')).not.toMatch(/s3cret|pw0rd/)
  }
  return lines
}

const newDir = (): string => join(home, `dir${++made}`)

test.each(['/b1.tgz', '/b1.tar.zst'])('a directory is restored from %s, once', async (path) => {
  const dir = newDir()
  const lines = await restore(urlOf(path), dir)
  expect(lines.join('\n')).toMatch(/restore\.insecure/)
  expect(await readFile(join(dir, 'cell.guid'), 'utf8')).toBe('ab'.repeat(16))
  expect(await readFile(join(dir, 'restore.done'), 'utf8')).toMatch(/^[0-9a-f]{32}$/)
  const again = await restore(urlOf(path), dir)
  expect(again).toEqual([expect.stringContaining('restore.done-already')])
  expect((await readdir(home)).filter((name) => name.startsWith('.'))).toEqual([])
  // Another URL is another wish.
  await restore(urlOf(`${path}?again`), dir)
  expect(existsSync(`${dir}.before-restore-20261121T120000Z`)).toBe(true)
})

test('the mark of a URL that was used is that of the peers', async () => {
  const dir = newDir()
  await mkdir(dir)
  // As Synapse 2.256 writes it for this text.
  await writeFile(join(dir, 'restore.done'), 'a4c766dee9684efaa41b008033aeb22d')
  expect(await restore('https://a.b/c?d=e', dir)).toEqual([expect.stringContaining('restore.done-already')])
})

test.each([
  ['an empty value', () => '', 'REG_CONFIG_INVALID'],
  ['another scheme', () => `http://127.0.0.1:${port}/b1.tgz`, 'REG_CONFIG_INVALID'],
  ['a certificate that nobody vouches for', () => urlOf('/b1.tgz', 'https'), 'REG_UNREACHABLE'],
  ['nobody there', () => 'https://127.0.0.1:1/b1.tgz', 'REG_UNREACHABLE'],
  ['a page that is not there', () => urlOf('/none'), 'REG_BAD_ANSWER'],
  ['a page that is elsewhere', () => urlOf('/moved'), 'REG_BAD_ANSWER'],
  ['a page of text', () => urlOf('/text'), 'REG_BACKUP_DAMAGED'],
  ['a cut archive', () => urlOf('/cut.tgz'), 'REG_BACKUP_DAMAGED'],
  ['the archive of another kind of service', () => urlOf('/axon.tgz'), 'REG_BACKUP_INVALID'],
])('%s changes nothing, and ends the start', async (_, url, code) => {
  const dir = join(home, 'cell')
  const before = await readFile(join(dir, 'registry.db'))
  const message = expect.stringMatching(/SYN_RESTORE_HTTPS_URL .*and nothing was changed/)
  await expect(restore(url(), dir)).rejects.toMatchObject({code, message})
  expect(await readFile(join(dir, 'registry.db'))).toEqual(before)
  expect((await readdir(home)).filter((name) => name.startsWith('.'))).toEqual([])
})

test('a mirror is not made a leader by the URL: what it has stays, and the start ends', async () => {
  const dir = newDir()
  await mkdir(dir)
  for (const follows of ['mirror', 'clone'] as const) {
    await expect(restore(urlOf('/b1.tgz'), dir, follows)).rejects.toMatchObject({
      code: 'REG_CONFIG_INVALID',
      message: expect.stringContaining(`${follows} is set`),
    })
  }
  expect(await readdir(dir)).toEqual([])
})

test('what an operator restored by hand later is not replaced by the URL again', async () => {
  const dir = newDir()
  await restore(urlOf('/b1.tgz'), dir)
  {
    const source = await openSource(join(home, 'b1'), {signal})
    const readConf = () => Promise.resolve({minFreePercent: 0, isMirror: false, backupDir: null})
    const wallMs = () => Date.parse('2026-11-21T13:00:00Z')
    await using restoring = await Restoring.open({source, dir, progress: NO_PROGRESS, signal, wallMs, readConf})
    await restoring.prepare()
    await restoring.swap()
  }
  expect(await restore(urlOf('/b1.tgz'), dir)).toEqual([expect.stringContaining('restore.done-already')])
})
