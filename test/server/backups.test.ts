import {execFile} from 'node:child_process'
import {existsSync} from 'node:fs'
import {appendFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {MANIFEST_FILE} from '../../src/backup/manifest.ts'
import {decodeManifest} from '../../src/backup/manifest-read.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {addProof, backupDigest} from '../../src/backup/proofs.ts'
import {verifyTree} from '../../src/backup/verify.ts'
import {readManifest} from '../../src/server/backup-shelf.ts'
import {type BackupPorts, Backups} from '../../src/server/backups.ts'
import {MemoryStore} from '../../src/store/memory.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {silentLog} from '../wire/telepath/silent-log.ts'

const IDEN = 'ce11'.repeat(8)
const never = new AbortController().signal
const ENTRY = {timeMs: 1, actor: 'test', change: '{}', effect: {kind: 'none'}} as const

const failing = (code: string, message = /./) =>
  expect.objectContaining({code, message: expect.stringMatching(message)})

let dir: string
let store: SqliteStore
let lines: string[]
let nowMs: number
let maxAgeMs: number | null
let backups: Backups
const ports = (): BackupPorts => ({
  dir,
  backupDir: join(dir, 'backups'),
  recordPath: join(dir, 'backup.state.json'),
  store,
  log: silentLog(lines),
  clock: {wallMs: () => nowMs},
  about: () => ({kind: 'registry', iden: IDEN, type: 'registry', name: null, version: '1.0.0'}),
  minFreePercent: () => 0,
  maxAgeMs: () => maxAgeMs,
})
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'backups-'))
  lines = []
  nowMs = new Date(2026, 3, 22, 9, 46, 22).getTime()
  maxAgeMs = null
  store = new SqliteStore(join(dir, 'registry.db'))
  await store.open()
  await store.append([ENTRY, ENTRY, ENTRY])
  await mkdir(join(dir, 'certs', 'cas'), {recursive: true})
  await mkdir(join(dir, 'tmp'))
  for (const name of ['cell.guid', 'cell.yaml', 'certs/cas/a.crt', 'fence.json', 'run.json', 'lock.db', 'tmp/x']) {
    await writeFile(join(dir, name), name)
  }
  backups = await Backups.open(ports())
})
afterEach(async () => {
  await backups.close()
  await store.close()
  await rm(dir, {recursive: true, force: true})
})

const placeOf = (name: string) => join(dir, 'backups', name)

describe('the directory of backups', () => {
  const drilled = async (name: string) => {
    const manifest = await readManifest(placeOf(name))
    const rest = {reason: 'all is there', by: '0.1.0', seconds: 1, protections: [], checks: []}
    const at = new Date(nowMs).toISOString()
    await addProof(placeOf(name), {...rest, at, result: 'failed', backup: backupDigest(manifest)})
  }

  test('is looked at again for what others did there, but not more often than that', async () => {
    await backups.run('b1', never)
    await backups.lookAgain(10_000)
    await drilled('b1')
    nowMs += 9999
    await backups.lookAgain(10_000)
    expect(backups.health()).toMatchObject({proof: undefined})
    await backups.lookAgain(0)
    expect(backups.health()).toMatchObject({proof: {name: 'b1', result: 'failed'}})
    await rm(placeOf('b1'), {recursive: true})
    nowMs += 10_000
    await backups.lookAgain(10_000)
    expect(backups.health()).toBeUndefined()
  })
})

describe('a live backup', () => {
  test('has what belongs to the cell, at one place of its log, and is whole', async () => {
    expect(await backups.run(undefined, never)).toBe('20260422094622')
    const manifest = await readManifest(placeOf('20260422094622'))
    expect(manifest).toMatchObject({
      name: '20260422094622',
      how: 'live',
      madeAt: new Date(nowMs).toISOString(),
      cell: {kind: 'registry', iden: IDEN},
      log: {epoch: 1, index: 3},
      skipped: [],
      directories: ['certs', 'certs/cas'],
      census: {'log.index': 3},
    })
    expect(manifest.files.map(({path}) => path)).toEqual([
      ...['cell.guid', 'cell.yaml', 'certs/cas/a.crt', 'fence.json', 'registry.db'],
    ])
    expect(await verifyTree(placeOf('20260422094622'), manifest, {progress: NO_PROGRESS, signal: never})).toEqual([])
    const copy = new SqliteStore(join(placeOf('20260422094622'), 'registry.db'))
    expect(await copy.open()).toMatchObject({nextOffset: 3, lastHash: manifest.log.hash})
    await copy.close()
  })

  test('is of the moment of its newest change, also of one that came while it was begun; a wrong clock does not count', async () => {
    const begunMs = nowMs
    const comes = async (timeMs: number) => {
      const late = {
        size: () => store.size(),
        read: (offset: number, limit: number) => store.read(offset, limit),
        async snapshot(path: string, signal?: AbortSignal) {
          await store.append([{...ENTRY, timeMs}])
          nowMs = begunMs + 500
          return await store.snapshot(path, signal)
        },
      }
      nowMs = begunMs
      const name = await (await Backups.open({...ports(), store: late})).run(undefined, never)
      const {madeAt, log} = await readManifest(placeOf(name))
      return [log.index, Date.parse(madeAt) - begunMs]
    }
    expect(await comes(begunMs + 300)).toEqual([4, 300])
    expect(await comes(begunMs - 86_400_000)).toEqual([5, 0])
    expect(await comes(begunMs + 86_400_000)).toEqual([6, 500])
  })

  test('has a name of the second, and a number behind it when that is taken; and no backup is in another', async () => {
    for (const name of ['20260422094622', '20260422094622-2', '20260422094622-3']) {
      expect(await backups.run(undefined, never)).toBe(name)
    }
    expect(new Set(await backups.list())).toEqual(new Set(['20260422094622', '20260422094622-2', '20260422094622-3']))
    const {files} = await readManifest(placeOf('20260422094622-3'))
    expect(files.some(({path}) => path.startsWith('backups'))).toBe(false)
  })

  test('may have a name of several parts, and is found by it', async () => {
    expect(await backups.run('nightly/a', never)).toBe('nightly/a')
    expect((await readManifest(placeOf('nightly/a'))).name).toBe('a')
    expect(await backups.list()).toEqual(['nightly/a'])
    await expect(backups.run('nightly/a/b', never)).rejects.toEqual(failing('REG_BAD_REQUEST', /in another backup/))
  })

  test.each(['../x', '/abs', 'a/../b', 'a//b', '.', 'x\\y', 'link/x'])('is not made at %s', async (name) => {
    await mkdir(placeOf(''))
    await symlink(tmpdir(), placeOf('link'))
    await expect(backups.run(name, never)).rejects.toEqual(failing('REG_BAD_REQUEST', /^Directory traversal detected$/))
    expect(await backups.list()).toEqual([])
  })

  test.each(['a/backup.json', 'backup.proofs.json/b', 'follow.json', 'a/cell.guid'])(
    'is not made at %s, which would make another one of what is around it',
    async (name) => {
      await expect(backups.run(name, never)).rejects.toEqual(failing('REG_BAD_REQUEST', /meaning of its own/))
    },
  )

  test('does not go where a cell keeps what is its own, nor where a start empties', async () => {
    for (const name of ['.', 'certs', 'certs/old', 'tmp/b']) {
      const odd = await Backups.open({...ports(), backupDir: join(dir, name)})
      await expect(odd.run(undefined, never)).rejects.toEqual(failing('REG_CONFIG_INVALID', /backup:dir is /))
      await odd.close()
    }
  })

  test('has none of those before it, by whatever way the directory of backups is named', async () => {
    const link = `${dir}.link`
    await symlink(dir, link)
    const linked = await Backups.open({...ports(), backupDir: join(link, 'nightly')})
    for (const name of ['one', 'two']) await linked.run(name, never)
    const {files} = await readManifest(join(dir, 'nightly', 'two'))
    expect(files.map(({path}) => path)).not.toContain('nightly/one/registry.db')
    await linked.close()
    await rm(link)
  })

  test('says which links it left out', async () => {
    await symlink('/etc/hostname', join(dir, 'certs', 'cas', 'b.crt'))
    await backups.run('one', never)
    expect((await readManifest(placeOf('one'))).skipped).toEqual(['certs/cas/b.crt'])
    expect(lines.join('')).toContain('backup.link-left')
  })

  test('is refused in the order of the peers: running, name, room', async () => {
    await backups.run('one', never)
    const full = await Backups.open({...ports(), minFreePercent: () => 100})
    const second = backups.begin(undefined, never)
    await expect(backups.run('../x', never)).rejects.toEqual(
      failing('REG_BACKUP_RUNNING', /^Another backup is already running$/),
    )
    await (await second).done
    await expect(full.run('../x', never)).rejects.toEqual(failing('REG_BAD_REQUEST', /traversal/))
    await expect(full.run('one', never)).rejects.toEqual(
      failing('REG_BAD_REQUEST', /^Backup with name already exists$/),
    )
    await expect(full.run('', never)).rejects.toEqual(failing('REG_BAD_REQUEST', /^Backup with name already exists$/))
    await expect(full.run('two', never)).rejects.toEqual(failing('REG_DISK_LOW', /too little room/))
    await expect(full.run('x'.repeat(300), never)).rejects.toEqual(failing('REG_BAD_REQUEST', /200 bytes/))
    expect(full.info()).toMatchObject({lastexception: null, currduration: null})
    await full.close()
  })

  test('leaves nothing when it is ended, and says so', async () => {
    const asked = new AbortController()
    const {done} = await backups.begin('b1', asked.signal)
    asked.abort(new Error('gone'))
    await expect(done).rejects.toThrow('gone')
    expect(await readdir(placeOf(''))).toEqual([])
    expect(backups.info()).toMatchObject({currduration: null, lastduration: null, lastexception: {errmsg: /gone/}})
    expect(await backups.run('b1', never)).toBe('b1')
  })

  test('is ended by the stop of the server', async () => {
    const {done} = await backups.begin('b1', never)
    const ended = expect(done).rejects.toEqual(failing('REG_CANCELLED', /the server stops/))
    await backups.close()
    await ended
    expect(await readdir(placeOf(''))).toEqual([])
    await expect(backups.run('b2', never)).rejects.toEqual(failing('REG_CANCELLED'))
  })

  test('of a store in memory is refused', async () => {
    const memory = new MemoryStore()
    await memory.open()
    const none = await Backups.open({...ports(), store: memory})
    await expect(none.run('b1', never)).rejects.toEqual(failing('REG_CONFLICT', /memory/))
    expect(await none.list()).toEqual([])
    await none.close()
    await memory.close()
  })

  test('leaves out a file of somebody else that is being written to', async () => {
    await appendFile(join(dir, 'out.log'), 'x'.repeat(4_000_000))
    const stop = new AbortController()
    const writing = (async () => {
      while (!stop.signal.aborted) await appendFile(join(dir, 'out.log'), 'x')
    })()
    await backups.run('b1', never)
    stop.abort()
    await writing
    const {skipped, files} = await readManifest(placeOf('b1'))
    expect(skipped).toEqual(['out.log'])
    expect(files.map(({path}) => path)).toContain('certs/cas/a.crt')
    expect(lines.join('\n')).toContain('backup.file-changed')
  })
})

describe('the backups', () => {
  test('are listed when they are whole, and removed', async () => {
    await backups.run('b1', never)
    await backups.run('b2', never)
    await mkdir(placeOf('no-manifest'))
    await rm(join(placeOf('b2'), MANIFEST_FILE))
    expect(await backups.list()).toEqual(['b1'])
    await mkdir(join(placeOf('odd'), MANIFEST_FILE), {recursive: true})
    await mkdir(placeOf('.c.partial-0123abcd'))
    await writeFile(join(placeOf('.c.partial-0123abcd'), MANIFEST_FILE), '')
    for (const name of ['b2', 'no-manifest', 'nothing', 'odd', '.c.partial-0123abcd']) {
      await expect(backups.remove(name)).rejects.toEqual(failing('REG_BAD_REQUEST', /no cell.guid file/))
    }
    await backups.remove('b1')
    expect(existsSync(placeOf('b1'))).toBe(false)
  })

  test('of which one was not finished are cleared up by the next start', async () => {
    await mkdir(placeOf('a'), {recursive: true})
    await mkdir(placeOf('a/.b.partial-0123abcd'))
    await mkdir(placeOf('.b.partial-0123abcd'))
    await (await Backups.open(ports())).close()
    expect(await readdir(placeOf(''), {recursive: true})).toEqual(['a'])
  })

  test('are told of in the shape of the peers, also after a restart', async () => {
    const nothing = {laststart: null, lastend: null, lastduration: null, lastsize: null, lastexception: null}
    expect(backups.info()).toEqual({currduration: null, lastupload: null, ...nothing})
    await backups.run('b1', never)
    const info = backups.info()
    expect(info).toMatchObject({
      currduration: null,
      laststart: nowMs,
      lastend: nowMs,
      lastduration: 0,
      lastupload: null,
    })
    expect(info['lastsize']).toBeGreaterThan(4096)
    await backups.close()
    backups = await Backups.open(ports())
    expect(backups.info()).toEqual(info)
    await writeFile(join(dir, 'backup.state.json'), 'nonsense')
    await backups.close()
    backups = await Backups.open(ports())
    expect(backups.info()).toMatchObject(nothing)
  })
})

describe('the health', () => {
  const DAY_MS = 86_400_000

  test('knows the last backup and its proof, of this cell alone', async () => {
    expect(backups.health()).toBeUndefined()
    maxAgeMs = DAY_MS
    expect(backups.health()).toEqual({last: undefined, maxAgeMs, proof: undefined})
    await backups.run('b1', never)
    const manifest = await readManifest(placeOf('b1'))
    const proof = {
      at: new Date(nowMs + 5).toISOString(),
      ...{reason: '', backup: backupDigest(manifest), by: '', seconds: 1, protections: [], checks: []},
      result: 'proven' as const,
    }
    await addProof(placeOf('b1'), proof)
    await backups.refresh()
    expect(backups.health()).toEqual({
      last: {how: 'kept', atMs: nowMs},
      maxAgeMs,
      proof: {name: 'b1', result: 'proven', atMs: nowMs + 5},
    })
    await backups.close()
    const other = {kind: 'registry', iden: '0'.repeat(32), type: null, name: null, version: null} as const
    backups = await Backups.open({...ports(), about: () => other})
    expect(backups.health()?.last).toBeUndefined()
  })

  test('knows one that was streamed away, and how far the log is followed', async () => {
    await Array.fromAsync(backups.stream(undefined, never))
    expect(await backups.list()).toEqual([])
    expect(backups.health()?.last).toEqual({how: 'streamed', atMs: nowMs})
    await backups.noteFollowed({index: 3, atMs: nowMs + 1000})
    await backups.close()
    backups = await Backups.open(ports())
    expect(backups.health()?.last).toEqual({how: 'followed', atMs: nowMs + 1000})
  })
})

describe('a stream', () => {
  test('of ours begins with the manifest, ends with what it was, and leaves nothing', async () => {
    const items = await Array.fromAsync(backups.stream('b1', never))
    const [begin] = items
    const end = items.at(-1)
    if (begin?.kind !== 'begin' || end?.kind !== 'end') throw new Error('it does not begin and end')
    expect(decodeManifest(begin.manifest, 'stream')).toMatchObject({name: 'b1', log: {index: 3}})
    const pieces = items.flatMap((item) => (item.kind === 'piece' ? [item.bytes] : []))
    expect(Buffer.concat(pieces)).toHaveLength(end.bytes)
    expect(await readdir(placeOf(''))).toEqual([])
    expect(backups.info()).toMatchObject({lastupload: nowMs})
  })

  test('for the peers is a gzip tar with the name as its top directory', async () => {
    await backups.run('nightly/a', never)
    const gzip = Buffer.concat(await Array.fromAsync(backups.archive('nightly/a', never)))
    await writeFile(join(dir, 'a.tgz'), gzip)
    const {stdout} = await promisify(execFile)('tar', ['tzf', join(dir, 'a.tgz')])
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(['a/backup.json', 'a/registry.db', 'a/certs/cas/a.crt']))
    await expect(Array.fromAsync(backups.archive('nope', never))).rejects.toEqual(
      failing('REG_BAD_REQUEST', /no cell.guid file/),
    )
  })

  test('is one at a time, of which one that is left early leaves nothing', async () => {
    const first = backups.archiveNew({name: 'b1', isRemoved: true}, never)
    await first.next()
    await expect(backups.stream('b2', never).next()).rejects.toEqual(
      failing('REG_BACKUP_RUNNING', /^Another streaming backup is already running$/),
    )
    expect(await backups.run('b3', never)).toBe('b3')
    await first.return()
    expect(await readdir(placeOf(''))).toEqual(['b3'])
    expect(backups.info()).toMatchObject({lastupload: null})
    await Array.fromAsync(backups.archiveNew({name: 'b4', isRemoved: false}, never))
    expect(new Set(await backups.list())).toEqual(new Set(['b3', 'b4']))
    expect(await readFile(join(placeOf('b4'), 'cell.guid'), 'utf8')).toBe('cell.guid')
  })
})
