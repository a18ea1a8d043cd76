import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {decodeManifest, encodeManifest, isSafePath, type Manifest, totalsOf} from '../../src/backup/manifest.ts'

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
