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
  return await env.open(url, {connectMs: timeoutMs, timeoutMs, signal, spareLinks: 0})
}
