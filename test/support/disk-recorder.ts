/** What a program does to the files of a directory, call by call, as strace tells it. `DiskCuts` (disk-cuts.ts) says what of it a power cut leaves. */
import assert from 'node:assert/strict'
import {spawnSync} from 'node:child_process'
import {lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {basename, dirname, join} from 'node:path'
import {Child} from './child.ts'

/** A file, directory or link, whatever names it has: its place in `Recording.nodes`. */
export type NodeId = number

interface DiskNode {
  readonly kind: 'file' | 'dir' | 'link'
  /** Where a link leads. */
  readonly target: string
}

/** A name in a directory, and what has it from then on. */
export interface NameChange {
  readonly dir: NodeId
  readonly name: string
  readonly node: NodeId | undefined
}

export type DiskCall =
  | {readonly kind: 'write'; readonly node: NodeId; readonly at: number; readonly bytes: Buffer}
  | {readonly kind: 'cut'; readonly node: NodeId; readonly length: number}
  /** All changes at once, or none. */
  | {readonly kind: 'names'; readonly changes: readonly NameChange[]; readonly verb: string}
  /** What of that node was called before `from` is on the disk now. */
  | {readonly kind: 'sync'; readonly node: NodeId; readonly from: number}
  /** A line of its output. */
  | {readonly kind: 'said'; readonly line: string}

export interface Recording {
  /** What was there before, as calls that are all on the disk. */
  readonly before: readonly DiskCall[]
  /** In the order in which they ended. */
  readonly calls: readonly DiskCall[]
  readonly nodes: readonly DiskNode[]
}

/** The directory itself. */
export const ROOT_NODE: NodeId = 0

const VERBS =
  'openat,open,creat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,rmdir,copy_file_range,sendfile'
const TRACE = ['-f', '-y', '-xx', '-s', '4000000', '-e', `trace=${VERBS}`]
const LINE = /^(\d+) +(?:<\.\.\. \w+ resumed>(.*)|(\w+)\((.*))$/
const RESULT = /\) += (-?\d+|\?)/

/** Where strace is installed and allowed. */
export const TRACERS = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0 ? ['strace'] : []

/** Runs a child to its end under strace and gives its calls on what is in `folder`. They are all that it did there: else an assertion fails. */
export async function recordCalls(folder: string, script: URL, args: readonly string[]): Promise<Recording> {
  const root = realpathSync(folder)
  const place = mkdtempSync(join(tmpdir(), 'registry-trace-'))
  try {
    const trace = join(place, 'trace')
    const decoder = new Decoder(root)
    await using child = new Child(script, args, ['strace', ...TRACE, '-o', trace])
    await child.finish()
    for (const line of readFileSync(trace, 'latin1').split('\n')) decoder.take(line)
    decoder.assertLike(root)
    return decoder
  } finally {
    rmSync(place, {recursive: true})
  }
}

/** The index of SQLite beside a WAL is memory, made anew at each start. */
function isMemory(name: string): boolean {
  return name.endsWith('-shm')
}

interface Descriptor {
  readonly node: NodeId
  position: number
  readonly isAppending: boolean
}

interface BegunCall {
  readonly verb: string
  readonly args: string
  readonly from: number
}

class Decoder implements Recording {
  readonly before: DiskCall[] = []
  readonly calls: DiskCall[] = []
  readonly nodes: DiskNode[] = [{kind: 'dir', target: ''}]
  readonly #root: string
  readonly #names = new Map<NodeId, Map<string, NodeId>>([[ROOT_NODE, new Map()]])
  readonly #files = new Map<NodeId, Buffer>()
  readonly #open = new Map<number, Descriptor>()
  /** By thread. */
  readonly #begun = new Map<string, BegunCall>()

  constructor(root: string) {
    this.#root = root
    this.#readDir(root, ROOT_NODE, new Map())
    this.before.push(...this.calls.splice(0))
  }

  take(line: string): void {
    const [, thread = '', rest, verb, args = ''] = LINE.exec(line) ?? []
    if (verb !== undefined) this.#begun.set(thread, {verb, args, from: this.calls.length})
    const begun = this.#begun.get(thread)
    if (begun === undefined || line.endsWith('<unfinished ...>')) return
    this.#begun.delete(thread)
    const text = rest === undefined ? begun.args : begun.args.replace(/ *<unfinished \.\.\.>$/, '') + rest
    const result = Number(RESULT.exec(text)?.[1])
    if (result >= 0) this.#decode(begun.verb, argsOf(text.replace(RESULT, '')), result, begun.from)
  }

  /** Asserts that the directory is now as these calls make it. */
  assertLike(root: string): void {
    const there = new Decoder(root)
    assert.deepEqual(listOf(there), listOf(this))

    function listOf(decoder: Decoder): string[] {
      const list: string[] = []
      const look = (dir: NodeId, path: string) => {
        for (const [name, node] of [...(decoder.#names.get(dir) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))) {
          const {kind, target} = decoder.nodes[node] ?? assert.fail()
          const content = kind === 'file' ? (decoder.#files.get(node)?.toString('latin1') ?? '') : target
          list.push(`${path}/${name} ${kind} ${content}`)
          if (kind === 'dir') look(node, `${path}/${name}`)
        }
      }
      look(ROOT_NODE, '')
      return list
    }
  }

  #readDir(path: string, dir: NodeId, seen: Map<number, NodeId>): void {
    for (const name of readdirSync(path)) {
      const place = join(path, name)
      const facts = lstatSync(place)
      if (isMemory(name) || facts.isSocket()) continue
      const known = seen.get(facts.ino)
      const kind = facts.isDirectory() ? 'dir' : facts.isSymbolicLink() ? 'link' : 'file'
      const node = known ?? this.#make(kind, kind === 'link' ? readlinkSync(place) : '')
      seen.set(facts.ino, node)
      this.#name('there', [{dir, name, node}])
      if (kind === 'dir') this.#readDir(place, node, seen)
      if (kind === 'file' && known === undefined) this.#write(node, 0, readFileSync(place))
    }
  }

  #decode(verb: string, args: readonly string[], result: number, from: number): void {
    const [first = '', second = '', third = '', fourth = ''] = args
    switch (verb) {
      case 'open':
      case 'creat':
      case 'openat':
        this.#opened(verb === 'openat' ? args : ['', ...args], result)
        return
      case 'fsync':
      case 'fdatasync':
        this.#onFile(first, ({node}) => this.calls.push({kind: 'sync', node, from}))
        return
      case 'ftruncate':
        this.#onFile(first, ({node}) => this.#cut(node, Number(second)))
        return
      case 'write':
      case 'writev':
        this.#written(first, args.slice(1).join(','), result)
        return
      case 'pwrite64':
        this.#onFile(first, ({node}) => this.#write(node, Number(fourth), unhex(second).subarray(0, result)))
        return
      case 'unlink':
      case 'rmdir':
        this.#rename(verb, first)
        return
      case 'unlinkat':
        this.#rename(verb, below(first, second))
        return
      case 'rename':
        this.#rename(verb, first, second)
        return
      case 'renameat':
      case 'renameat2':
        this.#rename(verb, below(first, second), below(third, fourth))
        return
      case 'link':
        this.#linked(first, second)
        return
      case 'linkat':
        this.#linked(below(first, second), below(third, fourth))
        return
      case 'symlink':
        this.#made('link', second, textOf(first))
        return
      case 'symlinkat':
        this.#made('link', below(second, third), textOf(first))
        return
      case 'mkdir':
        this.#made('dir', first)
        return
      case 'mkdirat':
        this.#made('dir', below(first, second))
        return
      default:
        assert(!args.some((arg) => this.#within(placeOf(arg)) !== undefined), `${verb} is not known here`)
    }
  }

  #opened([dir = '', path = '', flags = 'O_CREAT|O_TRUNC|O_WRONLY']: readonly string[], fd: number): void {
    this.#open.delete(fd)
    const place = this.#within(below(dir, path))
    if (place === undefined || isMemory(place)) return
    const isMaking = flags.includes('O_CREAT')
    const node = this.#find(place) ?? (isMaking ? this.#made('file', join(this.#root, place)) : undefined)
    if (node === undefined) return
    if (flags.includes('O_TRUNC') && (this.#files.get(node)?.length ?? 0) > 0) this.#cut(node, 0)
    this.#open.set(fd, {node, position: 0, isAppending: flags.includes('O_APPEND')})
  }

  #written(fd: string, text: string, result: number): void {
    const bytes = Buffer.concat([...text.matchAll(/"([^"]*)"/g)].map(([, hex = '']) => unhex(hex))).subarray(0, result)
    if (fd.startsWith('1<')) {
      for (const line of bytes.toString().split('\n')) if (line !== '') this.calls.push({kind: 'said', line})
      return
    }
    this.#onFile(fd, (file) => {
      const at = file.isAppending ? (this.#files.get(file.node)?.length ?? 0) : file.position
      this.#write(file.node, at, bytes)
      file.position = at + bytes.length
    })
  }

  #onFile(fd: string, use: (file: Descriptor) => unknown): void {
    const file = this.#open.get(Number.parseInt(fd, 10))
    if (file !== undefined && this.#isOf(fd)) use(file)
  }

  /** A number is given again, and the one who closed it is not traced. */
  #isOf(fd: string): boolean {
    return this.#within(placeOf(fd)) !== undefined
  }

  #rename(verb: string, from: string, to?: string): void {
    const old = this.#entry(from)
    const next = to === undefined ? undefined : this.#entry(to)
    if (old === undefined && next === undefined) return
    assert(old !== undefined && (to === undefined || next !== undefined), `${from} ${to} leads out of the directory`)
    const gone: NameChange = {...old, node: undefined}
    if (next === undefined) {
      this.#name(verb, [gone])
      return
    }
    const node = this.#names.get(old.dir)?.get(old.name) ?? assert.fail(`nothing was at ${from}`)
    this.#name(verb, [gone, {...next, node}])
  }

  #linked(from: string, to: string): void {
    const entry = this.#entry(to)
    if (entry === undefined) return
    const node = this.#find(this.#within(from) ?? '') ?? assert.fail(`nothing was at ${from}`)
    this.#name('link', [{...entry, node}])
  }

  #made(kind: DiskNode['kind'], path: string, target = ''): NodeId | undefined {
    const entry = this.#entry(path)
    if (entry === undefined) return undefined
    const node = this.#make(kind, target)
    this.#name('make', [{...entry, node}])
    return node
  }

  #make(kind: DiskNode['kind'], target: string): NodeId {
    if (kind === 'dir') this.#names.set(this.nodes.length, new Map())
    return this.nodes.push({kind, target}) - 1
  }

  #name(verb: string, changes: readonly NameChange[]): void {
    if (changes.some(({name}) => isMemory(name))) return
    for (const {dir, name, node} of changes) {
      if (node === undefined) this.#names.get(dir)?.delete(name)
      else this.#names.get(dir)?.set(name, node)
    }
    this.calls.push({kind: 'names', changes, verb})
  }

  #write(node: NodeId, at: number, bytes: Buffer): void {
    this.#files.set(node, overwritten(this.#files.get(node) ?? Buffer.alloc(0), at, bytes))
    this.calls.push({kind: 'write', node, at, bytes})
  }

  #cut(node: NodeId, length: number): void {
    this.#files.set(node, resized(this.#files.get(node) ?? Buffer.alloc(0), length))
    this.calls.push({kind: 'cut', node, length})
  }

  /** The path below the directory; undefined for what is elsewhere. */
  #within(arg: string): string | undefined {
    const path = textOf(arg)
    if (path === this.#root) return ''
    return path.startsWith(`${this.#root}/`) ? path.slice(this.#root.length + 1) : undefined
  }

  #entry(arg: string): {dir: NodeId; name: string} | undefined {
    const path = this.#within(arg)
    if (path === undefined || path === '') return undefined
    const dir = this.#find(dirname(path)) ?? assert.fail(`${path} has no directory`)
    return {dir, name: basename(path)}
  }

  #find(path: string): NodeId | undefined {
    let node: NodeId | undefined = ROOT_NODE
    for (const name of path.split('/')) {
      if (name === '.' || name === '' || node === undefined) continue
      node = this.#names.get(node)?.get(name)
    }
    return node
  }
}

/** Strings are hexadecimal: no comma is in them. */
function argsOf(text: string): string[] {
  return text.split(/, /)
}

/** `3</path>` or `AT_FDCWD</path>` */
function placeOf(arg: string): string {
  return textOf(/<(.*)>/.exec(arg)?.[1] ?? '')
}

function below(dir: string, path: string): string {
  const text = textOf(path)
  return text.startsWith('/') ? text : join(placeOf(dir), text)
}

/** Of a string of strace, or of one that was read before. */
function textOf(arg: string): string {
  return /^"?(\\x[0-9a-f]{2})+/.test(arg) ? unhex(arg).toString() : arg
}

function unhex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\\x|"/g, ''), 'hex')
}

/** Gives the bytes of a file after a write. */
export function overwritten(file: Buffer, at: number, bytes: Buffer): Buffer {
  const target = Buffer.alloc(Math.max(file.length, at + bytes.length))
  file.copy(target)
  bytes.copy(target, at)
  return target
}

/** Gives the bytes of a file that was cut, or made longer. */
export function resized(file: Buffer, length: number): Buffer {
  const target = Buffer.alloc(length)
  file.copy(target)
  return target
}
