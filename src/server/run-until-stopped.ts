import type {RunningRegistry} from './serve.ts'

/** Signals that stop a registry in good order. */
const STOPPING = ['SIGTERM', 'SIGINT'] as const

/**
 * Keeps a registry running until it stops by itself or a signal says so; the second signal ends the process at once,
 * as the system does it. SIGHUP reloads.
 *
 * @throws RegistryError when a part of the registry failed.
 */
export async function runUntilStopped(registry: RunningRegistry): Promise<void> {
  const release = () => {
    for (const signal of STOPPING) process.off(signal, onStop)
  }
  const onStop = () => {
    release()
    // A failure to stop in good order shows where `stopped` is waited for.
    registry.stop().catch(() => undefined)
  }
  // What was wrong with a configuration is in the log; the old one stays in force.
  const onReload = () => registry.reload().catch(() => undefined)
  for (const signal of STOPPING) process.on(signal, onStop)
  process.on('SIGHUP', onReload)
  try {
    const failure = await registry.stopped
    if (failure !== undefined) throw failure
    await registry.stop()
  } finally {
    release()
    process.off('SIGHUP', onReload)
  }
}
