// A directory of backups: what is listed, shown and removed, and what is never removed.
import {execFile} from 'node:child_process'
import {chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {generateX25519Identity, identityToRecipient} from 'age-encryption'
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest'
import {saveArchive} from '../../src/backup/archive-file.ts'
import {directorySource, writeArchive} from '../../src/backup/archive-write.ts'
import type {Manifest} from '../../src/backup/manifest.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {addProof, backupDigest} from '../../src/backup/proofs.ts'
import {stageBackup} from '../../src/backup/stage.ts'
import type {Pruned} from '../../src/cli/prune-plan.ts'
import type {ShelfReport} from '../../src/cli/shelf-text.ts'
import {cleanEnv, LAUNCHER, runCli} from '../support/cli.ts'
import {makeBackup} from '../support/made-backup.ts'

const work = {progress: NO_PROGRESS, signal: new AbortController().signal}
let home: string
let shelf: string
let manifests: Readonly<Record<string, Manifest>>

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-shelf-'))
  shelf = join(home, 'backups')
  const identity = await generateX25519Identity()
  await writeFile(join(home, 'key.txt'), `# a key\n${identity}\n`)
  await writeFile(join(home, 'recipient'), await identityToRecipient(identity))
})
afterAll(() => rm(home, {recursive: true, force: true}))

beforeEach(async () => {
  await rm(shelf, {recursive: true, force: true})
  const days = ['2026-11-01', '2026-11-02', '2026-11-03', '2026-11-04']
  const made = days.map(async (day) => [
    day,
    await makeBackup(join(shelf, day), undefined, {madeAt: `${day}T12:00:00.000Z`, name: day}),
  ])
  manifests = Object.fromEntries(await Promise.all(made))
})

const registry = (...args: readonly string[]) => runCli(args, {cwd: home, env: {REGISTRY_DIR: home}})

async function json<T>(...args: readonly string[]): Promise<T> {
  const {status, stdout, stderr} = await registry(...args, '--json')
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stdout}\n${stderr}`)
  return JSON.parse(stdout) as T
}

const prune = (...args: readonly string[]) => json<Pruned>('backup', 'prune', ...args)

async function prove(day: string): Promise<void> {
  const manifest = manifests[day]
  if (manifest === undefined) throw new Error(`no backup ${day}`)
  const rest = {reason: 'all is there', by: '0.1.0', seconds: 1, protections: [], checks: []}
  await addProof(join(shelf, day), {
    ...rest,
    at: '2026-11-05T00:00:00.000Z',
    result: 'proven',
    backup: backupDigest(manifest),
  })
}

async function sealOne(): Promise<string> {
  const dir = join(shelf, '2026-11-01')
  const file = join(shelf, 'sealed.tar.zst.age')
  const source = directorySource(dir, manifests['2026-11-01'] as Manifest)
  const recipients = [(await readFile(join(home, 'recipient'), 'utf8')).trim()]
  await saveArchive(writeArchive(source, {...work, compression: 'zstd'}), file, {recipients, signal: work.signal})
  return file
}

describe('backup list and show', () => {
  test('say what there is, in the backups of the data directory as well', async () => {
    const {status, stdout} = await registry('backup', 'list')
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^NAME +KIND +OF +MADE +INDEX +SIZE +DRILL/)])
    expect(stdout.split('\n')[1]).toMatch(/^2026-11-01 +directory, offline +00\.demo\.net +2026-11-01 .* 5 .*KiB/)
    const {backups} = await json<{backups: ShelfReport[]}>('backup', 'list', './backups')
    expect(backups.map(({name, proven}) => [name, proven])).toEqual([
      ['2026-11-01', false],
      ['2026-11-02', false],
      ['2026-11-03', false],
      ['2026-11-04', false],
    ])
  })

  test('open what is encrypted with its identity', async () => {
    const file = await sealOne()
    const closed = await registry('backup', 'show', file)
    expect([closed.status, closed.stderr]).toEqual([
      4,
      expect.stringMatching(/no identity was given(.|\n)*--identity FILE/),
    ])
    const {stdout} = await registry('backup', 'show', file, '--identity', 'key.txt', '--files')
    expect(stdout).toMatch(/archive, encrypted, offline/)
    expect(stdout).toMatch(/registry\.db +40000/)
    const verified = await registry('backup', 'verify', file, '--identity', 'key.txt')
    expect([verified.status, verified.stdout]).toEqual([0, expect.stringMatching(/is whole/)])
    const {backups} = await json<{backups: ShelfReport[]}>('backup', 'list', '--identity', 'key.txt')
    expect(backups.find(({kind}) => kind === 'archive')).toMatchObject({
      name: 'sealed.tar.zst.age',
      madeAt: '2026-11-01T12:00:00.000Z',
    })
  })

  test('say when there is none', async () => {
    const none = await registry('backup', 'list', './nowhere')
    expect([none.status, none.stderr]).toEqual([3, expect.stringMatching(/there is no directory/)])
    await rm(shelf, {recursive: true})
    const empty = await registry('backup', 'list')
    expect([empty.status, empty.stderr]).toEqual([0, expect.stringMatching(/there are no backups in/)])
  })
})

describe('backup prune', () => {
  test('needs rules, and a word that it may', async () => {
    expect((await registry('backup', 'prune')).stderr).toMatch(/nothing says what to keep/)
    const asked = await registry('backup', 'prune', '--keep-last', '1')
    expect([asked.status, asked.stderr]).toEqual([2, expect.stringMatching(/nobody can be asked/)])
    expect(await readdir(shelf)).toHaveLength(4)
  })

  test('shows what would go, and why the others stay', async () => {
    await prove('2026-11-02')
    const {status, stdout} = await registry('backup', 'prune', '--keep-daily', '1', '--dry-run')
    expect(status).toBe(0)
    expect(stdout).toMatch(/2026-11-01 .* goes\n/)
    expect(stdout).toMatch(/2026-11-02 .* stays: last proven\n/)
    expect(stdout).toMatch(/2026-11-04 .* stays: newest, daily\n\nwould remove 2 backups/)
    expect(await readdir(shelf)).toHaveLength(4)
  })

  test('removes that and nothing else', async () => {
    await prove('2026-11-02')
    const {removed, kept} = await prune('--keep-last', '0', '--yes')
    expect(removed.map(({name}) => name)).toEqual(['2026-11-01', '2026-11-03'])
    expect(kept.map(({name, because}) => [name, because])).toEqual([
      ['2026-11-02', ['last proven']],
      ['2026-11-04', ['newest']],
    ])
    expect((await readdir(shelf)).toSorted()).toEqual(['2026-11-02', '2026-11-04'])
  })

  test('keeps what it cannot read, and says so', async () => {
    await sealOne()
    await writeFile(join(shelf, '2026-11-02', 'backup.json'), '{}')
    await writeFile(join(shelf, '2026-11-03', 'backup.proofs.json'), '{}')
    const {stderr, stdout} = await registry('backup', 'prune', '--keep-last', '1', '--yes')
    expect(stderr).toMatch(/2026-11-02 stays: .*not the manifest/)
    expect(stderr).toMatch(/2026-11-03 stays: .*proofs/)
    expect(stderr).toMatch(/sealed.tar.zst.age stays: .*encrypted/)
    expect(stdout).toMatch(/removed one backup/)
    expect((await readdir(shelf)).toSorted()).toEqual(['2026-11-02', '2026-11-03', '2026-11-04', 'sealed.tar.zst.age'])
  })

  test('removes what was left over, and not what is being written', async () => {
    await using staging = await stageBackup(join(shelf, 'now'))
    await writeFile(join(staging.dir, 'a'), 'a')
    await makeBackup(join(shelf, 'x'))
    await rename(join(shelf, 'x'), join(shelf, '.x.partial-0123abcd'))
    expect((await prune('--keep-last', '9', '--yes')).removed).toEqual([])
    const {removed, kept} = await prune('--incomplete', '--yes')
    expect(removed.map(({name}) => name)).toEqual(['.x.partial-0123abcd'])
    expect(kept).toHaveLength(4)
    expect(await readdir(staging.dir)).toEqual(['a'])
  })
})

test('what this user may not read hides no backup: it is named and stays, and the others are pruned', async () => {
  await mkdir(join(shelf, 'lost+found'))
  const barred = ['2026-11-01', 'lost+found'].map((name) => join(shelf, name))
  for (const dir of barred) await chmod(dir, 0o000)
  // Root may read everything, unless it gives up just that.
  const asUser = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : ['env']
  const command = [...asUser.slice(1), LAUNCHER, 'backup', 'prune', shelf, '--keep-last', '1', '--yes', '--json']
  const {stdout} = await promisify(execFile)(String(asUser[0]), command, {env: cleanEnv()})
  for (const dir of barred) await chmod(dir, 0o700)
  expect(JSON.parse(stdout)).toMatchObject({
    removed: [{name: '2026-11-02'}, {name: '2026-11-03'}],
    others: [{name: '2026-11-01', kind: 'unreadable', reason: 'this user may not read it'}],
  })
  expect((await readdir(shelf)).sort()).toEqual(['2026-11-01', '2026-11-04', 'lost+found'])
})
