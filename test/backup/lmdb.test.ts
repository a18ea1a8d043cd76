import assert from 'node:assert/strict'
import {createHash} from 'node:crypto'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {gunzipSync} from 'node:zlib'
import fc from 'fast-check'
import {afterAll, describe, expect, test} from 'vitest'
import {type Lmdb, openLmdb} from '../../src/backup/lmdb.ts'
import {RegistryError} from '../../src/base/errors.ts'

interface Vector {
  readonly name: string
  readonly usedBytes: number
  readonly txnid: number
  readonly databases: Readonly<Record<string, {entries: number; lastKey: string | null; sha256: string}>>
  readonly gzip: string
}

const vectors: readonly Vector[] = JSON.parse(
  readFileSync(new URL('../vectors/lmdb.json', import.meta.url).pathname, 'utf8'),
)
const bytesOf = ({gzip}: Vector) => gunzipSync(Buffer.from(gzip, 'base64'))
const PAGE = 4096

const dir = mkdtempSync(join(tmpdir(), 'registry-lmdb-'))
const path = join(dir, 'data.mdb')
afterAll(() => rmSync(dir, {recursive: true, force: true}))

function written(bytes: Uint8Array): string {
  writeFileSync(path, bytes)
  return path
}

function readAll(lmdb: Lmdb) {
  const found: Record<string, {entries: number; lastKey: string | null; sha256: string}> = {}
  for (const [name, {entries}] of lmdb.databases()) {
    const digest = createHash('sha256')
    for (const [key, value] of lmdb.entries(name)) digest.update(key).update(value)
    found[name] = {entries, lastKey: lmdb.lastKey(name)?.toString('hex') ?? null, sha256: digest.digest('hex')}
  }
  return found
}

function refusalOf(bytes: Uint8Array): RegistryError {
  try {
    using lmdb = openLmdb(written(bytes))
    readAll(lmdb)
  } catch (error) {
    assert(error instanceof RegistryError && error.code === 'REG_BACKUP_SOURCE', `${error}`)
    return error
  }
  throw new assert.AssertionError({message: 'it was read'})
}

describe('a file that LMDB wrote', () => {
  test.each(vectors)('is read as LMDB reads it: $name', (vector) => {
    using lmdb = openLmdb(written(bytesOf(vector)))
    expect({usedBytes: lmdb.usedBytes, txnid: lmdb.txnid}).toEqual({
      usedBytes: vector.usedBytes,
      txnid: vector.txnid,
    })
    expect(readAll(lmdb)).toEqual(vector.databases)
    expect(lmdb.lastKey('nothing')).toBeUndefined()
    expect([...lmdb.entries('nothing')]).toEqual([])
    expect(lmdb.get('big', 'k4081')).toEqual(Buffer.from('x'.repeat(4081)))
    expect(lmdb.get('few', 'a')).toBeUndefined()
  })

  test.each(vectors)('gives the first value of each key, and none of others: $name', (vector) => {
    using lmdb = openLmdb(written(bytesOf(vector)))
    for (const name of lmdb.databases().keys()) {
      const first = new Map<string, Buffer>()
      for (const [key, value] of lmdb.entries(name)) {
        const hex = key.toString('hex')
        if (!first.has(hex)) first.set(hex, Buffer.from(value))
      }
      for (const [hex, value] of first) {
        const key = Buffer.from(hex, 'hex')
        expect(lmdb.get(name, key), hex).toEqual(value)
        for (const other of [Buffer.concat([key, Buffer.from([0])]), key.subarray(0, -1)]) {
          expect(lmdb.get(name, other)).toEqual(first.get(other.toString('hex')))
        }
      }
    }
  })

  test('counts its room to grow as unused', () => {
    const vector = vectors[1] as Vector
    using lmdb = openLmdb(written(Buffer.concat([bytesOf(vector), Buffer.alloc(50 * PAGE)])))
    expect(lmdb.usedBytes).toBe(vector.usedBytes)
  })

  test('is read by its newer meta', () => {
    const bytes = bytesOf(vectors[0] as Vector)
    const newer = bytes.readBigUInt64LE(144) > bytes.readBigUInt64LE(PAGE + 144) ? 0 : PAGE
    const older = Buffer.from(bytes)
    older.writeBigUInt64LE(0n, newer + 144)
    using before = openLmdb(written(older))
    expect(before.txnid).toBe((vectors[0] as Vector).txnid - 1)
    expect(readAll(before)['few']?.entries).toBe(3)
  })
})

describe('a file that is none, or is damaged, is refused', () => {
  const good = bytesOf(vectors[0] as Vector)
  const altered = (alter: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(good)
    alter(bytes)
    return bytes
  }
  const both = (alter: (bytes: Buffer, at: number) => void) =>
    altered((bytes) => {
      for (const at of [0, PAGE]) alter(bytes, at)
    })

  test.each<[string, Uint8Array, RegExp]>([
    ['empty', Buffer.alloc(0), /it has 0 bytes only/],
    ['zeros', Buffer.alloc(3 * PAGE), /does not begin as one/],
    ['of another format', both((bytes, at) => bytes.writeUInt32LE(2, at + 20)), /of format 2/],
    ['page size', both((bytes, at) => bytes.writeUInt32LE(4097, at + 40)), /pages have 4097 bytes/],
    ['a root far away', both((bytes, at) => bytes.writeBigUInt64LE(2n ** 40n, at + 128)), /no page 1099511627776/],
    ['a root beyond numbers', both((bytes, at) => bytes.writeBigUInt64LE(2n ** 60n, at + 128)), /a root is/],
    ['a root in the metas', both((bytes, at) => bytes.writeBigUInt64LE(1n, at + 128)), /no page 1/],
    ['levels', both((bytes, at) => bytes.writeUInt16LE(33, at + 94)), /33 levels/],
    ['cut off', good.subarray(0, good.length / 2), /it ends before page/],
  ])('%s', (_, bytes, said) => {
    expect(refusalOf(bytes).message).toMatch(said)
  })

  test('a directory, or nothing', () => {
    expect(() => openLmdb(join(dir, 'none'))).toThrow(/none cannot be read: ENOENT/)
    expect(() => openLmdb(dir)).toThrow(RegistryError)
  })

  test('a branch that leads to itself', () => {
    const branch = Array.from({length: good.length / PAGE}, (_, i) => i * PAGE).find(
      (at) => at > PAGE && good.readUInt16LE(at + 10) === 1,
    )
    assert(branch !== undefined)
    const looped = altered((bytes) => bytes.writeUInt16LE(branch / PAGE, branch + bytes.readUInt16LE(branch + 16)))
    expect(refusalOf(looped).message).toMatch(/is in a tree twice/)
  })

  test('whatever is altered in it, reading it ends, and throws nothing else', () => {
    const change = fc.tuple(
      fc.nat(good.length - 9),
      fc.bigInt({min: 0n, max: 2n ** 64n - 1n}),
      fc.constantFrom(1, 2, 8),
    )
    fc.assert(
      fc.property(fc.array(change, {minLength: 1, maxLength: 8}), (changes) => {
        const bytes = altered((copy) => {
          for (const [at, value, width] of changes) {
            if (width === 8) copy.writeBigUInt64LE(value, at)
            else copy.writeUIntLE(Number(BigInt.asUintN(8 * width, value)), at, width)
          }
        })
        try {
          using lmdb = openLmdb(written(bytes))
          readAll(lmdb)
          for (const name of lmdb.databases().keys()) lmdb.lastKey(name)
        } catch (error) {
          assert(error instanceof RegistryError && error.code === 'REG_BACKUP_SOURCE', `${error}`)
        }
      }),
      {numRuns: 150},
    )
  })
})
