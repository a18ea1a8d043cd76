import {createHash} from 'node:crypto'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {isSafePath, type Manifest, totalsOf} from '../../src/backup/manifest.ts'
import {decodeManifest, readManifestFrom} from '../../src/backup/manifest-read.ts'
import {encodeManifest} from '../../src/backup/manifest-write.ts'

const HASH = 'ab'.repeat(32)
const MANIFEST: Manifest = {
  name: '20261121120000',
  madeAt: '2026-11-21T12:00:00.000Z',
  madeBy: '0.1.0',
  how: 'live',
  cell: {kind: 'registry', iden: 'cd'.repeat(16), type: 'registry', name: '00.demo.net', version: '0.1.0'},
  log: {epoch: 3, index: 12, hash: HASH},
  skipped: ['tmp'],
  directories: ['certs', 'certs/cas'],
  files: [{path: 'registry.db', size: 4096, allocated: 4096, sha256: HASH}],
  census: {services: 2, state: HASH},
}

type Body = Record<string, unknown>

const fileNamed = (path: string) => ({path, size: 1, allocated: 512, sha256: HASH})

/** As a file is read: every piece in the same place. */
const PIECE = Buffer.alloc(4096)

async function* piecesOf(bytes: Uint8Array, cuts: readonly number[]) {
  let from = 0
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    const piece = bytes.subarray(from, cut)
    PIECE.set(piece)
    yield PIECE.subarray(0, piece.length)
    from = cut
  }
}

const invalid = (text: string) => () => decodeManifest(text, 'b/backup.json')

describe('a manifest', () => {
  test('is read as it was written', () => {
    expect(decodeManifest(encodeManifest(MANIFEST), 'x')).toEqual(MANIFEST)
  })

  test('says the sums over its files', () => {
    expect(JSON.parse(encodeManifest(MANIFEST))).toMatchObject({format: 1, totals: {files: 1, bytes: 4096}})
    expect(totalsOf([])).toEqual({files: 0, bytes: 0, allocated: 0})
  })

  test('that was cut anywhere is none', () => {
    const text = encodeManifest(MANIFEST)
    for (let length = 0; length < text.length - 2; length++) {
      expect(invalid(text.slice(0, length)), `${length}`).toThrow(/not the manifest of a backup/)
    }
  })

  test('with one altered character says so', () => {
    const text = encodeManifest(MANIFEST)
    const at = text.indexOf('registry.db')
    expect(invalid(`${text.slice(0, at)}s${text.slice(at + 1)}`)).toThrow(/altered/)
  })

  test('of a newer format is refused', () => {
    expect(invalid('{"format": 2}')).toThrow(/its format is 2, known is 1/)
  })

  test.each(['../x', '/x', 'a/../b', 'a//b', './a', '', 'a\0', 'backup.json', 'a\\b'])(
    'that names the file %j is refused',
    (path) => {
      const files = [{path, size: 1, allocated: 1, sha256: HASH}]
      expect(invalid(encodeManifest({...MANIFEST, files}))).toThrow(/path below|manifest itself|not what it should/)
    },
  )

  test('has the text that JSON has of all of it at once, whatever the number of files', () => {
    for (const count of [0, 1, 255, 256, 257, 1000]) {
      const manifest = {...MANIFEST, files: Array.from({length: count}, (_, at) => fileNamed(`f/"ä"\n${at}, []`))}
      const text = encodeManifest(manifest)
      expect(text).toBe(`${JSON.stringify(JSON.parse(text), undefined, 1)}\n`)
      const {digest, ...body} = JSON.parse(text)
      expect(digest).toBe(createHash('sha256').update(JSON.stringify(body)).digest('hex'))
      expect(decodeManifest(text, 'x')).toEqual(manifest)
    }
  })

  test('is read in whatever pieces it comes, and with whatever blanks', async () => {
    const files = [fileNamed('a/"files": ['), fileNamed('ü/\u2028🦊}]'), fileNamed('c')]
    const manifest = {...MANIFEST, files, census: {'"files": [': '{"files": [', services: 1}}
    const text = encodeManifest(manifest)
    for (const form of [text, JSON.stringify(JSON.parse(text)), JSON.stringify(JSON.parse(text), undefined, 4)]) {
      const bytes = Buffer.from(form)
      const cuts = fc.uniqueArray(fc.nat(bytes.length), {maxLength: 20})
      await fc.assert(
        fc.asyncProperty(cuts, async (places) => {
          expect(await readManifestFrom(piecesOf(bytes, places), 'x')).toEqual(manifest)
        }),
      )
      const each = Array.from({length: bytes.length}, (_, at) => at)
      expect(await readManifestFrom(piecesOf(bytes, each), 'x')).toEqual(manifest)
    }
  })

  test('takes over what was known of it, and nothing that is another', async () => {
    const files = ['a', 'b', 'c'].map(fileNamed)
    const known = {...MANIFEST, files: files.map((file) => ({...file, size: file.path === 'b' ? 2 : 1}))}
    const read = await readManifestFrom(piecesOf(Buffer.from(encodeManifest({...MANIFEST, files})), []), 'x', known)
    expect(read.files).toEqual(files)
    expect(read.files.map((file, at) => file === known.files[at])).toEqual([true, false, true])
  })

  test.each([
    ['a file that is none', (body: Body) => ({...body, files: [0]}), /altered|no object/],
    ['a list in place of a file', (body: Body) => ({...body, files: [[]]}), /altered|no object/],
    ['no list of files', (body: Body) => ({...body, files: {path: 'x'}}), /no list/],
    ['no files', ({files: _, ...body}: Body) => body, /no list/],
    ['a size that is text', (body: Body) => ({...body, files: [{...fileNamed('a'), size: '1'}]}), /files\[0\].size/],
    ['a list of files elsewhere', (body: Body) => ({...body, cell: {files: [fileNamed('a')]}}), /cell.kind/],
  ])('with a right digest and %s is refused', (_, change, reason) => {
    const {digest: _digest, ...body} = JSON.parse(encodeManifest(MANIFEST))
    const changed = change(body)
    const digest = createHash('sha256').update(JSON.stringify(changed)).digest('hex')
    expect(invalid(JSON.stringify({...changed, digest}))).toThrow(reason)
  })

  test('with two lists of files is refused', () => {
    const text = encodeManifest(MANIFEST)
    expect(invalid(text.replace('"files": [', '"files": [],\n "files": ['))).toThrow(/two lists/)
    expect(invalid(text.replace('"totals"', '"files": 1,\n "totals"'))).toThrow(/altered|no list/)
  })

  test('that names a file twice is refused', () => {
    const [file] = MANIFEST.files
    if (file === undefined) throw new Error('the manifest has a file')
    expect(invalid(encodeManifest({...MANIFEST, files: [file, file]}))).toThrow(/twice/)
  })

  test('takes any sane path, and no other', () => {
    const part = fc.stringMatching(/^[a-z0-9._-]{1,8}$/).filter((text) => text !== '.' && text !== '..')
    fc.assert(fc.property(fc.array(part, {minLength: 1, maxLength: 5}), (parts) => isSafePath(parts.join('/'))))
    fc.assert(fc.property(fc.array(part, {minLength: 1, maxLength: 3}), (parts) => !isSafePath(`/${parts.join('/')}`)))
  })
})
