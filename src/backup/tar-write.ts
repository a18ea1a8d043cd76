import type {HeaderData} from 'tar'

/** A tar consists of blocks of so many bytes. */
export const TAR_BLOCK = 512
/** The end of a tar: two empty blocks, filled up as other tools do it. */
const TAR_END = new Uint8Array(20 * TAR_BLOCK)

/** A member of a tar, as it is written. */
interface TarEntry {
  readonly path: string
  readonly isDirectory: boolean
  readonly size: number
  readonly mtime: Date
}

/** Makes the parts of a tar as POSIX has it (pax): what does not fit into a header stands in an extended one before it. */
export interface TarForm {
  /** What stands before the content of a member. */
  header(entry: TarEntry): Uint8Array
  /** What fills a content of `size` bytes up to whole blocks. */
  padding(size: number): Uint8Array
  readonly end: Uint8Array
}

/** Loads the library only where an archive is written. */
export async function tarForm(): Promise<TarForm> {
  const {Header, Pax} = await import('tar')
  return {
    header({path, isDirectory, size, mtime}) {
      const fields: HeaderData = {
        path,
        size,
        mtime,
        mode: isDirectory ? 0o700 : 0o600,
        type: isDirectory ? 'Directory' : 'File',
        ...{uid: 0, gid: 0, uname: '', gname: ''},
      }
      const header = new Header(fields)
      const block = Buffer.alloc(TAR_BLOCK)
      if (!header.encode(block)) return block
      const extended = new Pax({path, size}).encode()
      return Buffer.concat([extended, block])
    },
    padding: (size) => TAR_END.subarray(0, paddingOf(size)),
    end: TAR_END,
  }
}

/** Gives how many bytes fill `size` up to whole blocks. */
export function paddingOf(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK
}
