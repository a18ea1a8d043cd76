/**
 * Reads the tars that a backup can be: regular files and directories, with extended headers (pax) for long names and sizes. All else is refused,
 * and what other readers let pass too: what one tool skips another one may take for a file.
 */
import type {Header} from 'tar'
import {messageOf} from '../base/errors.ts'
import {damaged, refused} from './archive-refusal.ts'
import type {ByteReader} from './byte-reader.ts'
import {isSafePath} from './manifest.ts'
import {type PaxFields, parsePax} from './pax.ts'
import {paddingOf, TAR_BLOCK} from './tar-write.ts'

/** A member of a tar. Its path is relative, with `/`, and leaves the directory nowhere. */
export interface TarMember {
  readonly path: string
  readonly isDirectory: boolean
  readonly size: number
}

const PIECE = 1 << 20
/** An extended header says a name and a size. */
const PAX_MAX = 64 * 1024
/** What may stand behind the end: other tools fill it up to whole records. */
const TAIL_MAX = 1 << 20
const NAME_MAX = 255
const EMPTY_BLOCK = new Uint8Array(TAR_BLOCK)

const REFUSED: Readonly<Record<string, string>> = {
  Link: 'a hard link',
  SymbolicLink: 'a symbolic link',
  CharacterDevice: 'a device',
  BlockDevice: 'a device',
  FIFO: 'a pipe',
  GlobalExtendedHeader: 'a header for all of its members',
  NextFileHasLongPath: 'a long name in the way of GNU',
  OldGnuLongPath: 'a long name in the way of GNU',
  NextFileHasLongLinkpath: 'a link with a long name',
  SparseFile: 'a sparse file in the way of GNU',
}

/** Takes a tar apart, member by member. */
export class TarReader {
  readonly #reader: ByteReader
  readonly #Header: typeof Header
  #left = 0
  #padding = 0
  #isFirst = true

  private constructor(reader: ByteReader, header: typeof Header) {
    this.#reader = reader
    this.#Header = header
  }

  /** Loads the library only where an archive is read. */
  static async open(reader: ByteReader): Promise<TarReader> {
    const {Header} = await import('tar')
    return new TarReader(reader, Header)
  }

  /**
   * Gives the next member; undefined at the end, when nothing follows it. The content of the last one has to be read before.
   *
   * @throws RegistryError `REG_BACKUP_INVALID` for what no backup has, `REG_BACKUP_DAMAGED` for a tar that is cut or altered
   */
  async next(): Promise<TarMember | undefined> {
    if (this.#left > 0) throw new TypeError('the content of the last member was not read')
    await this.#take(this.#padding)
    this.#padding = 0
    const header = await this.#header({})
    if (header === undefined) return await this.#end()
    if (header.type !== 'ExtendedHeader') return this.#member(header, {})
    const pax = parsePax(await this.#extended(header))
    const extended = await this.#header(pax)
    if (extended === undefined) throw refused('an extended header stands before the end')
    return this.#member(extended, pax)
  }

  /** Gives the content of the member that came last, once. */
  async *content(): AsyncGenerator<Uint8Array, void> {
    while (this.#left > 0) {
      const piece = await this.#reader.some(Math.min(this.#left, PIECE))
      if (piece.length === 0) throw damaged('it ends too early')
      this.#left -= piece.length
      yield piece
    }
  }

  /** Says that nothing more is wanted of it. */
  async close(): Promise<void> {
    await this.#reader.close()
  }

  async #take(length: number): Promise<Uint8Array> {
    const bytes = await this.#reader.take(length)
    if (bytes.length < length) throw damaged('it ends too early')
    return bytes
  }

  async #header(pax: PaxFields): Promise<Header | undefined> {
    const block = Buffer.from(await this.#take(TAR_BLOCK))
    if (block.equals(EMPTY_BLOCK)) return undefined
    const header = this.#decoded(block)
    if (!header.cksumValid) throw this.#isFirst ? refused('it is no tar') : damaged('the header of a member is altered')
    this.#isFirst = false
    const name = JSON.stringify(pax.path ?? header.path ?? '')
    const bad = REFUSED[header.type]
    if (bad !== undefined) throw refused(`${name} is ${bad}`)
    if (header.type !== 'ExtendedHeader' && header.linkpath) throw refused(`${name} leads to another name`)
    return header
  }

  #decoded(block: Buffer): Header {
    try {
      return new this.#Header(block)
    } catch (error) {
      if (this.#isFirst) throw refused('it is no tar', error)
      throw damaged(`the header of a member is altered: ${messageOf(error)}`, undefined, error)
    }
  }

  async #extended(header: Header): Promise<Uint8Array> {
    const size = header.size ?? 0
    if (size > PAX_MAX) throw refused(`an extended header of ${size} bytes`)
    const text = await this.#take(size)
    await this.#take(paddingOf(size))
    return text
  }

  #member(header: Header, pax: PaxFields): TarMember {
    const isDirectory = header.type === 'Directory'
    const path = safePath(pax.path ?? header.path ?? '', isDirectory)
    if (!isDirectory && header.type !== 'File' && header.type !== 'OldFile') {
      throw refused(`${JSON.stringify(path)} is neither a file nor a directory (${header.type})`)
    }
    const size = isDirectory ? 0 : (pax.size ?? header.size)
    if (size === undefined || !Number.isSafeInteger(size)) throw refused(`${JSON.stringify(path)} has no size`)
    if (isDirectory && (pax.size ?? 0) > 0) throw refused(`${JSON.stringify(path)} is a directory with a content`)
    this.#left = size
    this.#padding = paddingOf(size)
    return {path, isDirectory, size}
  }

  /** After one empty block: another one has to come, and nothing but empty bytes behind it. */
  async #end(): Promise<undefined> {
    const second = await this.#take(TAR_BLOCK)
    let tail = 0
    for (let piece = second; piece.length > 0; piece = await this.#reader.some(PIECE)) {
      tail += piece.length
      if (tail > TAIL_MAX || piece.some((byte) => byte !== 0)) throw refused('something follows its end')
    }
    return undefined
  }
}

function safePath(text: string, isDirectory: boolean): string {
  const path = isDirectory && text.endsWith('/') ? text.slice(0, -1) : text
  const name = JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
  if (!isSafePath(path)) throw refused(`${name} is no path below one directory`)
  if (path.includes('\uFFFD')) throw refused(`${name} is not UTF-8`)
  if (path.split('/').some((part) => Buffer.byteLength(part) > NAME_MAX)) throw refused(`${name} has too long a part`)
  return path
}
