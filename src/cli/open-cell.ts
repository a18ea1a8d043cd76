import {RegistryError} from '../base/errors.ts'
import {withTeleEnv} from '../client/telepath/tele-env.ts'
import type {TelepathProxy} from '../wire/telepath/caller.ts'

export interface OpenCellOptions {
  /** Longest wait for the session, and for each answer. */
  readonly timeoutMs?: number | undefined
  readonly signal: AbortSignal
  /** Hears what is wrong with a file that is ignored, and why AHA servers cannot be reached. */
  readonly onWarning: (text: string) => void
}

/** Opens a session with the certificates and AHA servers of the user; throws as `TeleEnv.open`. A command makes one call at a time. */
export async function openCell(url: string, {timeoutMs, signal, onWarning}: OpenCellOptions): Promise<TelepathProxy> {
  await using env = await withTeleEnv({onWarning})
  const opening = env.open(url, {connectMs: timeoutMs, timeoutMs, signal, spareLinks: 0})
  return await opening.catch((error: unknown) => {
    throw error instanceof RegistryError ? withHints(error) : error
  })
}

/** What to do when nothing could be opened, by the name of the error; the hints of the codes are about services. */
const HINTS: Readonly<Record<string, readonly string[]>> = {
  AuthDeny: ['on the machine of the cell: registry user list --url cell://DIR'],
  NoSuchUser: [
    'on the machine of the cell: registry user list --url cell://DIR',
    'on the machine of the cell: registry user add NAME --url cell://DIR',
  ],
  LinkErr: ['registry status --url URL', 'registry serve DIR'],
}

function withHints(error: RegistryError): RegistryError {
  const {code, message, info, telepath} = error
  const hints = HINTS[telepath]
  return hints === undefined ? error : new RegistryError(code, message, {hints, info, telepath, cause: error.cause})
}
