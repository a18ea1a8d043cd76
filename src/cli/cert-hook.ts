import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {RegistryError} from '../base/errors.ts'
import {variablesWith} from '../config/environment.ts'

/**
 * Runs a shell command line, for instance one that makes a server read its keys again. What it prints goes to stderr.
 *
 * @throws RegistryError `REG_HOOK_FAILED` when it ends with anything but 0; the signal's reason when aborted
 */
export async function runHook(
  commandLine: string,
  variables: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const child = spawn('/bin/sh', ['-c', commandLine], {
    stdio: ['ignore', process.stderr, process.stderr],
    env: variablesWith(variables),
    signal,
  })
  try {
    const [code, killedBy] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    if (code === 0) return
    throw new RegistryError('REG_HOOK_FAILED', `the hook ended with ${code ?? killedBy}`, {
      info: {status: code, signal: killedBy},
      hints: ['run it by hand', 'the certificates are renewed; nothing needs to be done about them'],
    })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}
