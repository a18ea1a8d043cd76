/**
 * What a power cut leaves of what a program did to its files.
 *
 * Certain is only what was synced: the bytes of a file after its fsync, names after the fsync of their directories. Of the rest each thing may be there or
 * not, in another order than it was done, and bytes in part. What is atomic: a change of names in itself, and a sector of 512 bytes.
 */
import assert from 'node:assert/strict'
import {createHash} from 'node:crypto'
import {link, mkdir, rm, symlink, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import fc from 'fast-check'
import {
  type DiskCall,
  type NameChange,
  type NodeId,
  overwritten,
  type Recording,
  ROOT_NODE,
  resized,
} from './disk-recorder.ts'

const SECTOR = 512

type WriteCall = Extract<DiskCall, {kind: 'write'}>
type NamesCall = Extract<DiskCall, {kind: 'names'}>
type DataCall = WriteCall | Extract<DiskCall, {kind: 'cut'}>

/** What was not synced when the power failed. */
interface Unsynced {
  readonly call: DataCall | NamesCall
  /** Which of all calls it is. */
  readonly index: number
  /** Which of the unsynced ones of its file or names, and how many these are. */
  readonly turn: number
  readonly turns: number
}

/** What is there of it: nothing, all, or another call that does a part of it. */
export type Fate = (unsynced: Unsynced) => DataCall | NamesCall | undefined

const isNames = ({call}: Unsynced): boolean => call.kind === 'names'

/** Gives whole sectors of a write: those before or after its middle, where no half is a sector, nothing. */
function half(call: DataCall | NamesCall, which: 'first' | 'second'): DataCall | NamesCall | undefined {
  if (call.kind !== 'write') return call
  const middle = Math.floor(call.bytes.length / 2 / SECTOR) * SECTOR
  if (which === 'first') return {...call, bytes: call.bytes.subarray(0, middle)}
  return middle === 0 ? undefined : {...call, at: call.at + middle, bytes: call.bytes.subarray(middle)}
}

/** Zeros where a file became longer; what was there before is as it was. */
function zeros(call: DataCall | NamesCall): DataCall | NamesCall | undefined {
  return call.kind === 'write' ? {...call, bytes: Buffer.alloc(0), at: call.at + call.bytes.length} : call
}

/** Says to which half of the names the one belongs that is given or taken; a database and its write-ahead log are in two. */
function halfOf(call: DataCall | NamesCall): number | undefined {
  if (call.kind !== 'names') return undefined
  const {name} = call.changes.at(-1) ?? assert.fail()
  return Buffer.from(name).reduce((sum, byte) => sum + byte) % 2
}

function isRemoval(call: DataCall | NamesCall): boolean {
  return call.kind === 'names' && call.changes.every(({node}) => node === undefined)
}

/** The kinds of cut, by name. */
export const FATES = {
  'all is there': ({call}) => call,
  'nothing that was not synced is there': () => undefined,
  'names are there, and no bytes': (one) => (isNames(one) ? one.call : undefined),
  'files have their lengths, and zeros': ({call}) => zeros(call),
  'bytes are there, and no names': (one) => (isNames(one) ? undefined : one.call),
  'the last of each file is torn': ({call, turn, turns}) => (turn === turns - 1 ? half(call, 'first') : call),
  'the first of each file is torn, and the others are there': ({call, turn}) =>
    turn === 0 ? half(call, 'second') : call,
  'all are torn': ({call}) => half(call, 'first'),
  'only the last of each file is there': (one) => (isNames(one) || one.turn === one.turns - 1 ? one.call : undefined),
  'all but the first of each file are there': (one) => (isNames(one) || one.turn > 0 ? one.call : undefined),
  'every other is there': ({call, index}) => (index % 2 === 0 ? call : undefined),
  'those of every other file are there': (one) =>
    one.call.kind === 'names' || one.call.node % 2 === 0 ? one.call : undefined,
  'those of the other files are there': (one) =>
    one.call.kind === 'names' || one.call.node % 2 === 1 ? one.call : undefined,
  'every other change of names is there': (one) => (isNames(one) && one.index % 2 === 0 ? undefined : one.call),
  'the other changes of names are there': (one) => (isNames(one) && one.index % 2 === 1 ? undefined : one.call),
  'all that became of one half of the names is there': ({call}) => (halfOf(call) === 1 ? undefined : call),
  'all that became of the other half is there': ({call}) => (halfOf(call) === 0 ? undefined : call),
  'nothing lost its name': ({call}) => (isRemoval(call) ? undefined : call),
} as const satisfies Readonly<Record<string, Fate>>

/** Each thing by itself: all, a part, or nothing. */
export function fateByChance(): fc.Arbitrary<Fate> {
  const parts = fc.infiniteStream(fc.constantFrom('all', 'none', 'first', 'second', 'zeros'))
  return parts.map((stream) => ({call}) => {
    const part = stream.next().value ?? 'all'
    if (part === 'all') return call
    if (part === 'none') return undefined
    return part === 'zeros' ? zeros(call) : half(call, part)
  })
}

/** The files of a disk. */
export class DiskImage {
  readonly #nodes: Recording['nodes']
  readonly #files = new Map<NodeId, Buffer>()
  /** By directory and name; `at` says which call was the last one. */
  readonly #names = new Map<string, NameChange & {at: number}>()

  constructor(nodes: Recording['nodes']) {
    this.#nodes = nodes
  }

  copy(): DiskImage {
    const image = new DiskImage(this.#nodes)
    for (const [node, bytes] of this.#files) image.#files.set(node, bytes)
    for (const [key, change] of this.#names) image.#names.set(key, change)
    return image
  }

  apply(call: DiskCall, at: number): void {
    if (call.kind === 'write')
      this.#files.set(call.node, overwritten(this.#files.get(call.node) ?? EMPTY, call.at, call.bytes))
    if (call.kind === 'cut') this.#files.set(call.node, resized(this.#files.get(call.node) ?? EMPTY, call.length))
    if (call.kind !== 'names') return
    for (const change of call.changes) {
      const key = `${change.dir}/${change.name}`
      if ((this.#names.get(key)?.at ?? -1) <= at) this.#names.set(key, {...change, at})
    }
  }

  /** Two images with the same digest are the same. */
  get digest(): string {
    const hash = createHash('sha256')
    this.#walk((path, node, id) =>
      hash.update(
        `${path} ${node.kind} ${node.kind === 'file' ? `${id} ${digestOf(this.#files.get(id) ?? EMPTY)}` : node.target}\n`,
      ),
    )
    return hash.digest('hex')
  }

  /** A name that a file has, or had. */
  pathOf(node: NodeId): string {
    for (const {dir, name, node: id} of this.#names.values()) if (id === node) return join(this.pathOf(dir), name)
    return node === ROOT_NODE ? '' : `file ${node}`
  }

  /** Makes these files in a new directory. */
  async writeTo(folder: string): Promise<void> {
    await rm(folder, {recursive: true, force: true})
    await mkdir(folder)
    const made = new Map<NodeId, string>()
    const steps: (() => Promise<void>)[] = []
    this.#walk((path, {kind, target}, id) => {
      const place = join(folder, path)
      const first = made.get(id)
      made.set(id, place)
      if (kind === 'dir') steps.push(() => mkdir(place, {mode: 0o700}))
      else if (kind === 'link') steps.push(() => symlink(target, place))
      else if (first !== undefined) steps.push(() => link(first, place))
      else steps.push(() => writeFile(place, this.#files.get(id) ?? EMPTY, {mode: 0o600}))
    })
    for (const step of steps) await step()
  }

  /** Directories before what is in them. What has no name that is left is nowhere. */
  #walk(visit: (path: string, node: Recording['nodes'][number], id: NodeId) => void): void {
    const inDir = new Map<NodeId, NameChange[]>()
    for (const change of this.#names.values()) {
      if (change.node !== undefined) inDir.set(change.dir, [...(inDir.get(change.dir) ?? []), change])
    }
    const look = (dir: NodeId, path: string) => {
      for (const {name, node: id} of (inDir.get(dir) ?? []).sort((a, b) => (a.name < b.name ? -1 : 1))) {
        const node = this.#nodes[id ?? -1] ?? assert.fail()
        visit(join(path, name), node, id ?? -1)
        if (node.kind === 'dir') look(id ?? -1, join(path, name))
      }
    }
    look(ROOT_NODE, '')
  }
}

const EMPTY = Buffer.alloc(0)
const DIGESTS = new WeakMap<Buffer, string>()

/** The bytes of an image are never written to again. */
function digestOf(bytes: Buffer): string {
  const known = DIGESTS.get(bytes) ?? createHash('sha256').update(bytes).digest('hex')
  DIGESTS.set(bytes, known)
  return known
}

/** A name that goes elsewhere is there when the directory is synced that it goes to. */
function waitedFor({changes}: NamesCall): readonly NodeId[] {
  const given = changes.filter(({node}) => node !== undefined)
  return (given.length === 0 ? changes : given).map(({dir}) => dir)
}

/** Goes through a recording, call by call, and gives what a cut at that moment leaves. */
export class DiskCuts {
  readonly #recording: Recording
  /** What is certain. */
  readonly #durable: DiskImage
  #unsynced: {readonly call: DataCall | NamesCall; readonly index: number; readonly waiting: Set<NodeId>}[] = []
  readonly #said: string[] = []
  #count = 0

  constructor(recording: Recording) {
    this.#recording = recording
    this.#durable = new DiskImage(recording.nodes)
    for (const call of recording.before) this.#durable.apply(call, -1)
  }

  /** Calls that were made. */
  get count(): number {
    return this.#count
  }

  get isAtEnd(): boolean {
    return this.#count === this.#recording.calls.length
  }

  /** Kind of the newest call. */
  get lastKind(): DiskCall['kind'] | undefined {
    return this.#recording.calls[this.#count - 1]?.kind
  }

  /** The newest call, for people. */
  get lastCall(): string {
    const call = this.#recording.calls[this.#count - 1]
    if (call === undefined) return 'none'
    if (call.kind === 'said') return `said ${call.line}`
    if (call.kind !== 'names') return `${call.kind} of ${this.#durable.pathOf(call.node)}`
    return `${call.verb} ${call.changes.map(({dir, name}) => join(this.#durable.pathOf(dir), name)).join(' ')}`
  }

  /** Lines that the program had said. */
  get said(): readonly string[] {
    return this.#said
  }

  /** Goes on by one call; undefined at the end. */
  next(): DiskCall | undefined {
    const call = this.#recording.calls[this.#count]
    if (call === undefined) return undefined
    const index = this.#count++
    if (call.kind === 'said') this.#said.push(call.line)
    else if (call.kind === 'sync') this.#sync(call)
    else if (call.kind === 'names') this.#unsynced.push({call, index, waiting: new Set(waitedFor(call))})
    else this.#unsynced.push({call, index, waiting: new Set([call.node])})
    return call
  }

  /** Gives what is on the disk when what was not synced meets that fate. */
  cut(fate: Fate): DiskImage {
    const image = this.#durable.copy()
    const key = ({call}: {call: DataCall | NamesCall}) => (call.kind === 'names' ? 'names' : call.node)
    const groups = Map.groupBy(this.#unsynced, key)
    const turns = new Map<unknown, number>()
    for (const one of this.#unsynced) {
      const turn = turns.get(key(one)) ?? 0
      turns.set(key(one), turn + 1)
      const kept = fate({...one, turn, turns: groups.get(key(one))?.length ?? 0})
      if (kept !== undefined) image.apply(kept, one.index)
    }
    return image
  }

  #sync({node, from}: Extract<DiskCall, {kind: 'sync'}>): void {
    this.#unsynced = this.#unsynced.filter(({call, index, waiting}) => {
      if (index < from) waiting.delete(node)
      if (waiting.size > 0) return true
      this.#durable.apply(call, index)
      return false
    })
  }
}
