import {readGroup, type ServiceGroup} from '../client/service-group.ts'
import type {TeleEnv} from '../client/telepath/tele-env.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {parseUrl, sanitizeUrl} from '../wire/telepath/url.ts'
import {type GroupReport, groupReport} from './group-report.ts'

/** Reads the leader and the mirrors of a service again and again. */
export interface GroupReader extends AsyncDisposable {
  readonly find: (cell: Callable) => Promise<ServiceGroup>
  /** What is needed to reach the others, and their AHA. */
  readonly env: () => Promise<TeleEnv>
  readonly read: (cell: Callable) => Promise<GroupReport>
}

/** Makes a reader for the service at a URL; what is needed to reach the others is loaded when it is first needed. */
export function groupReader(
  url: string,
  open: () => Promise<TeleEnv>,
  options: {readonly timeoutMs: number | undefined; readonly signal: AbortSignal},
): GroupReader {
  let env: TeleEnv | undefined
  const loaded = async () => {
    env ??= await open()
    return env
  }
  const find = async (cell: Callable) => {
    return await readGroup(cell, await loaded(), {...options, user: userOf(url), url: sanitizeUrl(url)})
  }
  return {
    find,
    env: loaded,
    read: async (cell) => groupReport(await find(cell)),
    [Symbol.asyncDispose]: async () => env?.[Symbol.asyncDispose](),
  }
}

/** The others are asked as the user that is named for the first; who comes with a password has none for them. */
function userOf(url: string): string | undefined {
  if (!url.includes('://')) return undefined
  const {user, passwd} = parseUrl(url)
  return passwd === undefined ? user : undefined
}
