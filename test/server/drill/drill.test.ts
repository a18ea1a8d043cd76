import {createHash} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {cp, mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {basename, join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {gunzipSync} from 'node:zlib'
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest'
import {beginHistory, newBasePath, readFollowed, writeFollowFile} from '../../../src/backup/followed.ts'
import {archiveSegments, LogArchiveWriter} from '../../../src/backup/log-archive.ts'
import type {Manifest} from '../../../src/backup/manifest.ts'
import {decodeManifest} from '../../../src/backup/manifest-read.ts'
import {encodeManifest} from '../../../src/backup/manifest-write.ts'
import {openBackup} from '../../../src/backup/open-backup.ts'
import {NO_PROGRESS} from '../../../src/backup/progress.ts'
import {readProofs} from '../../../src/backup/proofs.ts'
import {readShelf} from '../../../src/backup/shelf.ts'
import {systemClock} from '../../../src/base/clock.ts'
import {backUpOffline} from '../../../src/cell/offline-backup.ts'
import {openTelepath} from '../../../src/client/telepath/open.ts'
import {type DrillOptions, runDrill} from '../../../src/server/drill/drill.ts'
import {replayInto} from '../../../src/server/replay.ts'
import {serve} from '../../../src/server/serve.ts'
import {CHAIN_START} from '../../../src/store/chain.ts'
import {SqliteStore} from '../../../src/store/sqlite.ts'
import {backUp} from '../../support/cell-backup.ts'
import {makeBackup} from '../../support/made-backup.ts'
import {chunksOf} from '../../support/replayed-log.ts'

const {signal} = new AbortController()

let folder: string
let whole: string
let scratch: string
let backup: string

/** A backup of a registry that is an AHA and has a user, as the offline backup makes it. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drill-'))
  const dir = join(folder, 'cell')
  await mkdir(dir)
  await writeFile(join(dir, 'cell.yaml'), 'aha:registry: [ssl://root@aha.example.net]\n')
  const ports = {'zmq:req:port': 0, 'zmq:pub:port': 0, 'zmq:hb:port': 0, 'https:port': null}
  const options = {...ports, 'aha:registry': null}
  const server = await serve({dir, options, writeLog: () => undefined})
  {
    await using root = await openTelepath(`cell://${dir}`)
    for (const name of ['visi', 'friend']) await root.call('addUser', {args: [name]})
  }
  await server.stop()
  whole = join(folder, 'whole')
  const wallMs = () => systemClock.wallMs()
  await backUpOffline({
    from: dir,
    to: whole,
    skip: [],
    wallMs,
    progress: NO_PROGRESS,
    signal: new AbortController().signal,
  })
})
afterAll(() => rm(folder, {recursive: true}))
beforeEach(async () => {
  scratch = await mkdtemp(join(folder, 's-'))
  backup = join(await mkdtemp(join(folder, 'b-')), 'backup')
  await cp(whole, backup, {recursive: true})
})

async function drill(options: Partial<DrillOptions> = {}) {
  return await runDrill(await openBackup(backup), {
    ...{python: undefined, scratch, isKept: false, startMs: 60_000, clock: systemClock, progress: NO_PROGRESS},
    signal: new AbortController().signal,
    ...options,
  })
}

/** Writes another manifest, as if the backup had been made like that. */
async function claim(change: (manifest: Manifest) => Manifest): Promise<void> {
  const path = join(backup, 'backup.json')
  await writeFile(path, encodeManifest(change(decodeManifest(await readFile(path, 'utf8'), path))))
}

describe('the drill of a registry', () => {
  test('proves a backup, says what was in force, and leaves nothing but the proof', async () => {
    const before = await readdir(backup)
    const report = await drill()
    expect(report).toMatchObject({result: 'proven', kept: null})
    expect(report.checks.filter(({isRight}) => !isRight)).toEqual([])
    const compared = report.checks.map(({what}) => what)
    expect(compared).toEqual(
      expect.arrayContaining([
        ...['files: size and hash of each', 'store: log.index', 'store: state.sha256', 'store: records.auth:user'],
        ...['service: log.index', 'service: services', 'service: state against the log'],
        'store after the start: state.sha256',
      ]),
    )
    expect(report.protections.join('\n')).toMatch(/without the options aha:registry\nsafemode/)
    expect(await readdir(scratch)).toEqual([])
    expect((await readdir(backup)).filter((name) => !before.includes(name))).toEqual(['backup.proofs.json'])
    const {path: _path, kept: _kept, ...proof} = report
    expect(await readProofs(backup)).toEqual([proof])
  })

  test('fails when the manifest says what is not there, and names all of it', async () => {
    await claim(({cell, log, census, ...rest}) => ({
      ...rest,
      cell: {...cell, iden: 'ab'.repeat(16)},
      log: {...log, index: 9},
      census: {...census, services: 3, 'records.extra': 1},
    }))
    const {result, reason, checks} = await drill()
    expect(result).toBe('failed')
    expect(reason).toMatch(/^store: services is 0, expected 3, and 3 more$/)
    const wrong = checks.filter(({isRight}) => !isRight).map(({what, expected}) => [what, expected])
    expect(wrong).toEqual([
      ['store: services', '3'],
      ['store: log.index', '9'],
      ['store: records.extra', '1'],
      ['service: iden', 'ab'.repeat(16)],
    ])
  })

  test('fails for a damaged file, which it names, without starting anything', async () => {
    await drill()
    await using file = await open(join(backup, 'registry.db'), 'r+')
    await file.write('damage', 5000)
    const report = await drill()
    expect(report).toMatchObject({result: 'failed', reason: expect.stringContaining('registry.db is altered')})
    expect(report.protections).toEqual([])
    expect(await readProofs(backup)).toMatchObject([{result: 'proven'}, {result: 'failed'}])
    expect(await readdir(scratch)).toEqual([])
    // What an earlier drill proved is no longer so.
    const [item] = await readShelf(join(backup, '..'), {signal: new AbortController().signal})
    expect(item).toMatchObject({proof: {result: 'failed'}, isProven: false})
  })

  test('finds nothing out at once of one that was never served, unless its files are wrong', async () => {
    const dir = join(scratch, 'cell')
    await mkdir(dir)
    await writeFile(join(dir, 'cell.guid'), 'ab'.repeat(16))
    {
      await using store = new SqliteStore(join(dir, 'registry.db'))
      await store.open()
    }
    await rm(backup, {recursive: true})
    await backUp(dir, backup)
    await rm(dir, {recursive: true})
    const asked: string[] = []
    const progress = {phase: (name: string) => void asked.push(name), add: () => undefined}
    const report = await drill({progress})
    expect(report).toMatchObject({result: 'inconclusive', reason: expect.stringContaining('was never served')})
    expect(asked).not.toContain('starting the service')
    expect(await readProofs(backup)).toMatchObject([{result: 'inconclusive'}])
    await claim((manifest) => ({...manifest, log: {...manifest.log, index: 4}}))
    expect(await drill()).toMatchObject({result: 'failed', reason: 'store: log.index is 0, expected 4'})
  })

  test('tells what it found out also where that cannot be kept', async () => {
    await mkdir(join(backup, 'backup.proofs.json')) // nothing can be written there, not even by root
    await rm(join(backup, 'registry.db'))
    await expect(drill()).rejects.toMatchObject({
      code: 'REG_DIR_UNUSABLE',
      message: expect.stringMatching(/^the drill ends as failed: .*registry\.db is missing.*cannot be kept beside/),
    })
  })

  test('finds nothing out when the service has no time to answer, and leaves what it restored when it is asked to', async () => {
    const report = await drill({startMs: 1, isKept: true})
    expect(report).toMatchObject({result: 'inconclusive', reason: expect.stringContaining('did not answer within')})
    expect(report.kept?.startsWith(scratch)).toBe(true)
    expect(await readdir(join(report.kept ?? '', 'cell'))).toContain('registry.db')
  })

  test('that is cancelled records nothing and leaves nothing', async () => {
    const reason = new Error('enough')
    for (const cancelAt of ['copying', 'asking the service']) {
      const stop = new AbortController()
      const phase = (name: string) => {
        if (name === cancelAt) stop.abort(reason)
      }
      await expect(drill({signal: stop.signal, progress: {phase, add: () => undefined}}), cancelAt).rejects.toBe(reason)
      expect(await readdir(scratch)).toEqual([])
    }
    expect(await readProofs(backup)).toEqual([])
  })

  test('refuses a scratch directory where sockets have no room', async () => {
    await expect(drill({scratch: join(scratch, 'x'.repeat(80))})).rejects.toMatchObject({code: 'REG_USAGE'})
    await expect(drill({scratch: join(scratch, 'none')})).rejects.toMatchObject({code: 'REG_DIR_UNUSABLE'})
  })
})

/** What `backup follow` would keep of it: a base of its first entry, and the log from there on. */
async function followed(): Promise<string> {
  await using store = new SqliteStore(join(whole, 'registry.db'))
  await store.open()
  const entries = await store.read(0, 1000)
  const iden = (await readFile(join(whole, 'cell.guid'), 'utf8')).trim()
  const dir = join(await mkdtemp(join(folder, 'f-')), 'followed')
  const first = join(dir, '..', 'cell')
  await mkdir(first)
  await writeFile(join(first, 'cell.guid'), iden)
  await replayInto(join(first, 'registry.db'), chunksOf(entries.slice(0, 1), 1), {signal})
  await mkdir(dir)
  await writeFollowFile(dir, iden)
  const history = await beginHistory(dir, 1, 'first', '2026-11-21T12:00:00.000Z')
  await backUp(first, await newBasePath(history, 1))
  await using writer = await LogArchiveWriter.open(history, {
    cell: iden,
    start: {...CHAIN_START, epoch: 1},
    segmentBytes: 1,
  })
  for (const entry of entries) await writer.append([entry])
  return dir
}

describe('the drill of what is followed', () => {
  test('applies the archived log to the newest base, and proves both', async () => {
    backup = await followed()
    const {nextOffset, lastHash} = await readFollowed(backup)
    expect(nextOffset).toBeGreaterThan(1)
    const report = await drill()
    expect(report).toMatchObject({result: 'proven'})
    const found = new Map(report.checks.map(({what, found: text}) => [what, text]))
    expect(found.get('base: log.index')).toBe('1')
    expect(found.get('archived log: hash of the newest entry')).toBe(lastHash)
    expect(found.get('service: log.index')).toBe(`${nextOffset}`)
    expect(await readShelf(join(backup, '..'), {signal})).toMatchObject([
      {kind: 'followed', isProven: true, about: {index: nextOffset}},
      {name: 'cell'},
    ])
  })

  test('fails for an entry that was altered, and names its file', async () => {
    backup = await followed()
    const segments = await archiveSegments((await readFollowed(backup)).path)
    const path = segments.at(-2)?.path ?? ''
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace('visi', 'evil'))
    expect(await drill()).toMatchObject({result: 'failed', reason: expect.stringContaining(basename(path))})
  })

  test('proves what is whole before an entry that a crash left torn', async () => {
    backup = await followed()
    const {path: history, nextOffset} = await readFollowed(backup)
    const path = (await archiveSegments(history)).at(-1)?.path ?? ''
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, -1))
    const report = await drill()
    expect(report).toMatchObject({result: 'proven'})
    expect(report.checks).toContainEqual(
      expect.objectContaining({what: 'service: log.index', found: `${nextOffset - 1}`}),
    )
  })

  test.each([
    ['an altered entry', (text: string) => text.replaceAll('visi', 'evil').replaceAll('friend', 'fiend')],
    ['no beginning', (text: string) => text.slice(5)],
    ['a line that is none', (text: string) => `${text}{}\n`],
    ['another byte for the end of its last line', (text: string) => `${text.slice(0, -1)}x`],
  ])('fails for a last segment with %s, and names it', async (_, alter) => {
    backup = await followed()
    const segments = await archiveSegments((await readFollowed(backup)).path)
    const path = segments.at(-1)?.path ?? ''
    await writeFile(path, alter(await readFile(path, 'utf8')))
    expect(await drill()).toMatchObject({result: 'failed', reason: expect.stringContaining(basename(path))})
    expect(await readProofs(backup)).toMatchObject([{result: 'failed'}])
    const [item] = await readShelf(join(backup, '..'), {signal})
    expect(item).toMatchObject({proof: {result: 'failed'}, isProven: false})
  })
})

describe('what an older version cannot start', () => {
  test('says nothing of the backup of a Synapse service', async () => {
    const python = join(folder, 'old-python')
    await writeFile(python, '#!/bin/sh\necho synapse 2.200.0\n', {mode: 0o755})
    await rm(backup, {recursive: true})
    const [, slab] = JSON.parse(readFileSync(new URL('../../vectors/lmdb.json', import.meta.url).pathname, 'utf8'))
    const cell = {kind: 'synapse', iden: 'ab'.repeat(16), type: 'axon', name: null, version: '2.256.0'} as const
    const contents = {
      'cell.guid': 'ab'.repeat(16),
      'slabs/cell.lmdb/data.mdb': gunzipSync(Buffer.from(slab.gzip, 'base64')),
    }
    await makeBackup(backup, contents, {cell, log: {epoch: null, index: null, hash: null}})
    const {result, reason} = await drill({python})
    expect([result, reason]).toEqual([
      'inconclusive',
      `Synapse 2.256.0 wrote it, and ${python} has 2.200.0, which does not start on it: give a newer one with --python PATH`,
    ])
  })

  test('nor of that of a registry', async () => {
    {
      using database = new DatabaseSync(join(backup, 'registry.db'))
      database.exec('PRAGMA user_version = 99')
    }
    const facts = {size: (await stat(join(backup, 'registry.db'))).size, sha256: ''}
    const sha256 = createHash('sha256')
      .update(await readFile(join(backup, 'registry.db')))
      .digest('hex')
    await claim(({files, ...rest}) => ({
      ...rest,
      files: files.map((file) => (file.path === 'registry.db' ? {...file, ...facts, sha256} : file)),
    }))
    expect(await drill()).toMatchObject({result: 'inconclusive', reason: expect.stringMatching(/has format 99/)})
  })
})
