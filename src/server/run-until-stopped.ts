import {setFlagsFromString} from 'node:v8'
import type {RunningRegistry} from './running-registry.ts'

/** Signals that stop a registry in good order. */
const STOPPING = ['SIGTERM', 'SIGINT'] as const
/**
 * Has the old generation collected when it has grown by 15 %, not by some 75 %: every registration leaves garbage there that waited for the
 * disk, and with a large catalog it would take 50 MB more. Costs 10 % of CPU while services register, nothing else.
 */
const HEAP_FLAG = '--heap-growing-percent=15'

/**
 * Starts a registry and keeps it running until it stops by itself or a signal says so; the second signal ends the process at once, as the
 * system does it. A signal that comes while it starts stops it in good order when it has; `start` is told by its argument. SIGHUP reloads, also one
 * that came while it started: it may have read its configuration before.
 * `onStart` hears of the start.
 *
 * @throws RegistryError when it cannot start, or when a part of it failed.
 */
export async function runUntilStopped(
  start: (signal: AbortSignal) => Promise<RunningRegistry>,
  onStart: (registry: RunningRegistry) => void,
): Promise<void> {
  setFlagsFromString(HEAP_FLAG)
  let registry: RunningRegistry | undefined
  const stopAsked = new AbortController()
  const release = () => {
    for (const signal of STOPPING) process.off(signal, onStop)
  }
  const onStop = () => {
    release()
    stopAsked.abort()
    // A failure to stop in good order shows where `stopped` is waited for.
    registry?.stop().catch(() => undefined)
  }
  let isReloadAsked = false
  // What was wrong with a configuration is in the log; the old one stays in force.
  const onReload = () => {
    isReloadAsked = registry === undefined
    registry?.reload().catch(() => undefined)
  }
  for (const signal of STOPPING) process.on(signal, onStop)
  process.on('SIGHUP', onReload)
  try {
    registry = await start(stopAsked.signal)
    if (!stopAsked.signal.aborted) {
      onStart(registry)
      if (isReloadAsked) onReload()
      const failure = await registry.stopped
      if (failure !== undefined) throw failure
    }
    await registry.stop()
  } finally {
    release()
    process.off('SIGHUP', onReload)
  }
}
