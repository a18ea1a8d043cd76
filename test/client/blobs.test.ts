import {createHash} from 'node:crypto'
import {describe, expect, test} from 'vitest'
import {downloadBlob, uploadBlob} from '../../src/client/blobs.ts'
import {openTelepath} from '../../src/client/telepath/open.ts'
import type {Callable} from '../../src/wire/telepath/caller.ts'
import {StormPeer, type StormPeerOptions} from '../support/storm-peer.ts'

const {signal} = new AbortController()
const MIB = 1024 * 1024

const shaOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function withPeer<T>(
  options: StormPeerOptions,
  use: (axon: Callable, peer: StormPeer) => Promise<T>,
): Promise<T> {
  await using peer = await StormPeer.start(options)
  await using axon = await openTelepath(peer.url)
  return await use(axon, peer)
}

async function* piecesOf(...pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void> {
  yield* pieces
}

async function fetched(axon: Callable, sha256: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(downloadBlob(axon, sha256, {signal})))
}

describe('a file', () => {
  test.each([
    ['empty', []],
    ['small', [Buffer.from('a'), Buffer.from('bc')]],
    ['exactly one message', [Buffer.alloc(4 * MIB, 1)]],
    ['larger than a message, in one piece', [Buffer.alloc(9 * MIB + 1, 2)]],
    ['larger than a message, in odd pieces', Array.from({length: 12}, (_, i) => Buffer.alloc(MIB - i, i))],
  ])('comes back as it was uploaded: %s', async (_, pieces) => {
    const whole = Buffer.concat(pieces)
    await withPeer({}, async (axon, peer) => {
      const seen: number[] = []
      const blob = await uploadBlob(axon, piecesOf(...pieces), {signal, onProgress: (bytes) => seen.push(bytes)})
      expect(blob).toEqual({sha256: shaOf(whole), sizeBytes: whole.length})
      expect(peer.largestWrite).toBeLessThanOrEqual(4 * MIB)
      expect(seen.at(-1) ?? 0).toBe(whole.length)
      expect((await fetched(axon, blob.sha256.toUpperCase())).equals(whole)).toBe(true)
    })
  })

  test('is uploaded as a share, which is given back also when the source fails', async () => {
    await withPeer({}, async (axon, peer) => {
      async function* failing(): AsyncGenerator<Uint8Array, void> {
        yield Buffer.alloc(1)
        throw new Error('the disk is gone')
      }
      await expect(uploadBlob(axon, failing(), {signal})).rejects.toThrow('the disk is gone')
      await axon.call('nothing').catch(() => undefined)
      expect(peer.received).toContainEqual(['share:fini', {share: 'a1'.repeat(16)}])
      expect(JSON.stringify(peer.received)).not.toContain('save')
    })
  })

  test('that the Axon kept otherwise than it was sent is an error', async () => {
    for (const saved of [[2, Buffer.alloc(32)], [1, Buffer.alloc(32)], 'nothing']) {
      await withPeer({saved}, async (axon) => {
        await expect(uploadBlob(axon, piecesOf(Buffer.from('ab')), {signal})).rejects.toMatchObject({
          code: 'REG_BAD_ANSWER',
        })
      })
    }
  })

  test('that came otherwise than asked for is an error, behind its last piece', async () => {
    await withPeer({pieces: [Buffer.from('a'), Buffer.from('b')]}, async (axon) => {
      expect(await fetched(axon, shaOf(Buffer.from('ab')))).toEqual(Buffer.from('ab'))
      const wrong = downloadBlob(axon, shaOf(Buffer.from('ba')), {signal})
      expect([await wrong.next(), await wrong.next()]).toMatchObject([{done: false}, {done: false}])
      await expect(wrong.next()).rejects.toMatchObject({code: 'REG_BAD_ANSWER'})
    })
  })

  test('is not asked of a service that keeps none', async () => {
    const other = {
      info: {methods: new Map([['get', {isGenerator: false}]]), classes: ['a.JsonStor']},
    } as unknown as Callable
    await expect(fetched(other, shaOf(Buffer.alloc(0)))).rejects.toMatchObject({telepath: 'NoSuchMeth'})
    await expect(uploadBlob(other, piecesOf(), {signal})).rejects.toMatchObject({telepath: 'NoSuchMeth'})
  })
})
