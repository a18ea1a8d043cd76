import {stat} from 'node:fs/promises'
import {dirname, join, resolve} from 'node:path'
import {MANIFEST_FILE} from '../backup/manifest.ts'
import {ERRORS, RegistryError, systemCode} from '../base/errors.ts'
import {exists} from '../base/files.ts'
import {shellWord} from '../base/shell-word.ts'

const UNREADABLE: ReadonlySet<string> = new Set(['EACCES', 'EPERM'])

/**
 * Works on the backup that was named on the command line. An error that says nothing more than that it is no backup, or a damaged one, names the
 * place, and what can be typed next for that very place.
 */
export async function onBackup<T>(given: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const cause = error instanceof RegistryError && error.code === 'REG_BACKUP_INVALID' ? error.cause : error
    if (UNREADABLE.has(systemCode(cause) ?? '')) throw unreadable(resolve(given), cause)
    throw error instanceof RegistryError ? await explained(error, resolve(given)) : error
  }
}

function unreadable(place: string, cause: unknown): RegistryError {
  return new RegistryError('REG_DIR_UNUSABLE', `this user may not read ${place}`, {
    info: {path: place},
    hints: ['run it as the user whose backup it is: backups are made for their owner alone'],
    cause,
  })
}

async function explained(error: RegistryError, place: string): Promise<RegistryError> {
  const {code, info, telepath, cause, hints} = error
  if (code !== 'REG_BACKUP_INVALID' && code !== 'REG_BACKUP_DAMAGED' && code !== 'REG_BACKUP_SEALED') return error
  const isGeneral = hints === ERRORS[code].hints
  const message = error.message.includes(place) ? error.message : `${place}: ${error.message}`
  if (!isGeneral) return new RegistryError(code, message, {info, telepath, cause, hints})
  return new RegistryError(code, message, {info, telepath, cause, hints: await hintsFor(code, place)})
}

async function hintsFor(
  code: 'REG_BACKUP_INVALID' | 'REG_BACKUP_DAMAGED' | 'REG_BACKUP_SEALED',
  place: string,
): Promise<readonly string[]> {
  if (code === 'REG_BACKUP_SEALED') return [...ERRORS[code].hints]
  const isDamaged = code === 'REG_BACKUP_DAMAGED'
  const has = (name: string): Promise<boolean> => exists(join(place, name)).catch(() => false)
  const wasBackup = isDamaged || (await has(MANIFEST_FILE))
  const isService = !wasBackup && (await has('cell.guid'))
  const shelf = await firstDirectory(wasBackup || isService ? [dirname(place)] : [place, dirname(place)])
  return [
    ...(isDamaged ? [`see each file that is not as it was: registry backup verify ${shellWord(place)}`] : []),
    ...(isService ? [`of a service that is stopped: registry backup ${shellWord(place)} TARGET`] : []),
    ...(shelf === undefined ? [] : [`see what else is there: registry backup list ${shellWord(shelf)}`]),
    'make another one: registry livebackup, or registry backup SOURCE TARGET',
  ]
}

async function firstDirectory(places: readonly string[]): Promise<string | undefined> {
  for (const place of places) {
    const facts = await stat(place).catch(() => undefined)
    if (facts?.isDirectory() === true) return place
  }
  return undefined
}
