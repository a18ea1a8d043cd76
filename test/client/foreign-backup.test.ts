import {mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {gunzipSync, gzipSync} from 'node:zlib'
import {generateX25519Identity, identityToRecipient} from 'age-encryption'
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest'
import {openBackup, verifyBackup} from '../../src/backup/open-backup.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'
import {fetchArchive, fetchBackup} from '../../src/client/live-backup.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Callable} from '../../src/wire/telepath/caller.ts'
import {member} from '../backup/tar-kit.ts'

const IDEN = 'cd'.repeat(16)
const SECRET = 'what nobody else may read '.repeat(400)
const never = new AbortController().signal
const WORK = {progress: NO_PROGRESS, signal: never}
const OPTIONS = {...WORK, timeoutMs: 1000, clock: {wallMs: () => new Date(2026, 3, 22, 9, 46, 22).getTime()}}

let dir: string
let slab: Buffer
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'foreign-backup-'))
  const [vector] = JSON.parse(await readFile(new URL('../vectors/lmdb.json', import.meta.url).pathname, 'utf8'))
  slab = gunzipSync(Buffer.from(vector.gzip, 'base64'))
})
afterEach(() => rm(dir, {recursive: true}))

/** What a real service sends, in two pieces; the first has all files. */
function sent(): readonly [Buffer, Buffer] {
  const files: readonly (readonly [string, Buffer | string])[] = [
    ['cell.guid', IDEN],
    ['secret', SECRET],
    ['slabs/cell.lmdb/data.mdb', slab],
    ['slabs/nexuslog/seqn0000000000000007.lmdb/data.mdb', slab],
  ]
  const members = files.map(([path, content]) => member({path: `b1/${path}`}, content))
  const bytes = gzipSync(Buffer.concat([...members, Buffer.alloc(1024)]))
  return [bytes.subarray(0, -20), bytes.subarray(-20)]
}

interface Sender {
  /** Comes between the two pieces. */
  readonly between?: () => Promise<void>
  /** What it says of its backups, one answer after the other; the last one stays. */
  readonly told?: Value[]
  readonly begun?: () => Promise<void>
}

function service({between, begun, told = []}: Sender = {}): Callable {
  const about = {cell: {iden: IDEN, type: 'axon', verstring: '2.256.0', aha: {name: '00.axon', network: 'demo.net'}}}
  return {
    info: {methods: new Map([['iterNewBackupArchive', {}]])},
    call: async (method: string) => (method === 'getCellInfo' ? about : told.length > 1 ? told.shift() : told[0]),
    stream: async function* () {
      const [first, second] = sent()
      await begun?.()
      yield first
      await between?.()
      yield second
    },
  } as unknown as Callable
}

/** All that lies in the directory at this moment. */
async function lyingThere(): Promise<string> {
  const items = await readdir(dir, {recursive: true, withFileTypes: true})
  const files = items.filter((item) => item.isFile())
  const texts = await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), 'latin1')))
  return texts.join('\n')
}

async function keyPair(): Promise<{identity: string; recipient: string}> {
  const identity = await generateX25519Identity()
  return {identity, recipient: await identityToRecipient(identity)}
}

describe('an archive of what a real service sends', () => {
  test('is never in clear where it is encrypted, and has all that came', async () => {
    const {identity, recipient} = await keyPair()
    const path = join(dir, 'a.tar.zst.age')
    const staged = Promise.withResolvers<number>()
    const between = async () => {
      const isStaged = async () =>
        expect((await readdir(dir, {recursive: true})).join()).toMatch(/seqn0000000000000007\.lmdb.data\.mdb/)
      await vi.waitFor(isStaged, {timeout: 20_000, interval: 5})
      expect(await lyingThere()).not.toMatch(/nobody else|cdcdcd/)
      staged.resolve(1)
    }
    const fetched = await fetchArchive(service({between}), path, {...OPTIONS, recipients: [recipient]})
    expect(await staged.promise).toBe(1)
    expect(fetched.manifest).toMatchObject({
      cell: {kind: 'synapse', iden: IDEN, name: '00.axon.demo.net'},
      log: {index: 7}, // in a slab behind the veil
    })
    expect(await readdir(dir)).toEqual(['a.tar.zst.age'])
    const backup = await openBackup(path, {identities: [identity]})
    expect(await verifyBackup(backup, {...WORK, identities: [identity]})).toEqual([])
    const {manifest} = await fetchArchive(service(), join(dir, 'b.tar.zst'), {...OPTIONS, recipients: []})
    const hashes = (files: typeof manifest.files) => files.map(({path, size, sha256}) => ({path, size, sha256}))
    expect(hashes(fetched.manifest.files)).toEqual(hashes(manifest.files))
  })

  test('lies in clear for its owner alone otherwise', async () => {
    const between = async () => {
      await vi.waitFor(async () => expect(await lyingThere()).toMatch(/nobody else/), {timeout: 20_000, interval: 5})
    }
    await fetchArchive(service({between}), join(dir, 'a.tar.zst'), {...OPTIONS, recipients: []})
    expect(await readdir(dir)).toEqual(['a.tar.zst'])
  })

  test.each([true, false])('leaves nothing when it is cancelled (encrypted: %s)', async (isEncrypted) => {
    const {recipient} = await keyPair()
    const stop = new AbortController()
    const between = async () => stop.abort(new Error('enough'))
    const recipients = isEncrypted ? [recipient] : []
    const fetching = fetchArchive(service({between}), join(dir, 'a'), {...OPTIONS, signal: stop.signal, recipients})
    await expect(fetching).rejects.toThrow('enough')
    expect(await readdir(dir)).toEqual([])
  })

  test('is not fetched where something is already', async () => {
    await writeFile(join(dir, 'a'), '')
    const begun = vi.fn(async () => undefined)
    const fetching = fetchArchive(service({begun}), join(dir, 'a'), {...OPTIONS, recipients: []})
    await expect(fetching).rejects.toMatchObject({code: 'REG_CONFLICT'})
    expect(begun).not.toHaveBeenCalled()
  })
})

test('what a killed command left is removed by the next one', async () => {
  for (const name of ['.a.unpacked.partial-01234567', '.b.partial-89abcdef']) {
    await mkdir(join(dir, name))
    await writeFile(join(dir, name, 'secret'), SECRET)
  }
  await fetchArchive(service(), join(dir, 'c'), {...OPTIONS, recipients: []})
  expect(await readdir(dir)).toEqual(['c'])
  await mkdir(join(dir, '.d.partial-01234567'))
  await fetchBackup(service(), dir, OPTIONS)
  expect((await readdir(dir)).toSorted()).toEqual(['20260422094622', 'c'])
})

test('where somebody watches, it is told what the service says while it makes the backup, and how large that became', async () => {
  const idle = {currduration: null, lastend: null, lastsize: null}
  const told: Value[] = [idle, idle, {...idle, currduration: 900}, {...idle, currduration: 11_446}]
  told.push({currduration: null, lastend: 5, lastsize: 316_112_896})
  const phases: (readonly [string, number | undefined])[] = []
  const progress = {
    ...NO_PROGRESS,
    isShown: true,
    phase: (...phase: [string, number | undefined]) => void phases.push(phase),
  }
  const begun = async () => {
    const isMade = () => expect(phases.at(-1)?.[0]).toMatch(/packs/)
    await vi.waitFor(isMade, {timeout: 30_000, interval: 10})
  }
  await fetchBackup(service({told, begun}), dir, {...OPTIONS, progress})
  expect(phases.slice(0, 5)).toEqual([
    ['the service makes a backup', undefined],
    ['the service copies itself', undefined],
    ['the service copies itself, 11s', undefined],
    ['the service packs its backup', undefined],
    ['unpacking', 316_112_896],
  ])
})

test('a service that does not say how its backup is gets one all the same', async () => {
  const phases: string[] = []
  const progress = {...NO_PROGRESS, isShown: true, phase: (name: string) => void phases.push(name)}
  await fetchBackup(service({told: ['whatever']}), dir, {...OPTIONS, progress})
  expect(phases.slice(0, 2)).toEqual(['the service makes a backup', 'unpacking'])
})
