/**
 * What is known of a one-time URL while it is redeemed, in a file for its owner alone. The keys are in it before anything is sent: an AHA lets who
 * has them fetch their certificates again for some minutes, so that a lost answer, or a kill at any moment, does not burn the URL.
 */
import {readFile} from 'node:fs/promises'
import {dirname} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../../base/errors.ts'
import {makePrivateDir, PRIVATE_FILE_MODE, removeFile, writeFileAtomic} from '../../base/files.ts'
import {parseJson} from '../../base/json-parse.ts'

/** What a certificate of a URL is for. */
export type RedeemPurpose = 'host' | 'user'

export interface RedeemRecord {
  readonly version: 1
  /** Of the URL. */
  readonly iden: string
  /** Private keys in PEM form. */
  readonly keys: Readonly<Partial<Record<RedeemPurpose, string>>>
  /** What the AHA told of the service or user; null until then. */
  readonly info: Readonly<Record<string, unknown>> | null
  /** Certificate of the authority in PEM form. */
  readonly authority: string | null
  /** Key of the authority in PEM form, for another member of a cell; null until then, and for all others. */
  readonly authorityKey: string | null
  /** In PEM form. */
  readonly certificates: Readonly<Partial<Record<RedeemPurpose, string>>>
}

/** A file of one record. */
export class RecordFile {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** Gives the record of that URL; undefined when there is none, or the file has that of another. */
  async read(iden: string): Promise<RedeemRecord | undefined> {
    const record = decode(await this.#text())
    return record?.iden === iden ? record : undefined
  }

  /** Resolves when it is on disk. @throws RegistryError `REG_DIR_UNUSABLE` */
  async write(record: RedeemRecord): Promise<void> {
    await makeRecordDir(dirname(this.path))
    try {
      await writeFileAtomic(this.path, `${JSON.stringify(record)}\n`, PRIVATE_FILE_MODE)
    } catch (error) {
      throw unusable('write', this.path, error)
    }
  }

  /** Removes it; one that is not there is fine. @throws RegistryError `REG_DIR_UNUSABLE` */
  async remove(): Promise<void> {
    try {
      await removeFile(this.path)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw unusable('remove', this.path, error)
    }
  }

  async #text(): Promise<string> {
    try {
      return await readFile(this.path, 'utf8')
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return ''
      throw unusable('read', this.path, error)
    }
  }
}

/** Makes a directory for records, for its owner alone. @throws RegistryError `REG_DIR_UNUSABLE` */
export async function makeRecordDir(path: string): Promise<void> {
  try {
    await makePrivateDir(path)
  } catch (error) {
    throw unusable('make', path, error)
  }
}

/** One that is not as it should be is as good as none: a new one takes its place. */
function decode(text: string): RedeemRecord | undefined {
  const record = objectIn(text)
  const {version, iden, info = null, authority = null, authorityKey = null} = record
  const keys = textsOf(record['keys'])
  const certificates = textsOf(record['certificates'])
  const isOne = version === 1 && typeof iden === 'string' && keys !== undefined && certificates !== undefined
  if (!isOne || !isTextOrNull(authority) || !isTextOrNull(authorityKey)) return undefined
  return {version, iden, keys, certificates, authority, authorityKey, info: isObject(info) ? info : null}
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const value = parseJson(text)
    return isObject(value) ? value : {}
  } catch {
    return {} // the caller finds every member missing
  }
}

function textsOf(value: unknown): Readonly<Partial<Record<RedeemPurpose, string>>> | undefined {
  if (!isObject(value)) return undefined
  const entries = (['host', 'user'] as const).map((purpose) => [purpose, value[purpose]] as const)
  return Object.fromEntries(entries.filter((entry): entry is [RedeemPurpose, string] => typeof entry[1] === 'string'))
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unusable(what: string, path: string, cause: unknown): RegistryError {
  const reason = systemCode(cause) ?? messageOf(cause)
  return new RegistryError('REG_DIR_UNUSABLE', `cannot ${what} ${path}: ${reason}`, {info: {path, reason}, cause})
}
