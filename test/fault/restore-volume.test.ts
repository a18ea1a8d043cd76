// Restores where users run them: on the mount point of a volume, on a disk that is full, and at the start of a server.
import {execFile, spawnSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {existsSync} from 'node:fs'
import {chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {directorySource, writeArchive} from '../../src/backup/archive-write.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import type {RestoreReport} from '../../src/cli/restore-text.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {backUp} from '../support/cell-backup.ts'
import {cleanEnv, LAUNCHER} from '../support/cli.ts'
import {RawClient} from '../support/raw-client.ts'
import {startServer} from '../support/server.ts'
import {serveWebPages, type WebPages} from '../support/web-pages.ts'
import {serveInVain} from './in-vain.ts'

const {signal} = new AbortController()
const CELL = 'ab'.repeat(16)
/** Becomes the command after it, in a mount namespace of its own, when `script` is done. */
const inNamespace = (script: string, ...args: readonly string[]): readonly string[] => [
  ...['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c'],
  `${script}; shift ${args.length - 1}; exec "$@"`,
  ...args,
]
/** Mounts the directory `volume` at `dir`. */
const mounted = (volume: string, dir: string) => inNamespace('mount --bind "$0" "$1" || exit 99', volume, dir)
const [unshare = '', ...canMountArgs] = inNamespace('mount -t tmpfs tmpfs "$0" || exit 99', tmpdir())
const canMount = spawnSync(unshare, [...canMountArgs, 'true']).status === 0

let home = ''
let backup = ''
let archive: Buffer
let web: WebPages
let made = 0

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-restore-volume-'))
  const source = await cell('restored', 3)
  await writeFile(join(source, 'large'), Buffer.alloc(20_000_000, 'large'))
  await writeFile(join(source, 'cell.yaml'), 'backup:dir: shelf\n')
  backup = join(home, 'backup')
  const manifest = await backUp(source, backup)
  const chunks = writeArchive(directorySource(backup, manifest), {compression: 'gzip', progress: NO_PROGRESS, signal})
  archive = Buffer.concat(await Array.fromAsync(chunks))
  web = await serveWebPages()
  web.pages.set('/whole.tgz', archive)
  web.pages.set('/empty.tgz', Buffer.alloc(0))
  web.pages.set('/cut.tgz', archive.subarray(0, archive.length - 300))
})
afterAll(async () => {
  await web[Symbol.asyncDispose]()
  await rm(home, {recursive: true})
})

/** A stopped registry with a change log of so many entries, and a file that tells it from others. */
async function cell(mark: string, entries: number): Promise<string> {
  const dir = join(home, `cell-${++made}`)
  await mkdir(dir)
  await writeFile(join(dir, 'cell.guid'), CELL)
  await writeFile(join(dir, 'mark'), mark)
  await using store = new SqliteStore(join(dir, 'registry.db'))
  await store.open()
  const entry = {timeMs: 1, actor: 'test', change: '{"kind":"log:rotate","v":1}', effect: {kind: 'rotate'}} as const
  for (let count = 0; count < entries; count++) await store.append([entry])
  return dir
}

/** What is in a directory, to the byte. */
async function contentOf(dir: string): Promise<Readonly<Record<string, string>>> {
  const content: Record<string, string> = {}
  for (const item of await readdir(dir, {withFileTypes: true, recursive: true})) {
    const path = join(item.parentPath, item.name)
    const bytes = item.isFile() ? await readFile(path) : ''
    content[path.slice(dir.length + 1)] = createHash('sha256').update(bytes).digest('hex')
  }
  return content
}

interface Outcome {
  readonly status: number
  readonly text: string
}

async function run(wrapper: readonly string[], args: readonly string[]): Promise<Outcome> {
  const [command = '', ...rest] = [...wrapper, LAUNCHER, ...args]
  try {
    const {stdout} = await promisify(execFile)(command, rest, {env: cleanEnv()})
    return {status: 0, text: stdout}
  } catch (error) {
    const {code, stdout, stderr} = error as {code: number; stdout: string; stderr: string}
    return {status: code, text: stdout + stderr}
  }
}

const restoreTo = (dir: string) => ['restore', backup, dir, '--yes', '--json']
const restoredNow = async (dir: string) => ({
  mark: await readFile(join(dir, 'mark'), 'utf8'),
  large: existsSync(join(dir, 'large')),
})
async function restored(wrapper: readonly string[], dir: string): Promise<RestoreReport> {
  const {status, text} = await run(wrapper, restoreTo(dir))
  expect([status, text]).toEqual([0, expect.stringContaining('"changed"')])
  return JSON.parse(text) as RestoreReport
}

const RESTORED = {mark: 'restored', large: true}

/** Where the system lets us mount one. */
const describeVolume = canMount ? describe : () => undefined

describeVolume('the mount point of a volume', () => {
  test('is restored within itself: what was there is kept in it, and its backups stay', async () => {
    const [volume, dir] = [await cell('before', 1), join(home, `mount-${made}`)]
    await mkdir(dir)
    await mkdir(join(volume, 'lost+found'))
    await mkdir(join(volume, 'shelf', 'nightly'), {recursive: true})
    await writeFile(join(volume, 'cell.yaml'), 'backup:dir: shelf\n')
    const {kept} = await restored(mounted(volume, dir), dir)
    expect(kept).toMatch(/\/\.before-restore-[\dTZ]+$/)
    expect(await restoredNow(volume)).toEqual(RESTORED)
    expect(existsSync(join(volume, 'shelf', 'nightly'))).toBe(true)
    const old = join(volume, (kept ?? '').slice(dir.length))
    expect(await readFile(join(old, 'mark'), 'utf8')).toBe('before')
    expect((await readdir(volume)).filter((name) => name.startsWith('.restore'))).toEqual([])
    // Nothing of it is part of a backup.
    const again = join(home, `again-${made}`)
    expect(await run(mounted(volume, dir), ['backup', dir, again])).toMatchObject({status: 0})
    expect((await readdir(again)).toSorted()).toEqual([
      'backup.json',
      'cell.guid',
      'cell.yaml',
      'large',
      'mark',
      'registry.db',
    ])
  })

  test('that is empty is restored, and one with something else in it is not', async () => {
    const [volume, dir] = [join(home, `volume-${++made}`), join(home, `mount-${made}`)]
    await Promise.all([volume, dir].map((path) => mkdir(path)))
    await mkdir(join(volume, 'lost+found'))
    expect(await restored(mounted(volume, dir), dir)).toMatchObject({kept: null, changed: true})
    expect(await restoredNow(volume)).toEqual(RESTORED)
    const strange = join(home, `volume-${++made}`)
    await mkdir(strange)
    await writeFile(join(strange, 'letter.txt'), 'dear …')
    expect(await run(mounted(strange, dir), restoreTo(dir))).toMatchObject({status: 5})
    expect(await readdir(strange)).toEqual(['letter.txt'])
  })

  test('in which a file is mounted is refused, and the answer names that', async () => {
    const [volume, dir] = [await cell('before', 1), join(home, `mount-${made}`)]
    await mkdir(dir)
    await writeFile(join(volume, 'cell.yaml'), '')
    const before = await contentOf(volume)
    const wrapper = inNamespace(
      'mount --bind "$0" "$1" && mount --bind /etc/hostname "$1/cell.yaml" || exit 99',
      volume,
      dir,
    )
    const {status, text} = await run(wrapper, restoreTo(dir))
    expect([status, text]).toEqual([5, expect.stringContaining(`${dir}/cell.yaml is mounted in it`)])
    expect(await contentOf(volume)).toEqual(before)
  })

  test('of its backups alone is reason enough to leave the directory where it is', async () => {
    const [dir, shelf] = [await cell('before', 1), join(home, `shelf-${made}`)]
    await mkdir(join(dir, 'backups'))
    await mkdir(join(shelf, 'b1'), {recursive: true})
    const {kept} = await restored(mounted(shelf, join(dir, 'backups')), dir)
    expect(kept).toContain(`${dir}/.before-restore-`)
    expect(await restoredNow(dir)).toEqual(RESTORED)
    expect([await readdir(shelf), await readdir(join(dir, 'backups'))]).toEqual([['b1'], []])
  })

  test('that has no room is as it was, and nothing is left on it', async () => {
    const [old, dir] = [await cell('before', 1), join(home, `mount-${made}`)]
    await mkdir(dir)
    const script =
      'mount -t tmpfs -o size=25m tmpfs "$0" && cp -a "$1/." "$0" && head -c 8000000 /dev/zero >"$0/ballast" || exit 99'
    const show = `${LAUNCHER} restore "$1" "$2" --yes --json; echo "status $?"; ls -A "$2"; cat "$2/mark"`
    const [command = '', ...args] = inNamespace(script, dir, old)
    const {stdout} = await promisify(execFile)(command, [...args, 'sh', '-c', show, 'sh', backup, dir], {
      env: cleanEnv(),
    })
    const [, ...rest] = stdout.split('status ')
    expect(stdout).toContain('REG_DISK_LOW')
    expect(rest.join('').split('\n')).toEqual([
      expect.not.stringMatching(/^0$/),
      'ballast',
      'cell.guid',
      'mark',
      'registry.db',
      'before',
    ])
  })
})

const PLACES = [
  {name: 'beside it', prepare: (dir: string): Promise<readonly string[]> => Promise.resolve(['env', `X=${dir}`])},
  ...(canMount
    ? [
        {
          name: 'on a volume',
          prepare: async (dir: string): Promise<readonly string[]> => {
            await mkdir(`${dir}.mount`)
            return mounted(dir, `${dir}.mount`)
          },
          at: '.mount',
        },
      ]
    : []),
]

test.each(PLACES)(
  'a restore $name that cannot write any more leaves the directory as it was',
  async ({prepare, ...place}) => {
    const dir = await cell('before', 1)
    const before = await contentOf(dir)
    const target = dir + ('at' in place ? place.at : '')
    const wrapper = [...(await prepare(dir)), 'prlimit', '--fsize=10000000']
    const {status, text} = await run(wrapper, restoreTo(target))
    expect(status).toBeGreaterThan(0)
    expect(text).toMatch(/REG_DISK_LOW|REG_DIR_UNUSABLE/)
    expect(await contentOf(dir)).toEqual(before)
    expect((await readdir(home)).filter((name) => name.startsWith('.'))).toEqual([])
  },
)

const urlOf = (path: string): string => `https+insecure://visi:pw0rd@127.0.0.1:${web.port}${path}?token=s3cret`

test.each([
  [
    'an empty value',
    () => '',
    'REG_CONFIG_INVALID',
    /SYN_RESTORE_HTTPS_URL cannot be used, and nothing was changed: it is empty/,
  ],
  ['a page that is not there', () => urlOf('/none.tgz'), 'REG_BAD_ANSWER', /answered 404, and nothing was changed/],
  ['an empty archive', () => urlOf('/empty.tgz'), 'REG_BACKUP_DAMAGED', /./],
  ['a cut archive', () => urlOf('/cut.tgz'), 'REG_BACKUP_DAMAGED', /./],
])('a server that is to begin with %s does not start, and its data is as it was', async (_, url, code, text) => {
  const dir = await cell('before', 1)
  const before = await contentOf(dir)
  const {status, error, errors} = await serveInVain(dir, ['env', `SYN_RESTORE_HTTPS_URL=${url()}`])
  expect([status, error]).toEqual([
    expect.any(Number),
    expect.objectContaining({code, message: expect.stringMatching(text)}),
  ])
  expect(status).toBeGreaterThan(0)
  expect(errors + JSON.stringify(error)).not.toMatch(/pw0rd|s3cret/)
  expect(await contentOf(dir)).toEqual(before)
  expect((await readdir(home)).filter((name) => name.startsWith('.'))).toEqual([])
})

test.each(PLACES)(
  'a server restores its directory $name from a URL, once, and starts on what it restored',
  async ({prepare, ...place}) => {
    const dir = await cell('before', 1)
    await prepare(dir)
    const at = 'at' in place ? place.at : ''
    await using server = await startServer({
      dir,
      env: {SYN_RESTORE_HTTPS_URL: urlOf('/whole.tgz')},
      wrapper: () => (at === '' ? ['env'] : mounted(dir, `${dir}${at}`)),
    })
    expect(await restoredNow(dir)).toEqual(RESTORED)
    using client = new RawClient(server.ports.req)
    expect(await client.register('a', {type: 'cam'})).toMatchObject({success: true})
    expect(server.output()).toMatch(/restore\.restored/)
    expect(server.output()).not.toMatch(/pw0rd|s3cret/)
    await server.restart()
    using again = new RawClient(server.ports.req)
    expect(await again.get('a')).toMatchObject({success: true})
    expect(server.output()).toMatch(/restore\.done-already/)
    expect((await readdir(dir)).filter((name) => name.startsWith('.restore'))).toEqual([])
    await server.stop()
  },
)

test('where nothing can be made beside it a directory is restored within itself', async () => {
  const parent = join(home, `parent-${++made}`)
  const dir = join(parent, 'cell')
  await mkdir(parent)
  await cp(await cell('before', 1), dir, {recursive: true})
  await chmod(parent, 0o500)
  // Root may write everywhere, unless it gives up just that.
  const asUser = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override'] : ['env']
  const {kept} = await restored(asUser, dir)
  await chmod(parent, 0o700)
  expect(kept).toContain(`${dir}/.before-restore-`)
  expect(await restoredNow(dir)).toEqual(RESTORED)
})
