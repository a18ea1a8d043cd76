import assert from 'node:assert/strict'
import {existsSync, readFileSync, statSync, writeFileSync} from 'node:fs'
import {chmod, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {afterEach, beforeEach, describe, test} from 'vitest'
import {packageVersion} from '../../src/base/package-root.ts'
import {lockCellDir, readRunFile} from '../../src/cell/dirs.ts'
import {Child} from '../support/child.ts'

const ZEROMQ = {bind: '127.0.0.1', req: 5556, pub: 5557, hb: null, rep: null}
const LISTENERS = {
  zeromq: ZEROMQ,
  telepath: {socket: '/cell/sock', url: 'ssl://127.0.0.1:27492'},
  provision: {url: 'ssl://127.0.0.1:27272?hostname=aha.demo.net'},
  https: {bind: '::1', port: 4443},
}
const GUID = '20ed1a3500a8122ddbc34c192ba60f0b'
let parent: string
let directory: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'registry-cell-'))
  directory = join(parent, 'above', 'cell')
})
afterEach(() => rm(parent, {recursive: true}))

async function startChild(): Promise<Child> {
  const child = new Child(new URL('dir-child.ts', import.meta.url), [directory])
  assert.equal(await child.line(), 'ready')
  return child
}

async function startHolder(): Promise<Child> {
  const child = await startChild()
  child.send('go')
  assert.equal(await child.line(), 'locked')
  return child
}

describe('the data directory', () => {
  test('it is made for the owner alone, and so is everything in it', async () => {
    await using cell = await lockCellDir(directory)
    await cell.announce(LISTENERS)
    assert.equal(statSync(directory).mode & 0o777, 0o700)
    assert.deepEqual((await readdir(directory)).sort(), ['cell.guid', 'lock.db', 'lock.pid', 'run.json'])
    for (const name of await readdir(directory)) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name)
    assert.equal(cell.path, directory)
    assert.equal(cell.storePath, join(directory, 'registry.db'))
  })

  test('an existing directory keeps its mode', async () => {
    await chmod(parent, 0o755)
    await using cell = await lockCellDir(parent)
    assert.equal(cell.path, parent)
    assert.equal(statSync(parent).mode & 0o777, 0o755)
  })

  test('its guid is made once', async () => {
    const first = await lockCellDir(directory)
    await first.close()
    assert.match(first.guid, /^[0-9a-f]{32}$/)
    await using second = await lockCellDir(directory)
    assert.equal(second.guid, first.guid)
  })

  test('a guid that is none is refused, and the directory is free afterwards', async () => {
    writeFileSync(join(parent, 'cell.guid'), 'mine')
    await assert.rejects(lockCellDir(parent), {code: 'REG_DIR_UNUSABLE', message: /cell\.guid.*32 hex digits/})
    writeFileSync(join(parent, 'cell.guid'), `${'a'.repeat(32)}\n`)
    await using cell = await lockCellDir(parent)
    assert.equal(cell.guid, 'a'.repeat(32))
  })

  test('a file in its place is refused with its path', async () => {
    writeFileSync(join(parent, 'file'), '')
    const path = join(parent, 'file')
    await assert.rejects(lockCellDir(path), {
      code: 'REG_DIR_UNUSABLE',
      message: `cannot use ${path}: it is not a directory`,
    })
    await assert.rejects(lockCellDir(join(path, 'cell')), {code: 'REG_DIR_UNUSABLE', message: /ENOTDIR/})
  })

  test('a lock file that is no database is refused', async () => {
    writeFileSync(join(parent, 'lock.db'), 'x'.repeat(5000))
    await assert.rejects(lockCellDir(parent), {code: 'REG_DIR_UNUSABLE', message: /lock\.db: file is not a database/})
  })
})

describe('the lock of the data directory', () => {
  test('a second process is refused with the pid of the first, in one process as well', async () => {
    await using holder = await startHolder()
    await assert.rejects(lockCellDir(directory), {
      code: 'REG_DIR_LOCKED',
      message: `another registry runs on ${directory}: process ${holder.pid}`,
      info: {path: directory, pid: holder.pid},
    })
    holder.release()
    await holder.finish()
    await using own = await lockCellDir(directory)
    await assert.rejects(lockCellDir(own.path), {code: 'REG_DIR_LOCKED', info: {path: directory, pid: process.pid}})
    await using other = await startChild()
    other.send('go')
    assert.equal(await other.line(), `refused REG_DIR_LOCKED ${process.pid}`, 'the refused one did not break our lock')
  })

  test('that is held for something else says for what', async () => {
    await using cell = await lockCellDir(directory, {purpose: 'a backup'})
    await assert.rejects(lockCellDir(directory), {
      code: 'REG_DIR_LOCKED',
      message: `a backup of ${cell.path} is being made: process ${process.pid}`,
      info: {path: cell.path, pid: process.pid},
    })
  })

  test('without a readable pid the refusal says so much', async () => {
    await using cell = await lockCellDir(directory)
    writeFileSync(join(cell.path, 'lock.pid'), '')
    await assert.rejects(lockCellDir(directory), {code: 'REG_DIR_LOCKED', info: {path: directory}})
  })

  test('after a kill -9 the next one takes the lock and clears what was left', async () => {
    await using holder = await startHolder()
    await holder.kill()
    assert(existsSync(join(directory, 'run.json')))
    await using cell = await lockCellDir(directory)
    assert.equal(existsSync(join(directory, 'run.json')), false)
    assert.equal(readFileSync(join(cell.path, 'lock.pid'), 'utf8'), String(process.pid))
  })

  test('of two that race one wins, and the other names it', async () => {
    for (let round = 0; round < 3; round++) {
      await using one = await startChild()
      await using two = await startChild()
      one.send('go')
      two.send('go')
      const results = [await one.line(), await two.line()]
      const [winner, loser] = results[0] === 'locked' ? [one, results[1]] : [two, results[0]]
      assert(results.includes('locked'))
      assert.equal(loser, `refused REG_DIR_LOCKED ${winner.pid}`)
      winner.release()
      await winner.finish()
    }
  })

  test('it waits for a client that is just looking', async () => {
    await (await lockCellDir(directory)).close()
    const client = new DatabaseSync(join(directory, 'lock.db'))
    client.exec('BEGIN; SELECT count(*) FROM sqlite_schema')
    const locking = lockCellDir(directory)
    setImmediate(() => client.close())
    await using cell = await locking
    assert.equal(cell.path, directory)
  })
})

describe('the guid', () => {
  test('is made once, and the first start is told', async () => {
    const first = await lockCellDir(directory)
    assert.equal(first.isNew, true)
    await first.close()
    await using second = await lockCellDir(directory)
    assert.deepEqual([second.guid, second.isNew], [first.guid, false])
  })

  test('is the given one in a new directory, and another one is refused later', async () => {
    await (await lockCellDir(directory, {guid: GUID})).close()
    await (await lockCellDir(directory, {guid: GUID})).close()
    assert.equal(readFileSync(join(directory, 'cell.guid'), 'utf8'), GUID)
    const other = GUID.replace('2', '3')
    await assert.rejects(lockCellDir(directory, {guid: other}), {
      code: 'REG_DIR_UNUSABLE',
      message: new RegExp(`it holds ${GUID}, and the option cell:guid is ${other}`),
    })
    await using again = await lockCellDir(directory)
    assert.equal(again.guid, GUID)
  })
})

describe('run.json', () => {
  test('it tells where the server listens, until it stops', async () => {
    assert.equal(await readRunFile(directory), undefined, 'no directory')
    const cell = await lockCellDir(directory)
    assert.equal(await readRunFile(directory), undefined, 'not listening yet')
    await cell.announce({...LISTENERS, https: null})
    await cell.announce(LISTENERS)
    const run = await readRunFile(directory)
    assert(run !== undefined)
    const {startedAt, ...rest} = run
    assert.deepEqual(rest, {pid: process.pid, version: packageVersion(), ...LISTENERS})
    assert.equal(new Date(startedAt).toISOString(), startedAt)
    await cell.close()
    await cell.close()
    assert.equal(await readRunFile(directory), undefined)
    assert.deepEqual((await readdir(directory)).sort(), ['cell.guid', 'lock.db'])
  })

  test('what a killed server left is not believed', async () => {
    await using holder = await startHolder()
    assert.equal((await readRunFile(directory))?.zeromq.req, 1001)
    await holder.kill()
    assert(existsSync(join(directory, 'run.json')))
    assert.equal(await readRunFile(directory), undefined)
  })

  test('what a killed server began to write is removed by the next one, and that of others stays', async () => {
    const hex = 'ab'.repeat(16)
    await (await lockCellDir(directory)).close()
    const [own, others] = [
      ['.lock.pid', '.run.json', '.cell.guid'],
      ['.cell.yaml', '.notes'],
    ].map((names) => names.map((name) => `${name}.${hex}.tmp`))
    for (const name of [...(own ?? []), ...(others ?? [])]) await writeFile(join(directory, name), '')
    await (await lockCellDir(directory)).close()
    assert.deepEqual((await readdir(directory)).sort(), [...(others ?? []), 'cell.guid', 'lock.db'])
  })

  test('reading it does not take the lock away from its holder', async () => {
    await using cell = await lockCellDir(directory)
    await cell.announce(LISTENERS)
    await readRunFile(directory)
    await using other = await startChild()
    other.send('go')
    assert.equal(await other.line(), `refused REG_DIR_LOCKED ${process.pid}`)
  })

  test('one of a newer version is read as far as it is known, and one that is not understood is refused', async () => {
    await using cell = await lockCellDir(directory)
    const path = join(cell.path, 'run.json')
    const run = {
      pid: 1,
      startedAt: 'then',
      version: '9',
      zeromq: {bind: '::1', req: 1, pub: 2, hb: 3, more: 4},
      more: {},
    }
    writeFileSync(path, JSON.stringify(run))
    assert.deepEqual(await readRunFile(directory), {
      pid: 1,
      startedAt: 'then',
      version: '9',
      zeromq: {bind: '::1', req: 1, pub: 2, hb: 3, rep: null},
      telepath: {socket: null, url: null},
      provision: null,
      https: null,
    })
    for (const text of ['', 'null', '{"pid": 1}', JSON.stringify({...run, zeromq: {bind: 'x', req: '1'}})]) {
      writeFileSync(path, text)
      await assert.rejects(readRunFile(directory), {code: 'REG_DIR_UNUSABLE', message: /run\.json/}, text)
    }
  })
})
