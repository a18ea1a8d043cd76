import {createHash} from 'node:crypto'
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {type Unpacked, type UnpackOptions, unpackArchive} from '../../src/backup/archive-read.ts'
import {writeArchive} from '../../src/backup/archive-write.ts'
import type {Manifest} from '../../src/backup/manifest.ts'
import {NO_PROGRESS} from '../../src/backup/progress.ts'

/** Files by their path. */
export type Contents = Readonly<Record<string, Uint8Array>>

export const WORK = {progress: NO_PROGRESS, signal: new AbortController().signal}
const LIMITS = {bytes: 2 ** 30, files: 10_000}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A manifest of these files. */
export function manifestOf(contents: Contents, more: Partial<Manifest> = {}): Manifest {
  const files = Object.entries(contents).map(([path, bytes]) => ({
    path,
    size: bytes.length,
    allocated: Math.ceil(bytes.length / 512) * 512,
    sha256: sha256(bytes),
  }))
  return {
    name: 'b1',
    madeAt: '2026-11-21T12:00:00.000Z',
    madeBy: '0.1.0',
    how: 'offline',
    cell: {kind: 'registry', iden: 'cd'.repeat(16), type: 'registry', name: null, version: '0.1.0'},
    log: {epoch: 1, index: 2, hash: sha256('')},
    skipped: [],
    directories: [],
    census: {},
    ...more,
    files,
  }
}

export async function* chunksOf(bytes: Uint8Array, length = 65_536): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length)
}

export async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(chunks))
}

/** The archive of these files. */
export function archiveOf(
  contents: Contents,
  more: Partial<Manifest> = {},
  compression: 'zstd' | 'gzip' = 'zstd',
): AsyncIterable<Uint8Array> {
  const manifest = manifestOf(contents, more)
  const read = (path: string) => chunksOf(contents[path] ?? new Uint8Array(0))
  return writeArchive({manifest, read}, {...WORK, compression})
}

/** A directory of its own that goes with the test. */
export class Scratch implements AsyncDisposable {
  readonly dir: string

  private constructor(dir: string) {
    this.dir = dir
  }

  static async make(): Promise<Scratch> {
    return new Scratch(await mkdtemp(join(tmpdir(), 'registry-archive-')))
  }

  path(...parts: readonly string[]): string {
    return join(this.dir, ...parts)
  }

  async write(contents: Contents): Promise<void> {
    for (const [path, bytes] of Object.entries(contents)) {
      await mkdir(dirname(this.path(path)), {recursive: true})
      await writeFile(this.path(path), bytes)
    }
  }

  /** Unpacks into `to`, which is made. */
  async unpack(chunks: AsyncIterable<Uint8Array>, options: Partial<UnpackOptions> = {}, to = 'to'): Promise<Unpacked> {
    await mkdir(this.path(to), {recursive: true})
    return await unpackArchive(chunks, this.path(to), {...WORK, limits: LIMITS, ...options})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, {recursive: true, force: true})
  }
}
