/**
 * `SYN_RESTORE_HTTPS_URL`: a directory that is restored from an archive on the web before the server starts, as the peers have it. But what is there is not
 * touched before the archive was fetched, verified and laid out beside it; and what fails ends the start.
 *
 * `restore.done` in the restored directory names the URL, as the peers do: the next start with the same one restores nothing.
 */
import {createHash} from 'node:crypto'
import {createWriteStream} from 'node:fs'
import {readFile, rm, statfs} from 'node:fs/promises'
import type {IncomingMessage} from 'node:http'
import {get} from 'node:https'
import {basename, dirname, join} from 'node:path'
import {Transform} from 'node:stream'
import {pipeline} from 'node:stream/promises'
import {DOWNLOAD_FILE} from '../../backup/aside-names.ts'
import {NO_PROGRESS} from '../../backup/progress.ts'
import {messageOf, RegistryError} from '../../base/errors.ts'
import {makePrivateDir, PRIVATE_FILE_MODE, realPlace, writeFileAtomic} from '../../base/files.ts'
import type {Log} from '../../base/log.ts'
import {encode} from '../../wire/msgpack/encode.ts'
import {DONE_FILE, type RestoreConf, Restoring} from './restore.ts'
import {openSource} from './restore-source.ts'
import {hasToStay} from './restore-target.ts'

export interface RestoreUrlPorts {
  readonly dir: string
  readonly log: Pick<Log, 'info' | 'warning'>
  readonly signal: AbortSignal
  readonly wallMs: () => number
  readonly readConf: (dir: string) => Promise<RestoreConf>
  /** The option that makes a mirror of the directory; undefined when none is set. */
  readonly follows: 'mirror' | 'clone' | undefined
}

const VARIABLE = 'SYN_RESTORE_HTTPS_URL'
const LOOK = `look at the URL in ${VARIABLE}`
/** What is wrong with an archive. */
const OF_ARCHIVES: ReadonlySet<string> = new Set(['REG_BACKUP_INVALID', 'REG_BACKUP_DAMAGED', 'REG_BACKUP_SEALED'])
/** Longest silence of the server, until it answers and within the answer. There is no limit for the whole. */
const SILENCE_MS = 60_000
/** A line of the log for each such part. */
const TOLD_PERCENT = 10
/** Where the length is not known, a line for each so many bytes. */
const TOLD_BYTES = 256 * 1024 * 1024

/**
 * Restores `dir` from a URL, unless that was done already. When it fails the directory is as it was.
 *
 * @throws RegistryError `REG_CONFIG_INVALID` for the URL; `REG_UNREACHABLE`, `REG_BAD_ANSWER`, `REG_TIMED_OUT` when nothing comes of it; `REG_DISK_LOW`;
 * those of `openSource` and `Restoring`
 */
export async function restoreFromUrl(text: string, ports: RestoreUrlPorts): Promise<void> {
  const {dir, log} = ports
  const {url, isInsecure} = parsed(text)
  const shown = maskedUrl(url)
  if ((await readFile(join(dir, DONE_FILE), 'utf8').catch(() => '')).trim() === idenOf(text)) {
    log.warning('restore.done-already', {url: shown, hint: `${VARIABLE} need not be set any more`})
    return
  }
  if (ports.follows !== undefined) throw badUrl(`${ports.follows} is set, and a mirror gets its data from its leader`)
  if (isInsecure) log.warning('restore.insecure', {url: shown, reason: 'the certificate of the server is not verified'})
  const archive = await downloadPlace(dir)
  await makePrivateDir(dirname(archive))
  try {
    log.info('restore.fetching', {url: shown})
    await download(url, archive, {...ports, isInsecure})
    await restoreArchive(archive, text, ports).catch((error) => {
      throw ofArchive(error)
    })
    log.warning('restore.restored', {url: shown, dir})
  } finally {
    await rm(archive, {force: true})
  }
}

/** On the volume of the directory. */
async function downloadPlace(dir: string): Promise<string> {
  const place = await realPlace(dir)
  if (await hasToStay(place, 'backups')) return join(place, DOWNLOAD_FILE)
  return join(dirname(place), `.${basename(place)}.download`)
}

async function restoreArchive(archive: string, text: string, ports: RestoreUrlPorts): Promise<void> {
  const {dir, log, signal, wallMs, readConf} = ports
  const source = await openSource(archive, {signal, isOwnOnly: true})
  if (source.cell.kind !== 'registry') {
    const reason = 'it is that of a Synapse service, and this is a registry'
    throw new RegistryError('REG_BACKUP_INVALID', reason, {info: {reason}})
  }
  await using restoring = await Restoring.open({source, dir, progress: NO_PROGRESS, signal, wallMs, readConf})
  const {data} = await restoring.prepare()
  await writeFileAtomic(join(data, DONE_FILE), idenOf(text))
  const {kept} = await restoring.swap()
  if (kept !== null) log.warning('restore.kept', {dir: kept})
}

function parsed(text: string): {readonly url: URL; readonly isInsecure: boolean} {
  if (text === '') throw badUrl('it is empty')
  const isInsecure = text.startsWith('https+insecure://')
  const plain = isInsecure ? text.replace('+insecure', '') : text
  if (!plain.startsWith('https://') || !URL.canParse(plain))
    throw badUrl('it is no URL of https:// or https+insecure://')
  return {url: new URL(plain), isInsecure}
}

function badUrl(reason: string): RegistryError {
  return new RegistryError('REG_CONFIG_INVALID', `${VARIABLE} cannot be used, and nothing was changed: ${reason}`, {
    info: {reason},
    hints: [`unset ${VARIABLE}`, 'registry restore BACKUP DIR'],
  })
}

/** As the peers make it, so that a directory that was theirs is known again. */
function idenOf(text: string): string {
  return createHash('md5').update(encode(text)).digest('hex')
}

/** Without user, password and query, which may be what opens it. */
function maskedUrl(url: URL): string {
  const query = url.search === '' ? '' : '?…'
  return `${url.protocol}//${url.host}${url.pathname}${query}`
}

interface DownloadOptions extends RestoreUrlPorts {
  readonly isInsecure: boolean
}

async function download(url: URL, path: string, {isInsecure, log, signal}: DownloadOptions): Promise<void> {
  const {bavail, bsize} = await statfs(dirname(path))
  const answer = await ask(url, isInsecure, signal)
  const length = Number(answer.headers['content-length'] ?? Number.NaN)
  const free = bavail * bsize
  if (length > free) {
    answer.destroy()
    throw tooLarge(length, free)
  }
  const file = createWriteStream(path, {mode: PRIVATE_FILE_MODE, flush: true})
  try {
    await pipeline(answer, counted(length, free, log), file, {signal})
  } catch (error) {
    throw failed(error, signal)
  }
}

function ask(url: URL, isInsecure: boolean, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = get(url, {signal, timeout: SILENCE_MS, rejectUnauthorized: !isInsecure}, (answer) => {
      if (answer.statusCode === 200) return resolve(answer)
      answer.destroy()
      reject(badAnswer(answer.statusCode ?? 0))
    })
    request.on('timeout', () => request.destroy(silent()))
    request.on('error', (error) => reject(failed(error, signal)))
  })
}

/** Tells how far it is, and ends what grows beyond the room that there was. */
function counted(length: number, free: number, log: Pick<Log, 'info'>): Transform {
  const step = Number.isNaN(length) ? TOLD_BYTES : Math.max(1, Math.ceil((length * TOLD_PERCENT) / 100))
  let bytes = 0
  return new Transform({
    transform(chunk: Buffer, _, done) {
      const before = Math.floor(bytes / step)
      bytes += chunk.length
      if (Math.floor(bytes / step) > before)
        log.info('restore.fetched', {bytes, of: Number.isNaN(length) ? null : length})
      done(bytes > free ? tooLarge(bytes, free) : null, chunk)
    },
  })
}

function silent(): RegistryError {
  return new RegistryError(
    'REG_TIMED_OUT',
    `the server of ${VARIABLE} was silent for ${SILENCE_MS / 1000} s, and nothing was changed`,
  )
}

function tooLarge(bytes: number, freeBytes: number): RegistryError {
  return new RegistryError('REG_DISK_LOW', `too little room for the archive of ${VARIABLE}, and nothing was changed`, {
    info: {bytes, freeBytes},
  })
}

function badAnswer(status: number): RegistryError {
  const isElsewhere = status >= 300 && status < 400
  const reason = isElsewhere ? `${status}, which leads elsewhere and is not followed` : status
  return new RegistryError('REG_BAD_ANSWER', `the server of ${VARIABLE} answered ${reason}, and nothing was changed`, {
    info: {status},
    hints: [isElsewhere ? `give ${VARIABLE} the URL that it leads to` : LOOK],
  })
}

/** Says of what is wrong with an archive where it is from: who starts a server gave none by name. */
function ofArchive(error: unknown): unknown {
  if (!(error instanceof RegistryError) || !OF_ARCHIVES.has(error.code)) return error
  const {code, message, info} = error
  return new RegistryError(code, `the archive of ${VARIABLE} is not restored, and nothing was changed: ${message}`, {
    info,
    hints: [LOOK, 'registry livebackup URL --archive FILE'],
    cause: error,
  })
}

function failed(error: unknown, signal: AbortSignal): unknown {
  if (error instanceof RegistryError || signal.aborted) return error
  const text = `the archive of ${VARIABLE} could not be fetched, and nothing was changed: ${messageOf(error)}`
  return new RegistryError('REG_UNREACHABLE', text, {hints: [LOOK], cause: error})
}
