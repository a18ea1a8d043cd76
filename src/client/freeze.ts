import {RegistryError} from '../base/errors.ts'
import type {Callable} from '../wire/telepath/caller.ts'

export interface FreezeOptions {
  /** Names the cell in error texts. */
  readonly place: string
  /** The freeze ends by itself after this time. Only a registry of this software does that; undefined leaves it to the cell. */
  readonly maxMs?: number | undefined
  /** Longest wait until what is under way is on the disk; 60 000 when absent. */
  readonly timeoutMs?: number | undefined
  readonly signal: AbortSignal
}

const DEFAULT_TIMEOUT_MS = 60_000
const DEFAULT_MAX_MS = 120_000
/** The cell itself gives up first, and says why. */
const GRACE_MS = 5000

/**
 * Has the changes of a cell wait, ours or a real Synapse one, so that a snapshot of its volume can be taken. Gives the time after which that ends by
 * itself; null: never.
 *
 * @throws RegistryError `REG_CONFLICT` when it is frozen already, or cannot end a freeze by itself; `REG_TIMED_OUT`; `REG_DENIED`
 */
export async function freeze(
  cell: Callable,
  {place, maxMs, timeoutMs = DEFAULT_TIMEOUT_MS, signal}: FreezeOptions,
): Promise<number | null> {
  const endsByItself = cell.info.methods.has('getRegistryInfo')
  if (!endsByItself && maxMs !== undefined) {
    throw new RegistryError('REG_CONFLICT', `${place} is no registry of this software: it ends no freeze by itself`, {
      telepath: 'BadState',
      hints: [`registry freeze ${place}, and registry resume ${place} afterwards`],
    })
  }
  const longestMs = endsByItself ? (maxMs ?? DEFAULT_MAX_MS) : null
  const kwargs = {timeout: timeoutMs / 1000, ...(longestMs === null ? {} : {max: longestMs / 1000})}
  try {
    await cell.call('freeze', {kwargs, signal, timeoutMs: timeoutMs + GRACE_MS})
  } catch (error) {
    throw withHints(error, [`registry resume ${place}`, `registry status ${place}`])
  }
  return longestMs
}

/**
 * Lets the changes of a cell go on.
 *
 * @throws RegistryError `REG_CONFLICT` when it is not frozen: then changes may have been written while a snapshot was taken
 */
export async function resume(cell: Callable, {place, timeoutMs, signal}: Omit<FreezeOptions, 'maxMs'>): Promise<void> {
  try {
    await cell.call('resume', {signal, ...(timeoutMs === undefined ? {} : {timeoutMs})})
  } catch (error) {
    throw withHints(error, [
      'when the freeze has ended by itself: take the snapshot again, with a longer --max',
      `registry status ${place}`,
    ])
  }
}

function withHints(error: unknown, hints: readonly string[]): unknown {
  if (!(error instanceof RegistryError) || error.telepath !== 'BadState') return error
  const {message, info, telepath, cause} = error
  return new RegistryError('REG_CONFLICT', message, {hints, info, telepath, cause})
}
