import {execFileSync} from 'node:child_process'
import {symlink} from 'node:fs/promises'
import {gzipSync} from 'node:zlib'
import {generateX25519Identity, identityToRecipient} from 'age-encryption'
import {Header} from 'tar'
import {describe, expect, test} from 'vitest'
import {encryptAge} from '../../src/backup/age-stream.ts'
import {saveArchive} from '../../src/backup/archive-file.ts'
import {UNVERIFIED} from '../../src/backup/foreign.ts'
import {readShelf} from '../../src/backup/shelf.ts'
import {kindOfFile} from '../../src/backup/shelf-file.ts'
import {archiveOf, chunksOf, gather, Scratch, WORK} from './archive-kit.ts'

const FILES = {a: Buffer.from('aaa')}
const {signal} = WORK

/** A tar as other tools write it. */
function tarOf(members: Readonly<Record<string, Buffer | undefined>>): Buffer {
  const parts = Object.entries(members).map(([path, content]) => {
    const header = new Header({path, size: content?.length ?? 0, type: content ? 'File' : 'Directory', mode: 0o600})
    const block = Buffer.alloc(512)
    header.encode(block)
    return Buffer.concat([block, content ?? EMPTY, Buffer.alloc(-(content?.length ?? 0) & 511)])
  })
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}

const EMPTY = Buffer.alloc(0)
const AXON = {'ab/': undefined, 'ab/axon.lmdb/': undefined, 'ab/axon.lmdb/data.mdb': Buffer.alloc(9 << 20)}

test('an archive is known by its first bytes, whatever its name', async () => {
  await using scratch = await Scratch.make()
  const identity = await generateX25519Identity()
  const recipients = [await identityToRecipient(identity)]
  const ours = await gather(archiveOf(FILES))
  await saveArchive(chunksOf(ours), scratch.path('nightly'), {recipients: [], signal})
  await saveArchive(chunksOf(ours), scratch.path('enc.age'), {recipients, signal})
  await scratch.write({
    stream: gzipSync(tarOf(AXON)),
    photos: gzipSync(tarOf({'p/': undefined, 'p/a.jpg': Buffer.from('…')})),
    log: gzipSync('a line\n'),
    secret: await gather(encryptAge(chunksOf(Buffer.from('a secret')), recipients)),
    'notes.txt': Buffer.from('none of ours'),
    empty: EMPTY,
  })
  const shown = async (identities: readonly string[]) =>
    (await readShelf(scratch.dir, {identities, signal})).map(({name, kind}) => [name, kind])
  expect(await shown([])).toEqual([
    ['nightly', 'archive'],
    ['enc.age', 'sealed'],
    ['secret', 'sealed'],
    ['stream', 'foreign'],
  ])
  expect(await shown([await generateX25519Identity()])).toContainEqual(['enc.age', 'sealed'])
  expect(await shown([identity])).toEqual([
    ['enc.age', 'archive'],
    ['nightly', 'archive'],
    ['stream', 'foreign'],
  ])
  const stream = (await readShelf(scratch.dir, {signal})).find(({name}) => name === 'stream')
  expect(stream).toMatchObject({reason: UNVERIFIED, isProven: false})
})

test('of a manifest a list keeps how many files it has, not which', async () => {
  await using scratch = await Scratch.make()
  await saveArchive(archiveOf(FILES), scratch.path('nightly'), {recipients: [], signal})
  const [item] = await readShelf(scratch.dir, {signal})
  expect(item?.manifest).toMatchObject({files: 1, how: 'offline'})
})

describe('what is never opened or read on', () => {
  test('links, pipes and devices', async () => {
    await using scratch = await Scratch.make()
    await scratch.write({[`below/real`]: await gather(archiveOf(FILES))})
    await symlink(scratch.path('below/real'), scratch.path('link.tar.zst'))
    execFileSync('mkfifo', [scratch.path('pipe.tar.zst')])
    for (const path of [scratch.path('link.tar.zst'), scratch.path('pipe.tar.zst'), '/dev/zero', scratch.dir]) {
      expect(await kindOfFile(path, [])).toBeUndefined()
    }
    expect((await readShelf(scratch.dir, {signal})).map(({name}) => name)).toEqual(['below/real'])
  })

  test('what says nothing in its first bytes, however much of it comes out', async () => {
    await using scratch = await Scratch.make()
    const guid = Buffer.from('ab'.repeat(16))
    const [before, behind] = [{'t/z': Buffer.alloc(7 << 20)}, {'t/z': Buffer.alloc(9 << 20)}]
    await scratch.write({
      early: gzipSync(tarOf({...before, 't/cell.guid': guid})),
      late: gzipSync(tarOf({...behind, 't/cell.guid': guid})),
      large: tarOf({...before, 't/cell.guid': guid}),
    })
    expect(await kindOfFile(scratch.path('early'), [])).toBe('service')
    expect(await kindOfFile(scratch.path('late'), [])).toBeUndefined()
    expect(await kindOfFile(scratch.path('large'), [])).toBeUndefined()
  })
})
