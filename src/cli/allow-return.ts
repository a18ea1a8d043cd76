import {RegistryError} from '../base/errors.ts'
import {assertMayLift, liftFences} from '../client/leader-fence.ts'
import {readGroup} from '../client/service-group.ts'
import type {TeleEnv} from '../client/telepath/tele-env.ts'
import type {Callable} from '../wire/telepath/caller.ts'

/** What `promote --allow-return` answers under `--json`. */
export interface ReturnReport {
  readonly changed: boolean
  readonly dryRun: boolean
  /** Full names of those that may lead again. */
  readonly allowed: readonly string[]
}

/**
 * Lets the services of a cell lead again that their AHA keeps from it; of an `aha://` URL that names one of these, it alone: it may be offline. Throws
 * as `liftFences`.
 */
export async function allowReturn(
  url: string,
  env: TeleEnv,
  open: () => Promise<Callable & AsyncDisposable>,
  {signal, isDry}: {readonly signal: AbortSignal; readonly isDry: boolean},
): Promise<ReturnReport> {
  const named = await namedBy(url, env, signal)
  const fenced = named ?? (await inCellOf(open, env, signal))
  if (isDry) await assertMayLift(env, signal)
  const allowed = isDry ? fenced : await liftFences(env, fenced, signal)
  return {changed: allowed.length > 0 && !isDry, dryRun: isDry, allowed}
}

/** The fenced service that a URL names. An offline one cannot be asked, but AHA knows it, and its cell. */
async function namedBy(url: string, env: TeleEnv, signal: AbortSignal): Promise<readonly string[] | undefined> {
  const parsed = env.parse(url)
  if (parsed.scheme !== 'aha') return undefined
  const full = await env.askAha(async (aha) => {
    const entry = await aha.call('getAhaSvc', {args: [parsed.host], signal})
    const {name, svcinfo} = (entry ?? {}) as {readonly name?: unknown; readonly svcinfo?: {readonly fenced?: unknown}}
    return typeof name === 'string' && svcinfo?.fenced !== undefined ? name : undefined
  }, signal)
  return full === undefined ? undefined : [full]
}

async function inCellOf(
  open: () => Promise<Callable & AsyncDisposable>,
  env: TeleEnv,
  signal: AbortSignal,
): Promise<readonly string[]> {
  await using cell = await open()
  const {members, error, me} = await readGroup(cell, env, {signal})
  if (error !== undefined) throw error
  const fenced = members.flatMap(({name, fence}) => (fence === undefined ? [] : [name]))
  if (fenced.length > 0) return fenced
  throw new RegistryError('REG_CONFLICT', `no service of the cell of ${me.name} is kept from leading`, {
    info: {name: me.name},
    hints: [`registry status aha://${me.name}`],
  })
}
