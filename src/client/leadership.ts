import {type ErrorCode, RegistryError} from '../base/errors.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {fieldsOf} from './admin-values.ts'

export interface LeadOptions {
  readonly signal: AbortSignal
  /** Longest wait for the answer; 60 000 when absent. */
  readonly timeoutMs?: number | undefined
  /** Where the service is reached, for what to do next; by its name in AHA when absent. */
  readonly url?: string | undefined
}

const DEFAULT_TIMEOUT_MS = 60_000
/** The service itself gives up first, and says why. */
const GRACE_MS = 5000

/** What who is no administrator can do. */
const AS_ADMIN = 'be an administrator of the service, or ask as root: cell://DIR on its machine'

/**
 * Refuses a caller whom the service will refuse, before anything is looked at: a cell tells everybody who he is there. Where it does not tell, it is to
 * decide itself when it is called.
 *
 * @throws RegistryError `REG_DENIED`, with the words of the service
 */
export async function assertAdmin(cell: Callable, {signal}: Pick<LeadOptions, 'signal'>): Promise<void> {
  const asked = cell.call('getCellUser', {signal}).then((user) => fieldsOf(user, 'a user'))
  const user = await asked.catch((error: unknown) => {
    signal.throwIfAborted()
    if (error instanceof RegistryError) return undefined
    throw error
  })
  if (user?.['admin'] !== false) return
  const {name} = user
  const username = typeof name === 'string' ? name : ''
  throw new RegistryError('REG_DENIED', `User is not an admin [${username}]`, {
    telepath: 'AuthDeny',
    info: {username},
    hints: [AS_ADMIN],
  })
}

/**
 * Asks a mirror to lead: by a hand-over of its leader, or, with `isForced`, at once with what it has.
 *
 * @throws RegistryError `REG_CONFLICT` when it is no mirror, or cannot take part in a hand-over; `REG_UNREACHABLE` when it does not find its leader;
 * `REG_TIMED_OUT` when it did not catch up, or when nothing is known of the outcome; `REG_DENIED`; else what the service answered
 */
export async function promote(
  cell: Callable,
  name: string,
  {isForced, signal, url = `aha://${name}`, timeoutMs = DEFAULT_TIMEOUT_MS}: LeadOptions & {readonly isForced: boolean},
): Promise<void> {
  try {
    await cell.call('promote', {kwargs: {graceful: !isForced}, signal, timeoutMs})
  } catch (error) {
    throw explained(error, name, url)
  }
}

/**
 * Asks a member of our own that is fenced to lead again, as the one that took the lead from it, with this epoch, is gone for good.
 *
 * @throws RegistryError `REG_CONFLICT` when that one answers, or another one took the lead since; as `promote`
 */
export async function leadAgain(
  cell: Callable,
  name: string,
  epoch: number,
  {signal, url = `aha://${name}`, timeoutMs = DEFAULT_TIMEOUT_MS}: LeadOptions,
): Promise<void> {
  try {
    await cell.call('leadAgain', {args: [epoch], signal, timeoutMs})
  } catch (error) {
    throw notAgain(error, name, url)
  }
}

/**
 * Asks a leader to give the lead to one of its mirrors.
 *
 * @throws RegistryError `REG_CONFLICT` when none of them took it; as `promote`
 */
export async function demote(
  cell: Callable,
  name: string,
  {signal, url = `aha://${name}`, timeoutMs = DEFAULT_TIMEOUT_MS}: LeadOptions,
): Promise<void> {
  const limits = {signal, timeoutMs: timeoutMs + GRACE_MS}
  const isDone = await cell.call('demote', {kwargs: {timeout: timeoutMs / 1000}, ...limits}).catch((error: unknown) => {
    throw explained(error, name, url)
  })
  if (isDone === true) return
  throw new RegistryError('REG_CONFLICT', `none of the mirrors of ${name} took the lead: its log says why`, {
    telepath: 'BadState',
    info: {name},
    hints: [`registry status ${url}`],
  })
}

function notAgain(error: unknown, name: string, url: string): unknown {
  if (!(error instanceof RegistryError) || error.telepath !== 'BadState') return explained(error, name, url)
  const hints = [`registry status ${url}`, 'registry rejoin DIR']
  return new RegistryError('REG_CONFLICT', error.message, {telepath: 'BadState', info: {name}, hints, cause: error})
}

/** What an error of the service means here; others stay as they are. */
interface Meaning {
  readonly code: ErrorCode
  readonly text: string
  readonly hints: readonly string[]
}

function explained(error: unknown, name: string, url: string): unknown {
  if (!(error instanceof RegistryError)) return error
  const meaning = meaningOf(error, name, url)
  if (meaning === undefined) return error
  const {code, text, hints} = meaning
  const {info, telepath} = error
  return new RegistryError(code, text, {hints, info: {...info, name}, telepath, cause: error})
}

function meaningOf(error: RegistryError, name: string, url: string): Meaning | undefined {
  const {telepath, code, message, info} = error
  const status = `registry status ${url}`
  const forced = `when its leader is gone for good: registry promote ${url} --failure`
  if (code === 'REG_LINK_CLOSED' || (code === 'REG_TIMED_OUT' && telepath === 'TimeOut')) {
    return {code, text: `${message}; whether the lead has moved is not known`, hints: [status]}
  }
  if (info['errx'] === 'ConnectionRefusedError' || telepath === 'LinkErr') {
    return {code: 'REG_UNREACHABLE', text: `${name} cannot reach its leader: ${message}`, hints: [status, forced]}
  }
  switch (telepath) {
    case 'AuthDeny':
      return {
        code,
        text: message,
        hints: [AS_ADMIN],
      }
    case 'BadConfValu':
      return {code: 'REG_CONFLICT', text: `${name} is no mirror: ${message}`, hints: [status]}
    case 'NeedConfValu':
      return {
        code: 'REG_CONFLICT',
        text: `${name} cannot hand over: ${message}`,
        hints: ['give it aha:name and aha:registry', status],
      }
    case 'NoSuchName':
      return {code: 'REG_UNREACHABLE', text: `${name} does not find its leader: ${message}`, hints: [status, forced]}
    case 'NotReady':
      return {code: 'REG_TIMED_OUT', text: `${name} is not ready: ${message}`, hints: [status, 'ask again']}
    default:
      return undefined
  }
}
