/** What may come out of an archive, and in which order. */
import {damaged, refused} from './archive-refusal.ts'
import {tooLittleRoom} from './free-space.ts'
import {type Manifest, totalsOf} from './manifest.ts'
import type {TarMember} from './tar-read.ts'

/** An archive with a longer manifest is neither made nor read: it would be of some 300 000 files. */
export const MANIFEST_MAX = 64 << 20

/** How much an archive may hold. */
export interface ArchiveLimits {
  /** All of its files together, as they are read. */
  readonly bytes: number
  /** Files and directories. */
  readonly files: number
  /** Where so many bytes are free, when that is why it may not hold more. */
  readonly roomAt?: string | undefined
}

/** Told of each member before anything of it is written. */
export interface ArchivePlan {
  /** @throws RegistryError when it may not come, or not now */
  take(member: TarMember): void
  /** @throws RegistryError when not all came */
  end(): void
}

/** The members of an archive that has a manifest: exactly those, in its order. */
export class ManifestPlan implements ArchivePlan {
  readonly #manifest: Manifest
  #at = 0

  /** @throws RegistryError `REG_BACKUP_INVALID` when it is too much, or names what cannot be side by side */
  constructor(manifest: Manifest, limits: ArchiveLimits) {
    const {files, directories} = manifest
    assertWithin({bytes: totalsOf(files).bytes, files: files.length + directories.length}, limits)
    const tree = new PathTree()
    for (const path of directories) tree.add(path, true)
    for (const {path} of files) tree.add(path, false)
    this.#manifest = manifest
  }

  take(member: TarMember): void {
    const expected = this.#expected()
    if (expected?.path !== member.path) throw this.#misplaced(member, expected)
    const {path, isDirectory, size} = member
    if (expected.isDirectory !== isDirectory) throw refused(`${quoted(path)} is not of the kind that the manifest says`)
    if (expected.size !== size) throw damaged(`${path} has ${size} bytes, the manifest says ${expected.size}`, path)
    this.#at += 1
  }

  end(): void {
    const missing = this.#expected()
    if (missing !== undefined) throw damaged(`${missing.path} is missing`, missing.path)
  }

  /** What has to come next. */
  #expected(): TarMember | undefined {
    const {directories, files} = this.#manifest
    const directory = directories[this.#at]
    if (directory !== undefined) return {path: directory, isDirectory: true, size: 0}
    const file = files[this.#at - directories.length]
    return file && {path: file.path, isDirectory: false, size: file.size}
  }

  #placeOf(wanted: string): number {
    const {directories, files} = this.#manifest
    const place = directories.indexOf(wanted)
    if (place >= 0) return place
    const at = files.findIndex(({path}) => path === wanted)
    return at < 0 ? -1 : directories.length + at
  }

  #misplaced({path}: TarMember, expected: TarMember | undefined): Error {
    const place = this.#placeOf(path)
    if (place < 0) return refused(`${quoted(path)} is not in the manifest`)
    if (place < this.#at || expected === undefined) return refused(`${quoted(path)} is there twice`)
    return damaged(`${expected.path} is missing, or not at its place`, expected.path)
  }
}

/** The members of an archive without a manifest: whatever fits into the limits, each once. */
export class ForeignPlan implements ArchivePlan {
  readonly #limits: ArchiveLimits
  readonly #tree = new PathTree()
  #bytes = 0
  #files = 0

  constructor(limits: ArchiveLimits) {
    this.#limits = limits
  }

  take({path, isDirectory, size}: TarMember): void {
    this.#bytes += size
    this.#files += 1
    assertWithin({bytes: this.#bytes, files: this.#files}, this.#limits)
    this.#tree.add(path, isDirectory)
  }

  end(): void {
    if (this.#files === 0) throw refused('it is empty')
  }
}

function assertWithin({bytes, files}: ArchiveLimits, limits: ArchiveLimits): void {
  if (bytes > limits.bytes && limits.roomAt !== undefined) throw tooLittleRoom(limits.roomAt, limits.bytes)
  if (bytes > limits.bytes) throw refused(`it holds more than ${limits.bytes} bytes`)
  if (files > limits.files) throw refused(`it holds more than ${limits.files} files and directories`)
}

/** Names that were taken, and the directories that they need. */
class PathTree {
  readonly #files = new Set<string>()
  readonly #named = new Set<string>()
  readonly #folders = new Set<string>()

  add(path: string, isDirectory: boolean): void {
    if (this.#files.has(path) || this.#named.has(path)) throw refused(`${quoted(path)} is there twice`)
    if (!isDirectory && this.#folders.has(path)) throw refused(`${quoted(path)} is a file and a directory`)
    for (const folder of this.#missing(path)) {
      if (this.#files.has(folder)) throw refused(`${quoted(folder)} is a file and a directory`)
      this.#folders.add(folder)
    }
    if (isDirectory) this.#folders.add(path)
    const names = isDirectory ? this.#named : this.#files
    names.add(path)
  }

  /** Gives the directories above a path that nothing needed before. */
  *#missing(path: string): Generator<string, void> {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const folder = path.slice(0, end)
      if (this.#folders.has(folder)) return
      yield folder
    }
  }
}

function quoted(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path)
}
