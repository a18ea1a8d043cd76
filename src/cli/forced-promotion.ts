import {RegistryError} from '../base/errors.ts'
import {type Fenced, fenceOldLeaders, liftFences} from '../client/leader-fence.ts'
import {promote} from '../client/leadership.ts'
import type {TeleEnv} from '../client/telepath/tele-env.ts'
import type {LeadTarget} from './lead-command.ts'

export interface ForcedOptions {
  readonly timeoutMs: number | undefined
  readonly signal: AbortSignal
  /** Nobody is kept from leading. */
  readonly allowsReturn: boolean
  /** Only finds out who would be kept from leading, and whether the caller may do that. */
  readonly isDry?: boolean
  /** Says what is not as it should be. */
  readonly say: (text: string) => void
}

/**
 * Makes a mirror lead with what it has. The AHA keeps those from leading that led before, first of all, so that there is no moment in which an old
 * leader could take the name back; it lets them again when the promotion is refused. Members of our own cells see to that themselves. Gives their names. Throws as `promote` and `fenceOldLeaders`.
 */
export async function promoteByForce(target: LeadTarget, options: ForcedOptions): Promise<readonly string[]> {
  const {before, cell} = target
  const {timeoutMs, signal, say, isDry = false} = options
  const {name, url} = before.me
  if (before.isFencing === true) {
    if (!isDry) await promote(cell, name, {isForced: true, timeoutMs, signal, url})
    return []
  }
  const env = await target.groups.env()
  const kept = await keptFromLeading(env, target, options)
  if (kept.why !== undefined) say(`nobody is kept from leading: ${kept.why}`)
  if (isDry) return kept.names
  try {
    await promote(cell, name, {isForced: true, timeoutMs, signal, url})
  } catch (error) {
    if (isRefusal(error)) await takeBack(env, before.members.flatMap(knownFence), kept.names, options)
    else if (kept.names.length > 0) say(`kept from leading, whatever came of it: ${kept.names.join(', ')}`)
    throw error
  }
  return kept.names
}

async function keptFromLeading(env: TeleEnv, {before}: LeadTarget, options: ForcedOptions): Promise<Fenced> {
  if (options.allowsReturn) return {names: []}
  return await fenceOldLeaders(env, before, options.signal, options.isDry).catch((error: unknown) => {
    throw error instanceof RegistryError ? withWayOut(error, before.me.name) : error
  })
}

/** Fences that were there before stay. */
async function takeBack(
  env: TeleEnv,
  before: readonly string[],
  names: readonly string[],
  {signal, say}: ForcedOptions,
): Promise<void> {
  const ours = names.filter((name) => !before.includes(name))
  if (ours.length === 0) return
  await liftFences(env, ours, signal).catch((error: unknown) => {
    if (!(error instanceof RegistryError)) throw error
    say(`still kept from leading: ${ours.join(', ')}: ${error.message}`)
  })
}

function knownFence({name, fence}: {readonly name: string; readonly fence?: unknown}): readonly string[] {
  return fence === undefined ? [] : [name]
}

/** Whether the lead has moved is not known where no answer came. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof RegistryError)) return false
  return !['REG_LINK_CLOSED', 'REG_CANCELLED', 'REG_TIMED_OUT'].includes(error.code)
}

function withWayOut({code, message, info, telepath, cause}: RegistryError, name: string): RegistryError {
  const text = `the AHA cannot be told to keep the old leader from leading, and nothing was done: ${message}`
  const hints = [
    'ask as an administrator of the AHA',
    `to do it all the same, and let the old leader lead again when it is back: registry promote aha://${name} --failure --allow-return`,
  ]
  return new RegistryError(code, text, {hints, info, telepath, cause})
}
