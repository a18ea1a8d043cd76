import {RegistryError} from '../base/errors.ts'
import type {TeleEnv} from '../client/telepath/tele-env.ts'
import type {Member} from '../registry/leadership.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'
import {reportOf} from './error-report.ts'
import {groupReport} from './group-report.ts'
import type {RegistryStatus} from './status-report.ts'

/** Tells whether a service was reached and did not let the caller in. */
export function isRefusal(error: unknown): error is RegistryError {
  return error instanceof RegistryError && (error.telepath === 'NoSuchUser' || error.telepath === 'AuthDeny')
}

/** Answers that are no refusal of one call, but of all: too many logins failed. */
const REFUSING: ReadonlySet<string> = new Set(['REG_DENIED', 'REG_BUSY'])

/** Gives what a watch shows of a service that does not let the caller in: what AHA knows of it, or only why; undefined when it did let him in. */
export async function refusedLook(
  url: string,
  error: RegistryError,
  openEnv: () => Promise<Pick<TeleEnv, 'parse' | 'find' | 'ofCell'> & AsyncDisposable>,
  signal: AbortSignal,
): Promise<RegistryStatus | undefined> {
  if (!REFUSING.has(error.code) && !isRefusal(error)) return undefined
  await using env = await openEnv()
  return await refusedStatus(url, error, env, signal).catch((thrown: unknown) => {
    if (thrown !== error) throw thrown
    return {url: sanitizeUrl(url), status: 'refused' as const, error: reportOf(error)}
  })
}

/**
 * Gives what AHA knows of a service that does not let the caller in. Throws that refusal where the URL names no service of AHA, and where AHA says
 * nothing of its cell.
 */
export async function refusedStatus(
  url: string,
  refusal: RegistryError,
  env: Pick<TeleEnv, 'parse' | 'find' | 'ofCell'>,
  signal: AbortSignal,
): Promise<RegistryStatus> {
  const members = await membersOf(url, env, signal)
  const [me] = members
  if (me === undefined) throw refusal
  const group = groupReport({iden: '', leaderAlias: null, me, members, isListed: false, isNamed: true})
  return {url: sanitizeUrl(url), status: 'refused', error: reportOf(refusal), group}
}

async function membersOf(
  url: string,
  env: Pick<TeleEnv, 'parse' | 'find' | 'ofCell'>,
  signal: AbortSignal,
): Promise<readonly Member[]> {
  try {
    const parsed = env.parse(url)
    if (parsed.scheme !== 'aha') return []
    const {iden} = await env.find(parsed, signal)
    const listed = iden === undefined ? [] : await env.ofCell(iden, signal)
    return listed.map(({runId = null, address = null, ...member}) => ({...member, runId, address, state: undefined}))
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof RegistryError) return []
    throw error
  }
}
