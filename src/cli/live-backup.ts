import {stat} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {totalsOf} from '../backup/manifest.ts'
import {formatDuration} from '../base/duration.ts'
import {RegistryError} from '../base/errors.ts'
import {shellWord} from '../base/shell-word.ts'
import {fetchArchive, fetchBackup, type LiveBackupOptions, makeBackup} from '../client/live-backup.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {parseUrl, placeOf} from '../wire/telepath/url.ts'
import {formatBytes} from './bytes.ts'
import {printable} from './printable.ts'
import {shelfOf} from './shelf-dir.ts'

export interface LiveBackupWish extends LiveBackupOptions {
  /** As it may be shown. */
  readonly url: string
  /** Directory that it is fetched into, absolute. */
  readonly stream: string | undefined
  /** File that it is fetched into, absolute. */
  readonly archive: string | undefined
  /** `age1…`, or `@FILE`. */
  readonly recipients: readonly string[]
}

/** What `livebackup` answers under `--json`. */
export interface LiveBackupReport {
  readonly url: string
  readonly name: string
  readonly where: 'service' | 'directory' | 'archive'
  /** On this machine; null when it stays at a service on another one. */
  readonly path: string | null
  /** Of an archive its length, else what it takes on the disk; null when it is not known. */
  readonly bytes: number | null
  readonly files: number | null
  /** Offset that the next entry of the change log gets: all before it is in the backup. */
  readonly index: number | null
  readonly encrypted: boolean
  readonly seconds: number
}

/** Makes a live backup where it was asked for. Throws as the calls of the client. */
export async function liveBackup(cell: Callable, wish: LiveBackupWish): Promise<LiveBackupReport> {
  const {url, stream, archive, clock} = wish
  const startMs = clock.wallMs()
  const recipients = await recipientsOf(wish)
  const made = await explained(wish, async () => {
    if (stream !== undefined) return await toDirectory(cell, stream, wish)
    return archive === undefined ? await atService(cell, wish) : await toArchive(cell, archive, {...wish, recipients})
  })
  return {url, ...made, encrypted: recipients.length > 0, seconds: Math.max(0, clock.wallMs() - startMs) / 1000}
}

type Made = Omit<LiveBackupReport, 'url' | 'encrypted' | 'seconds'>

async function atService(cell: Callable, wish: LiveBackupWish): Promise<Made> {
  const {name, bytes} = await makeBackup(cell, wish)
  return {name, where: 'service', path: await placeAt(wish.url, name), bytes, files: null, index: null}
}

/** Gives the place of a backup that stays at a service of this machine. */
async function placeAt(url: string, name: string): Promise<string | null> {
  const parsed = parseUrl(url)
  if (parsed.scheme !== 'cell' && parsed.scheme !== 'unix') return null
  const place = placeOf(parsed)
  if (place.kind !== 'unix') return null
  const path = join(await shelfOf(dirname(place.path)), name)
  return await stat(path).then(
    () => path,
    () => null,
  )
}

async function toDirectory(cell: Callable, dir: string, wish: LiveBackupWish): Promise<Made> {
  const {path, manifest} = await fetchBackup(cell, dir, wish)
  const {allocated, files} = totalsOf(manifest.files)
  return {name: manifest.name, where: 'directory', path, bytes: allocated, files, index: manifest.log.index}
}

async function toArchive(cell: Callable, file: string, wish: LiveBackupWish): Promise<Made> {
  const {path, manifest, bytes} = await fetchArchive(cell, file, wish)
  const {name, files, log} = manifest
  return {name, where: 'archive', path, bytes, files: files.length, index: log.index}
}

async function recipientsOf({recipients, archive}: LiveBackupWish): Promise<readonly string[]> {
  if (recipients.length === 0) return []
  if (archive === undefined) {
    throw new RegistryError('REG_USAGE', 'only an archive can be encrypted', {hints: ['give --archive FILE too']})
  }
  const {parseRecipients} = await import('../backup/age-keys.ts')
  return await parseRecipients(recipients)
}

/** Says of what the service answers what to do next. */
async function explained<T>(wish: LiveBackupWish, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof RegistryError ? explainedError(error, wish) : error
  }
}

function explainedError(error: RegistryError, wish: LiveBackupWish): RegistryError {
  const {code, message, info, telepath, cause} = error
  const {url, name} = wish
  const hints = hintsFor(error, wish)
  if (hints === undefined) return error
  // The words for these are the peers', and name nothing.
  const isTaken = code === 'REG_BAD_REQUEST' && message.includes('exists')
  if (isTaken) return new RegistryError('REG_CONFLICT', `${url} has a backup ${name} already`, {hints, info, cause})
  const isAway = code === 'REG_BAD_REQUEST' && message.includes('traversal')
  const reason = isAway ? 'it leads out of the directory' : message
  const text = isOfName(error, name) ? `${name} is no name of a backup: ${reason}` : message
  return new RegistryError(code, text, {hints, info, telepath, cause})
}

/** Ours says which name; the peers have words for it. */
function isOfName({code, message, info}: RegistryError, name: string | undefined): boolean {
  if (code !== 'REG_BAD_REQUEST' || name === undefined) return false
  return info['name'] === name || /exists|traversal/.test(message)
}

function hintsFor(error: RegistryError, {url, name, stream, archive}: LiveBackupWish): readonly string[] | undefined {
  switch (error.code) {
    case 'REG_BACKUP_RUNNING':
      return [`registry status ${url}`, 'run it again when the other one is done']
    case 'REG_BAD_REQUEST':
      return isOfName(error, name)
        ? ['give another --name, or none for the time', `registry livebackup ${url}`]
        : ['it is at the service: mend it there, and run it again', `registry status ${url}`]
    case 'REG_DENIED':
      return [
        'only administrators back up: registry user set NAME --admin, there',
        'on its machine: registry livebackup cell://DIR',
      ]
    case 'REG_DISK_LOW':
      // What comes here takes room here.
      return stream === undefined && archive === undefined
        ? ['free space there, or give backup:dir on another volume', `registry livebackup ${url} --stream DIR`]
        : undefined
    default:
      return undefined
  }
}

export function liveBackupText(report: LiveBackupReport): string {
  const {url, name, where, path, bytes, files, index, encrypted, seconds} = report
  const facts = [
    ...(files === null ? [] : [`${files} files`]),
    ...(bytes === null ? [] : [formatBytes(bytes)]),
    ...(index === null ? [] : [`log index ${index}`]),
    `in ${formatDuration(seconds * 1000)}`,
  ].join(', ')
  const lines = [`backup created: ${path ?? name} (${facts})`]
  if (path === null)
    lines.push(`it stays at ${url}; to have one here: registry livebackup ${shellWord(url)} --stream DIR`)
  else {
    if (where === 'service') lines.push(`it stays at ${url}`)
    const key = encrypted ? ' --identity FILE' : ''
    lines.push(`prove that it can be restored: registry backup drill ${shellWord(path)}${key}`)
  }
  return lines.map((line) => printable(line)).join('\n')
}
