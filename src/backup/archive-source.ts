/** Opens archives: decrypts, decompresses, finds the manifest, and hands out the members below the top directory. */
import {AGE_MAGIC_LENGTH, ageFormOf, decryptAge, sealedError} from './age-stream.ts'
import {type ArchivePlan, MANIFEST_MAX} from './archive-plan.ts'
import {refused} from './archive-refusal.ts'
import {ByteReader} from './byte-reader.ts'
import {decompressed, type Meter} from './compression.ts'
import {MANIFEST_FILE, type Manifest} from './manifest.ts'
import {readManifestFrom} from './manifest-read.ts'
import {type TarMember, TarReader} from './tar-read.ts'

/** A member of an archive; its path is that below the top directory. */
export interface ArchiveMember extends TarMember {
  /** To be read before the next member is asked for. */
  readonly content: AsyncGenerator<Uint8Array, void>
}

/** So many bytes may come out of whatever goes in, and from then on so many times as many: a disk is not filled by a handful of bytes. */
const FREE_BYTES = 64 << 20
const RATIO_MAX = 10_000

/** What is known of an archive before it is opened. */
export interface ArchiveForm {
  readonly identities: readonly string[]
  /** Whether one without a manifest is taken. */
  readonly isForeign: boolean
  /** Its manifest, when it was read before. */
  readonly known?: Manifest | undefined
}

/** An archive whose beginning was read. */
export class OpenArchive implements AsyncDisposable {
  readonly manifest: Manifest | undefined
  readonly topName: string
  readonly isEncrypted: boolean
  readonly #raw: ByteReader
  readonly #tar: TarReader
  readonly #meter: Meter
  #first: TarMember | undefined
  /** Bytes that are no holes. */
  #written = 0

  private constructor(facts: Pick<OpenArchive, 'manifest' | 'topName' | 'isEncrypted'>, source: Source) {
    this.manifest = facts.manifest
    this.topName = facts.topName
    this.isEncrypted = facts.isEncrypted
    this.#raw = source.raw
    this.#tar = source.tar
    this.#meter = source.meter
    this.#first = source.first
  }

  /**
   * Reads up to the end of the manifest.
   *
   * @throws RegistryError `REG_BACKUP_INVALID` when there is none and `isForeign` is false, and as the members do
   */
  static async open(
    chunks: AsyncIterable<Uint8Array>,
    {identities, isForeign, known}: ArchiveForm,
  ): Promise<OpenArchive> {
    const raw = new ByteReader(chunks)
    try {
      const isEncrypted = await isSealed(raw)
      const plain = isEncrypted ? new ByteReader(decryptAge(raw, identities)) : raw
      const meter = {bytes: 0}
      const tar = await TarReader.open(new ByteReader(decompressed(plain, meter)))
      const first = await tar.next()
      if (first === undefined) throw refused('it is empty')
      const [topName = ''] = first.path.split('/', 1)
      if (first.isDirectory || first.path !== `${topName}/${MANIFEST_FILE}`) {
        if (!isForeign) throw refused(`its first member is not ${MANIFEST_FILE}`)
        return new OpenArchive({manifest: undefined, topName, isEncrypted}, {raw, tar, meter, first})
      }
      const manifest = await readManifest(tar, first, known)
      if (manifest.name !== topName) throw refused(`its manifest is that of ${JSON.stringify(manifest.name)}`)
      return new OpenArchive({manifest, topName, isEncrypted}, {raw, tar, meter, first: undefined})
    } catch (error) {
      await raw.close()
      throw error
    }
  }

  /** Gives what follows the manifest, as far as `plan` has it. */
  async *members(plan: ArchivePlan): AsyncGenerator<ArchiveMember, void> {
    for (let member = this.#first ?? (await this.#tar.next()); member; member = await this.#tar.next()) {
      this.#first = undefined
      const path = this.#below(member)
      if (path === undefined) continue
      plan.take({...member, path})
      yield {...member, path, content: this.#sane(this.#tar.content())}
    }
    plan.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tar.close()
    await this.#raw.close()
  }

  /** Gives a content as long as so much of it can have come out of what was read. */
  async *#sane(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const piece of content) {
      if (!isZero(piece)) this.#written += piece.length
      if (this.#written > FREE_BYTES && this.#written > this.#meter.bytes * RATIO_MAX) {
        throw refused(`a few bytes become very many: ${this.#meter.bytes} more than ${this.#written}`)
      }
      yield piece
    }
  }

  /** Undefined for the top directory itself. */
  #below({path, isDirectory}: TarMember): string | undefined {
    if (path === this.topName && isDirectory) return undefined
    if (path.startsWith(`${this.topName}/`)) return path.slice(this.topName.length + 1)
    throw refused(`${JSON.stringify(path)} is not below ${JSON.stringify(this.topName)}`)
  }
}

interface Source {
  readonly raw: ByteReader
  readonly tar: TarReader
  readonly meter: Meter
  /** A member that was read already and is none of the manifest. */
  readonly first: TarMember | undefined
}

async function isSealed(raw: ByteReader): Promise<boolean> {
  const start = await raw.take(AGE_MAGIC_LENGTH)
  raw.putBack(start)
  const form = ageFormOf(start)
  if (form === 'armor') {
    throw sealedError('it is in ASCII armor, which is not read', ['age --decrypt -i IDENTITY -o BACKUP.tar.zst FILE'])
  }
  return form === 'age'
}

async function readManifest(tar: TarReader, {path, size}: TarMember, known?: Manifest): Promise<Manifest> {
  if (size > MANIFEST_MAX) throw refused(`its manifest has ${size} bytes, more than ${MANIFEST_MAX}`)
  return await readManifestFrom(tar.content(), path, known)
}

const ZEROS = new Uint8Array(1 << 20)

function isZero(piece: Uint8Array): boolean {
  return Buffer.compare(piece, ZEROS.subarray(0, piece.length)) === 0
}
