/** What a program writes to its files, call by call, and what of it would be on the disk if the power failed in between. */
import assert from 'node:assert/strict'
import {readFileSync} from 'node:fs'
import {mkdir, rm, writeFile} from 'node:fs/promises'
import {basename, join} from 'node:path'
import {Child} from './child.ts'

export type DiskCall =
  | {readonly kind: 'write'; readonly name: string; readonly at: number; readonly bytes: Buffer}
  | {readonly kind: 'cut'; readonly name: string; readonly length: number}
  | {readonly kind: 'sync'; readonly name: string}
  | {readonly kind: 'remove'; readonly name: string}
  | {readonly kind: 'rename'; readonly name: string; readonly to: string}
  /** A line of its output. */
  | {readonly kind: 'said'; readonly line: string}

const TRACE = ['-f', '-y', '-xx', '-s', '1000000', '-e', 'trace=pwrite64,write,ftruncate,fdatasync,fsync,unlink,rename']
const CALL = /^\d+ +(\w+)\((?:(\d+)<([^>]*)>|"([^"]*)")(?:, (?:"([^"]*)"|(\d+)))?(?:, (\d+))?(?:, (\d+))?/

/** Runs a child to its end under strace and gives its calls on the files of `folder`, in order. */
export async function recordCalls(folder: string, script: URL, args: readonly string[]): Promise<DiskCall[]> {
  const trace = join(folder, 'trace')
  await using child = new Child(script, args, ['strace', ...TRACE, '-o', trace])
  await child.finish()
  const calls: DiskCall[] = []
  for (const line of readFileSync(trace, 'latin1').split('\n')) {
    const call = decodeCall(line, folder)
    if (call !== undefined) calls.push(call)
  }
  return calls
}

function decodeCall(line: string, folder: string): DiskCall | undefined {
  const [, verb, fd, path = '', named = '', hex = '', first, second, third] = CALL.exec(line) ?? []
  if (verb === 'write') {
    return fd === '1' ? {kind: 'said', line: unhex(hex).toString().trimEnd()} : undefined
  }
  const place = unhex(path || named).toString()
  if (verb === undefined || !place.startsWith(`${folder}/`) || place.endsWith('-shm')) return undefined
  const name = basename(place)
  switch (verb) {
    case 'pwrite64': {
      const bytes = unhex(hex)
      assert.equal(bytes.length, Number(second))
      return {kind: 'write', name, at: Number(third), bytes}
    }
    case 'ftruncate':
      return {kind: 'cut', name, length: Number(first)}
    case 'unlink':
      return {kind: 'remove', name}
    case 'rename':
      return {kind: 'rename', name, to: basename(unhex(hex).toString())}
    default:
      return {kind: 'sync', name}
  }
}

function unhex(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}

/** What becomes of a write that was not synced when the power fails: nothing of it is there, or all, or so many bytes. */
export type Fate = (bytes: number) => number

const SECTOR = 512

/** What is on the disk of a write: all, or a number of whole sectors. */
function survivors(bytes: Buffer, fate: Fate): Buffer {
  const kept = fate(bytes.length)
  return kept >= bytes.length ? bytes : bytes.subarray(0, Math.floor(kept / SECTOR) * SECTOR)
}

/** The files of a disk. */
export class DiskImage {
  readonly #files = new Map<string, Buffer>()

  /** Gives what is there after the first `count` calls, when writes that are not followed by a sync of their file meet that fate. */
  static after(calls: readonly DiskCall[], count: number, fate: Fate): DiskImage {
    const image = new DiskImage()
    const made = calls.slice(0, count)
    const synced = new Map<string, number>()
    for (const [index, call] of made.entries()) {
      if (call.kind === 'sync') synced.set(call.name, index)
    }
    for (const [index, call] of made.entries()) {
      if (call.kind !== 'write' || index < (synced.get(call.name) ?? -1)) image.apply(call)
      else image.apply({...call, bytes: survivors(call.bytes, fate)})
    }
    return image
  }

  has(name: string): boolean {
    return this.#files.has(name)
  }

  apply(call: DiskCall): void {
    switch (call.kind) {
      case 'write':
        this.#write(call.name, call.at, call.bytes)
        return
      case 'cut': {
        const file = this.#file(call.name)
        const longer = Buffer.alloc(Math.max(0, call.length - file.length))
        this.#files.set(call.name, Buffer.concat([file.subarray(0, call.length), longer]))
        return
      }
      case 'remove':
        this.#files.delete(call.name)
        return
      case 'rename':
        this.#files.set(call.to, this.#file(call.name))
        this.#files.delete(call.name)
        return
      case 'sync':
      case 'said':
    }
  }

  /** Makes these files in an empty directory. */
  async writeTo(folder: string): Promise<void> {
    await rm(folder, {recursive: true, force: true})
    await mkdir(folder)
    for (const [name, bytes] of this.#files) await writeFile(join(folder, name), bytes, {mode: 0o600})
  }

  #file(name: string): Buffer {
    return this.#files.get(name) ?? Buffer.alloc(0)
  }

  #write(name: string, at: number, bytes: Buffer): void {
    const file = this.#file(name)
    const end = at + bytes.length
    const target = end > file.length ? Buffer.concat([file, Buffer.alloc(end - file.length)]) : Buffer.from(file)
    bytes.copy(target, at)
    this.#files.set(name, target)
  }
}
