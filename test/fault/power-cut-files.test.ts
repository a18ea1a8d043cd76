// What a power cut leaves of all else that must survive one than a store at work: directories, certificates, backups, what takes the place of something.
import assert from 'node:assert/strict'
import {createPrivateKey, X509Certificate} from 'node:crypto'
import {existsSync} from 'node:fs'
import {mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {FollowDir} from '../../src/backup/follow-dir.ts'
import {readManifest} from '../../src/backup/open-backup.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {verifyTree} from '../../src/backup/verify.ts'
import {lockCellDir} from '../../src/cell/dirs.ts'
import {mendRestore} from '../../src/cell/restore-swap.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {ensureHttpsPair, readHttpsPair} from '../../src/server/https-pair.ts'
import {placeCopy} from '../../src/server/mirroring/copy.ts'
import {FenceFile} from '../../src/server/mirroring/fence-file.ts'
import {Child} from '../support/child.ts'
import {DirectStore} from '../support/direct-store.ts'
import {DiskCuts, FATES} from '../support/disk-cuts.ts'
import {recordCalls, TRACERS} from '../support/disk-recorder.ts'
import {assertModel, type LogShape} from '../support/log-model.ts'
import {openCuts} from '../support/open-cuts.ts'
import {ARCHIVE, FENCE, NEW_SHAPE, type Scenario, SHAPE} from './durable.ts'
import {IS_LONG} from './rounds.ts'

const CHILD = new URL('durable-child.ts', import.meta.url)
const ROOT = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
const [CONF_0, CONF_1] = ['aha:name: "00"\n', 'aha:name: "01"\n']
const never = new AbortController().signal
let home = ''

beforeAll(async () => {
  home = await mkdtemp(join(ROOT, 'registry-cuts-'))
})
afterAll(() => rm(home, {recursive: true}))

/** Records a scenario after what prepares it, and looks at what each kind of cut leaves at each moment of it. */
async function openAll<Found>(
  scenario: Scenario,
  prepare: (dir: string) => Promise<unknown>,
  look: (folder: string) => Promise<Found>,
  judge: (found: Found, said: readonly string[]) => void,
): Promise<readonly Found[]> {
  const recorded = await mkdtemp(join(tmpdir(), 'registry-cuts-'))
  try {
    await prepare(recorded)
    const recording = await recordCalls(recorded, CHILD, [scenario, recorded])
    const all: Found[] = []
    const check = {
      folder: join(home, 'disk'),
      look: async (folder: string) => {
        const found = await look(folder)
        all.push(found)
        return found
      },
      judge,
    }
    // In the short form after names changed, and when something was said.
    const isChosen = ({lastKind}: DiskCuts) => IS_LONG || lastKind === 'names' || lastKind === 'said'
    await openCuts(new DiskCuts(recording), FATES, check, isChosen)
    return all
  } finally {
    await rm(recorded, {recursive: true})
  }
}

/** Runs a child until it kills itself. */
async function prepared(name: string, dir: string): Promise<void> {
  await using child = new Child(CHILD, [name, dir])
  while ((await child.line()) !== undefined);
}

const most = (said: readonly string[], verb: string) =>
  Math.max(0, ...said.filter((line) => line.startsWith(`${verb} `)).map((line) => Number(line.split(' ')[1])))

/** Gives how many entries a store has; 0 when it is not there. */
async function storedIn(path: string, shape: LogShape): Promise<number> {
  if (!existsSync(path)) return 0
  using store = new DirectStore(path)
  await assertModel(store, store.head, shape, 0)
  return store.head.nextOffset
}

async function textIn(path: string): Promise<string | undefined> {
  return existsSync(path) ? await readFile(path, 'utf8') : undefined
}

describe.each(TRACERS)('a power cut, by %s', {timeout: 900_000}, () => {
  test('while a cell begins, with certificates, a fence and a configuration', async () => {
    const look = async (folder: string) => {
      const dir = join(folder, 'srv', 'cells', 'one')
      const before = await textIn(join(dir, 'cell.guid'))
      await using cell = await lockCellDir(dir)
      const certs = new CertDir(cell.certsPath)
      const read = async (ending: 'key' | 'crt') =>
        (await certs.find('host', 'one.demo.net', ending)) && (await certs.read('host', 'one.demo.net', ending))
      const found = {
        guid: cell.guid,
        stored: await storedIn(cell.storePath, SHAPE),
        key: await read('key'),
        crt: await read('crt'),
        fence: await new FenceFile(dir).read(),
        conf: await textIn(join(dir, 'cell.yaml')),
      }
      if (before !== undefined) assert.equal(found.guid, before)
      assert([undefined, 'a key'].includes(found.key))
      assert([undefined, 'a crt', 'a new crt'].includes(found.crt))
      assert(found.crt === undefined || found.key !== undefined, 'a certificate without its key')
      assert([undefined, CONF_0, CONF_1].includes(found.conf), found.conf)
      if (found.fence !== undefined) assert.deepEqual(found.fence, FENCE)
      return found
    }
    const judge = (found: Awaited<ReturnType<typeof look>>, said: readonly string[]) => {
      const guid = said.find((line) => line.startsWith('guid '))
      if (guid !== undefined) assert.equal(`guid ${found.guid}`, guid)
      assert(found.stored >= most(said, 'stored'), `acknowledged ${most(said, 'stored')}, there ${found.stored}`)
      if (said.includes('key')) assert.equal(found.key, 'a key')
      if (said.includes('crt')) assert(found.crt !== undefined)
      if (said.includes('renewed')) assert.equal(found.crt, 'a new crt')
      if (said.includes('fenced') && !said.includes('freeing')) assert.deepEqual(found.fence, FENCE)
      if (said.includes('free')) assert.equal(found.fence, undefined)
      if (said.includes('configured')) assert.equal(found.conf, CONF_1)
    }
    await openAll('begin', async () => undefined, look, judge)
  })

  test('while the pair of the HTTPS listener is made', async () => {
    const look = async (folder: string) => {
      const wasThere = existsSync(join(folder, 'sslkey.pem'))
      await ensureHttpsPair(folder, Date.now())
      const {cert, key} = await readHttpsPair(folder)
      assert(new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)), 'the key is not that of the certificate')
      assert(!existsSync(join(folder, 'sslpair.pending')))
      return wasThere
    }
    await openAll(
      'pair',
      async () => undefined,
      look,
      (wasThere, said) => {
        if (said.includes('made')) assert(wasThere)
      },
    )
  })

  test('while a database is compacted', async () => {
    const prepare = async (dir: string) => {
      await prepared('ballast', dir)
      await mkdir(join(dir, 'tmp')) // as after another time
    }
    const look = async (folder: string) => {
      const path = join(folder, 'registry.db')
      const stored = await storedIn(path, SHAPE)
      return {stored, isCompact: (await stat(path)).size < 1_000_000}
    }
    const found = await openAll('compact', prepare, look, ({stored, isCompact}, said) => {
      assert(stored >= Math.max(50, most(said, 'stored')), `there ${stored}`)
      if (said.includes('compacted')) assert(isCompact)
    })
    expect(new Set(found.map(({isCompact}) => isCompact))).toEqual(new Set([true, false]))
  })

  test('while the copy of another member takes the place of a store', async () => {
    const look = async (folder: string) => {
      const path = join(folder, 'registry.db')
      // As the next start does: it waits, checked, for its place.
      if (existsSync(`${path}.part`) && existsSync(`${path}.part.json`)) await placeCopy(path)
      return await storedIn(path, NEW_SHAPE)
    }
    await openAll(
      'place',
      (dir) => prepared('old', dir),
      look,
      (stored, said) => {
        assert(stored >= Math.max(50, most(said, 'stored')), `there ${stored}`)
      },
    )
  })

  test.each(['restore beside', 'restore within'] as const)('while a backup is restored: %s', async (scenario) => {
    const NAMES = ['cell.guid', 'certs/old.crt', 'registry.db', 'backups/b1']
    const prepare = async (dir: string) => {
      for (const name of NAMES) {
        await mkdir(dirname(join(dir, 'cell', name)), {recursive: true})
        await writeFile(join(dir, 'cell', name), 'old')
      }
    }
    const look = async (folder: string) => {
      const dir = join(folder, 'cell')
      await mendRestore(dir)
      const now = await readFile(join(dir, 'cell.guid'), 'utf8')
      assert.equal(await readFile(join(dir, 'backups/b1'), 'utf8'), 'old')
      for (const name of [`certs/${now}.crt`, 'registry.db']) assert.equal(await readFile(join(dir, name), 'utf8'), now)
      const [parent, beginning] = scenario === 'restore beside' ? [folder, 'cell.before'] : [dir, '.before']
      const kept = (await readdir(parent)).filter((name) => name.startsWith(beginning))
      if (now === 'old') return now
      const [place = assert.fail('the old one is gone')] = kept
      for (const name of NAMES.slice(0, 3)) assert.equal(await readFile(join(parent, place, name), 'utf8'), 'old')
      return now
    }
    const found = await openAll(scenario, prepare, look, (now, said) => {
      if (said.includes('restored')) assert.equal(now, 'new')
    })
    expect(new Set(found)).toEqual(new Set(['old', 'new']))
  })

  test('while a log is followed', async () => {
    const look = async (folder: string) => {
      await using kept = await FollowDir.open(join(folder, 'srv', 'kept'))
      assert.equal(kept.damage, undefined)
      const base = kept.newestBase
      if (base === undefined) return {kept: 0, based: 0}
      assert.deepEqual(await verifyTree(base.path, base.manifest, {progress: NO_PROGRESS, signal: never}), [])
      return {kept: kept.place?.nextOffset ?? 0, based: base.index}
    }
    await openAll(
      'follow',
      async () => undefined,
      look,
      (found, said) => {
        assert(found.kept >= most(said, 'kept'), `said to be kept: ${most(said, 'kept')}, there ${found.kept}`)
        assert(found.based >= most(said, 'based'), `a base of ${most(said, 'based')}, there ${found.based}`)
      },
    )
  })

  test('while backups are made and removed', async () => {
    const look = async (folder: string) => {
      const shelf = join(folder, 'srv', 'shelf')
      const archive = existsSync(join(shelf, 'one.tar')) ? await readFile(join(shelf, 'one.tar')) : undefined
      if (archive !== undefined) assert(archive.equals(ARCHIVE))
      const dir = join(shelf, 'one')
      if (!existsSync(dir)) return {isMade: false, isPacked: archive !== undefined}
      assert.deepEqual(await verifyTree(dir, await readManifest(dir), {progress: NO_PROGRESS, signal: never}), [])
      return {isMade: true, isPacked: archive !== undefined}
    }
    await openAll(
      'backup',
      async () => undefined,
      look,
      ({isMade, isPacked}, said) => {
        if (said.includes('packed')) assert(isPacked)
        if (said.includes('removed')) assert(!isMade)
        else if (said.includes('made') && !said.includes('packed')) assert(isMade)
      },
    )
  })
})
