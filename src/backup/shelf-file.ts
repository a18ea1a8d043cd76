/** What a file on a shelf is. Its first bytes say it, not its name: an archive may have any. */
import {constants} from 'node:fs'
import {open} from 'node:fs/promises'
import {RegistryError, systemCode} from '../base/errors.ts'
import {ageFormOf, decryptAge} from './age-stream.ts'
import {refused} from './archive-refusal.ts'
import {ByteReader} from './byte-reader.ts'
import {compressionOf, decompressed} from './compression.ts'
import {readPieces} from './file-pieces.ts'
import {MANIFEST_FILE} from './manifest.ts'
import {type TarMember, TarReader} from './tar-read.ts'
import {TAR_BLOCK} from './tar-write.ts'

/** `ours`: begins with a manifest, which is still to be read; `service`: what Synapse sends of a service; `sealed`: nothing given opens it. */
export type FileKind = 'ours' | 'service' | 'sealed'

/** Names that archives usually have: such a file is said to be unreadable when it is none. */
const ARCHIVE = /\.(tar|tgz|tar\.gz|tar\.zst)(\.age)?$/
/** So much of a file is read, and comes out of it, to see what it is. */
const READ_MAX = 1 << 20
const UNPACKED_MAX = 8 << 20
const TAR_MAGIC = Buffer.from('ustar')
const TAR_MAGIC_AT = 257
/** Files that every service has, below its top directory. */
const SERVICE_FILE = /^[^/]+\/(cell\.guid|(slabs\/)?[^/]+\.lmdb\/data\.mdb)$/

/** Tells whether a name is one that archives usually have. */
export function isArchiveName(name: string): boolean {
  return ARCHIVE.test(name)
}

/**
 * Looks what a file is, and reads little of it. Undefined for what is no archive of a service, and for what cannot be read: links, pipes and devices
 * are not.
 */
export async function kindOfFile(path: string, identities: readonly string[]): Promise<FileKind | undefined> {
  const start = await startOf(path)
  if (start === undefined) return undefined
  const isAge = ageFormOf(start) === 'age'
  const isTar = Buffer.compare(start.subarray(TAR_MAGIC_AT, TAR_MAGIC_AT + TAR_MAGIC.length), TAR_MAGIC) === 0
  if (!isAge && !isTar && compressionOf(start) === undefined) return undefined
  const raw = new ByteReader(atMost(READ_MAX, readPieces(path, {isFollowing: false})))
  try {
    const plain = isAge ? new ByteReader(decryptAge(raw, identities)) : raw
    return await kindOfTar(new ByteReader(atMost(UNPACKED_MAX, decompressed(plain, {bytes: 0}))))
  } catch (error) {
    if (error instanceof RegistryError) return error.code === 'REG_BACKUP_SEALED' ? 'sealed' : undefined
    if (systemCode(error) === undefined) throw error
    return undefined
  } finally {
    await raw.close()
  }
}

async function kindOfTar(reader: ByteReader): Promise<FileKind | undefined> {
  const tar = await TarReader.open(reader)
  try {
    const first = await tar.next()
    if (isManifest(first)) return 'ours'
    for (let member = first; member; member = await tar.next()) {
      if (SERVICE_FILE.test(member.path)) return 'service'
      for await (const _ of tar.content());
    }
    return undefined
  } finally {
    await tar.close()
  }
}

function isManifest(member: TarMember | undefined): boolean {
  const parts = member?.path.split('/') ?? []
  return member?.isDirectory === false && parts.length === 2 && parts[1] === MANIFEST_FILE
}

/** Undefined for what is no regular file, and what cannot be read. */
async function startOf(path: string): Promise<Buffer | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    if (!(await file.stat()).isFile()) return undefined
    const {buffer, bytesRead} = await file.read(Buffer.alloc(TAR_BLOCK), 0, TAR_BLOCK, 0)
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    return undefined
  }
}

async function* atMost(bytes: number, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let left = bytes
  for await (const chunk of chunks) {
    left -= chunk.length
    if (left < 0) throw refused(`nothing in its first ${bytes} bytes says what it is`)
    yield chunk
  }
}
