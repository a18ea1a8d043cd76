import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import type {OpenOptions} from './open-url.ts'
import {type TeleEnv, withTeleEnv} from './tele-env.ts'
import type {Urls} from './telepath-client.ts'

export interface OpenTelepathOptions extends OpenOptions {
  /** Certificates and AHA servers; those of the user when absent. */
  readonly env?: TeleEnv | undefined
}

/**
 * Opens a session with the service that a URL names, or the first of several URLs that leads to one: `cell://DIR`, `unix://`, `tcp://`, `ssl://`,
 * `aha://NAME`, or an alias of the user.
 *
 *     await using cell = await openTelepath('cell:///srv/axon')
 *     console.log(await cell.call('getCellInfo'))
 *
 * It does not connect again: `TeleEnv.client` does. Throws as `TeleEnv.open` and `withTeleEnv`.
 */
export async function openTelepath(urls: Urls, options: OpenTelepathOptions = {}): Promise<TelepathProxy> {
  const {env, ...opening} = options
  if (env !== undefined) return env.open(urls, opening)
  await using own = await withTeleEnv()
  return await own.open(urls, opening)
}
