import {randomBytes} from 'node:crypto'
import {readdir} from 'node:fs/promises'
import {gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync} from 'node:zlib'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {encodeManifest} from '../../src/backup/manifest-write.ts'
import {RegistryError} from '../../src/base/errors.ts'
import {archiveOf, chunksOf, gather, manifestOf, Scratch} from './archive-kit.ts'
import {END, manifestMember, member, pax, rawHeader, tar} from './tar-kit.ts'

const A = Buffer.from('content of a')
const MANIFEST = manifestOf({a: A}, {directories: ['d']})
const MADE = manifestMember(MANIFEST)
const D = member({path: 'b1/d/', type: '5'})
const FILE = member({path: 'b1/a'}, A)

/** Unpacks what must not be unpacked; gives the error. Nothing may be left of it. */
async function refusal(bytes: Uint8Array | AsyncIterable<Uint8Array>, isForeign = false): Promise<RegistryError> {
  await using scratch = await Scratch.make()
  const chunks = bytes instanceof Uint8Array ? chunksOf(bytes) : bytes
  const result = await scratch.unpack(chunks, {isForeign}).catch((error: unknown) => error)
  expect(await readdir(scratch.path('to'))).toEqual([])
  expect(await readdir(scratch.dir)).toEqual(['to'])
  if (!(result instanceof RegistryError)) throw new Error('it was taken', {cause: result})
  expect(['REG_BACKUP_INVALID', 'REG_BACKUP_DAMAGED', 'REG_BACKUP_SEALED']).toContain(result.code)
  return result
}

test('the corpus is refused for what is wrong with it: without that it is taken', async () => {
  await using scratch = await Scratch.make()
  expect((await scratch.unpack(chunksOf(tar(MADE, D, FILE)))).files).toHaveLength(1)
  expect((await scratch.unpack(chunksOf(tar(D, FILE)), {isForeign: true}, 'foreign')).files).toHaveLength(1)
  const long = pax(`path=b1/${'x'.repeat(200)}`)
  expect((await scratch.unpack(chunksOf(tar(long, FILE)), {isForeign: true}, 'long')).files).toHaveLength(1)
})

describe.each([
  ['in an archive with a manifest', [MADE, D, FILE], false],
  ['in one without', [D, FILE], true],
] as const)('%s', (_, parts, isForeign) => {
  test.each([
    ['a symbolic link', member({path: 'b1/l', type: '2', link: '/etc/passwd'}), /symbolic link/],
    ['a hard link', member({path: 'b1/l', type: '1', link: 'b1/a'}), /hard link/],
    ['a character device', member({path: 'b1/l', type: '3'}), /a device/],
    ['a block device', member({path: 'b1/l', type: '4'}), /a device/],
    ['a pipe', member({path: 'b1/l', type: '6'}), /a pipe/],
    ['a contiguous file', member({path: 'b1/l', type: '7'}), /neither a file nor a directory/],
    ['an unknown kind', member({path: 'b1/l', type: 'Z'}), /neither a file nor a directory/],
    ['a file with a link', member({path: 'b1/l', link: '/etc/passwd'}), /leads to another name/],
    ['a long name of GNU', member({path: '././@LongLink', type: 'L'}, 'b1/x\0'), /long name in the way of GNU/],
    ['a long link of GNU', member({path: '././@LongLink', type: 'K'}, '/etc\0'), /a link with a long name/],
    ['a sparse file of GNU', member({path: 'b1/s', type: 'S'}), /a sparse file/],
    ['a dump directory', member({path: 'b1/s', type: 'D'}), /neither a file nor/],
    ['a volume label', member({path: 'b1', type: 'V'}), /neither a file nor/],
    ['an absolute name', member({path: '/etc/cron.d/x'}, 'x'), /no path below/],
    ['a name that goes up', member({path: 'b1/../../x'}, 'x'), /no path below/],
    ['a name that goes up by its prefix', member({path: 'x', prefix: '..'}, 'x'), /no path below/],
    ['a directory that goes up', member({path: 'b1/../', type: '5'}), /no path below/],
    ['a name with a dot', member({path: './b1/x'}, 'x'), /no path below/],
    ['a name with an empty part', member({path: 'b1//x'}, 'x'), /no path below/],
    ['a name with a backslash', member({path: 'b1/..\\x'}, 'x'), /no path below/],
    ['an empty name', member({path: ''}, 'x'), /no path below/],
    ['a name that is no UTF-8', rawHeader({path: 'b1/x'}).fill(0xff, 3, 4), /altered|UTF-8/],
    ['another top directory', member({path: 'b2/x'}, 'x'), /not below "b1"/],
    ['a file at the top', member({path: 'x'}, 'x'), /not below "b1"/],
    [
      'a part that is too long',
      Buffer.concat([pax(`path=b1/${'x'.repeat(256)}`), member({path: 'x'})]),
      /too long a part/,
    ],
    ['a duplicate', FILE, /there twice/],
    ['a duplicate directory', D, /there twice/],
    ['a file below a file', member({path: 'b1/a/b'}, 'x'), /not in the manifest|a file and a directory/],
    ['a file in the place of a directory', member({path: 'b1/d'}, 'x'), /there twice/],
    ['a wrong checksum', rawHeader({path: 'b1/x', checksum: '000001\0 '}), /header of a member is altered/],
    ['no checksum', rawHeader({path: 'b1/x', checksum: '        '}), /header of a member is altered/],
    ['a negative size', rawHeader({path: 'b1/x', size: '-0000000001\0'}), /has no size|not in the manifest/],
    ['a size that is none', rawHeader({path: 'b1/x', size: 'many bytes\0\0'}), /has no size|not in the manifest/],
    ['a header for all', member({path: 'g', type: 'g'}, '17 path=b1/other\n'), /header for all of its members/],
    ['an extended header that escapes', Buffer.concat([pax('path=../../x'), FILE]), /no path below/],
    ['an extended header with a link', Buffer.concat([pax('linkpath=/etc/passwd'), FILE]), /says linkpath/],
    ['one of a sparse file', Buffer.concat([pax('GNU.sparse.major=1'), FILE]), /says GNU.sparse.major/],
    ['one with a name twice', Buffer.concat([pax('path=b1/x', 'path=b1/y'), FILE]), /says path twice/],
    ['one with a size that is none', Buffer.concat([pax('size=-1'), FILE]), /says no size/],
    ['one with a size beyond numbers', Buffer.concat([pax('size=9999999999999999'), FILE]), /says no size/],
    [
      'one that cannot be read',
      Buffer.concat([member({path: 'p', type: 'x'}, '99 path=b1/x\n'), FILE]),
      /cannot be read/,
    ],
    ['one without an end', Buffer.concat([member({path: 'p', type: 'x'}, '12 path=b1/x'), FILE]), /cannot be read/],
    ['one with nothing behind it', pax('path=b1/x'), /stands before the end/],
    ['two extended headers', Buffer.concat([pax('path=b1/x'), pax('path=b1/y'), FILE]), /neither a file nor/],
    ['thousands of extended headers', Buffer.concat(new Array(5000).fill(pax('mtime=1'))), /neither a file nor/],
    ['a huge extended header', rawHeader({path: 'p', type: 'x', size: 2 ** 30}), /extended header of 1073741824 bytes/],
    ['a header without a block', Buffer.alloc(100, 1), /ends too early|altered/],
  ])('%s is refused', async (what, hostile, reason) => {
    // What says it is a file with a size that is none needs its content to be reached: nothing is read of it.
    const error = await refusal(tar(...parts, hostile), isForeign)
    expect(error.message, what).toMatch(reason)
  })
})

describe('an archive with a manifest', () => {
  const OTHER = manifestOf({a: A, 'b/c': Buffer.from('c')}, {directories: []})
  test.each([
    ['lacks a file', tar(manifestMember(OTHER), FILE), /b\/c is missing/],
    ['lacks a directory', tar(MADE, FILE), /d is missing/],
    ['lacks everything', tar(MADE), /d is missing/],
    ['has a file beyond it', tar(MADE, D, FILE, member({path: 'b1/x'}, 'x')), /"x" is not in the manifest/],
    ['has another order', tar(MADE, FILE, D), /d is missing, or not at its place/],
    ['has a larger file', tar(MADE, D, member({path: 'b1/a'}, `${A}!`)), /13 bytes, the manifest says 12/],
    ['has a smaller file', tar(MADE, D, member({path: 'b1/a'}, 'content of')), /10 bytes, the manifest says 12/],
    ['has another content', tar(MADE, D, member({path: 'b1/a'}, 'content of b')), /content of a is not what/],
    ['has a directory for a file', tar(MADE, D, member({path: 'b1/a/', type: '5'})), /not of the kind/],
    ['has it not at its beginning', tar(FILE, MADE), /first member is not backup.json/],
    ['has it twice', tar(MADE, MADE, D, FILE), /"backup.json" is not in the manifest/],
    [
      'has an altered one',
      tar(member({path: 'b1/backup.json'}, encodeManifest(MANIFEST).replace('"d"', '"e"'))),
      /altered/,
    ],
    [
      'has one that asks for too much',
      tar(rawHeader({path: 'b1/backup.json', size: 2 ** 30})),
      /its manifest has 1073741824 bytes/,
    ],
    ['has one with a file below a file', tar(manifestMember(manifestOf({a: A, 'a/b': A}))), /a file and a directory/],
    [
      'has one with a directory below a file',
      tar(manifestMember(manifestOf({a: A}, {directories: ['a/b']}))),
      /a file and/,
    ],
    [
      'has one that holds more than may be',
      tar(manifestMember({...MANIFEST, files: [{path: 'a', size: 2 ** 40, allocated: 0, sha256: 'ab'.repeat(32)}]})),
      /holds more than 1073741824 bytes/,
    ],
    [
      'has one with more files than may be',
      tar(manifestMember(manifestOf({}, {directories: Array.from({length: 10_001}, (_, at) => `d${at}`)}))),
      /holds more than 10000 files/,
    ],
  ])('that %s is refused', async (_, bytes, reason) => {
    expect((await refusal(bytes)).message).toMatch(reason)
    expect((await refusal(zstdCompressSync(bytes))).message).toMatch(reason)
  })

  test('of another top directory is refused', async () => {
    const renamed = member({path: 'b2/backup.json'}, encodeManifest(MANIFEST))
    expect((await refusal(tar(renamed))).message).toMatch(/its manifest is that of "b1"/)
  })
})

describe('an archive that is cut', () => {
  test('at any block is refused', async () => {
    const whole = tar(MADE, D, FILE)
    for (let length = 0; length < whole.length; length += 512) {
      expect((await refusal(whole.subarray(0, length))).code, `${length}`).toMatch(/DAMAGED/)
      if (length > MADE.length) expect((await refusal(whole.subarray(0, length + 100))).message).toMatch(/too early/)
    }
  })

  test.each([
    ['zstd', zstdCompressSync],
    ['gzip', gzipSync],
  ] as const)('anywhere in what %s made is refused', async (_, compress) => {
    const whole = compress(tar(MADE, D, FILE))
    for (let length = 1; length < whole.length; length += 13) await refusal(whole.subarray(0, length))
    await refusal(whole.subarray(0, -1))
  })
})

describe('an archive with something behind its end', () => {
  const whole = tar(MADE, D, FILE)
  test.each([
    ['bytes', Buffer.concat([whole, Buffer.from('x')])],
    ['another archive', Buffer.concat([whole, whole])],
    ['bytes behind zstd', Buffer.concat([zstdCompressSync(whole), Buffer.from('x')])],
    ['another frame of zstd', Buffer.concat([zstdCompressSync(whole), zstdCompressSync(Buffer.from('x'))])],
    ['bytes behind gzip', Buffer.concat([gzipSync(whole), Buffer.from('x')])],
    ['another part of gzip', Buffer.concat([gzipSync(whole), gzipSync(Buffer.from('x'))])],
    ['more empty bytes than any tool writes', Buffer.concat([whole, Buffer.alloc(2 << 20)])],
    ['one empty block, then a member', Buffer.concat([MADE, D, Buffer.alloc(512), FILE, END])],
  ])('(%s) is refused', async (_, bytes) => {
    expect((await refusal(bytes)).message).toMatch(/something follows|incorrect header check|unexpected end of file/)
  })
})

describe('what is no archive', () => {
  test.each([
    ['nothing', new Uint8Array(0), /too early/],
    ['only an end', END, /it is empty/],
    ['text', Buffer.alloc(2000, 'hello '), /no tar/],
    ['armor', Buffer.from('-----BEGIN AGE ENCRYPTED FILE-----\n'.repeat(50)), /ASCII armor/],
    ['zstd of text', zstdCompressSync(Buffer.alloc(2000, 'hello ')), /no tar/],
    ['zstd of zstd', zstdCompressSync(zstdCompressSync(randomBytes(3000))), /no tar/],
  ])('(%s) is refused', async (_, bytes, reason) => {
    expect((await refusal(bytes)).message).toMatch(reason)
    expect((await refusal(bytes, true)).message).toMatch(reason)
  })
})

describe('an archive that is made to fill something', () => {
  /** As many bytes as are wanted, and how many were. */
  function endless(start: Uint8Array, piece: Uint8Array, pieces: number) {
    const state = {given: 0}
    async function* chunks() {
      yield start
      for (; state.given < pieces; state.given++) yield piece
    }
    return {state, chunks: chunks()}
  }

  test('the memory, with a manifest, is not read', async () => {
    const {state, chunks} = endless(rawHeader({path: 'b1/backup.json', size: 2 ** 30}), Buffer.alloc(1 << 20), 1024)
    expect((await refusal(chunks)).message).toMatch(/manifest has/)
    expect(state.given).toBeLessThan(3)
  })

  test('the disk, is refused before the file is written', async () => {
    const {state, chunks} = endless(rawHeader({path: 'b1/a', size: 2 ** 32}), Buffer.alloc(1 << 20, 1), 4096)
    expect((await refusal(chunks, true)).message).toMatch(/holds more than/)
    expect(state.given).toBeLessThan(3)
  })

  test('the disk by very few bytes, is refused soon', async () => {
    const size = 512 << 20
    const bomb = zstdCompressSync(Buffer.concat([rawHeader({path: 'b1/a', size}), Buffer.alloc(100 << 20, 'a')]))
    expect(bomb.length).toBeLessThan(30_000)
    expect((await refusal(bomb, true)).message).toMatch(/a few bytes become very many/)
  })

  test('the memory by the window of a frame, is refused', async () => {
    // A frame header whose window is 2 GiB: magic, no flags, exponent 21.
    const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00])
    expect((await refusal(frame)).message).toMatch(/memory|window/)
  })
})

test('no altered byte is taken for what was written', async () => {
  const contents = {a: randomBytes(700), 'b/c': Buffer.alloc(5000, 7)}
  const whole = {
    zstd: await gather(archiveOf(contents)),
    gzip: await gather(archiveOf(contents, {}, 'gzip')),
  }
  const plain = zstdDecompressSync(whole.zstd)
  expect(gunzipSync(whole.gzip).equals(plain)).toBe(true)
  const sample = fc.constantFrom(whole.zstd, whole.gzip, plain)
  await fc.assert(
    fc.asyncProperty(sample, fc.nat(), fc.integer({min: 1, max: 255}), async (bytes, place, mask) => {
      await using scratch = await Scratch.make()
      const altered = Buffer.from(bytes)
      const at = place % bytes.length
      altered[at] = (altered[at] ?? 0) ^ mask
      // Owners and times, and what no tool reads, may be altered; what comes out is then still right.
      const out = await scratch.unpack(chunksOf(altered)).catch((error: unknown) => error)
      if (out instanceof RegistryError) expect(await readdir(scratch.path('to'))).toEqual([])
      else expect(out).toMatchObject({manifest: manifestOf(contents)})
    }),
    {numRuns: 80},
  )
})
