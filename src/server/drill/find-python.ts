import {messageOf} from '../../base/errors.ts'
import {type Sandbox, SandboxedProcess} from './sandbox.ts'

/** Python, and the release of Synapse that it has. */
export type FoundPython =
  | {readonly kind: 'found'; readonly python: string; readonly version: string}
  | {readonly kind: 'none'; readonly reason: string}

const CANDIDATES = ['python3', 'python'] as const
const SHOW_VERSION = 'import synapse.lib.version as v; print("synapse", v.verstring)'
const LOOK_MS = 60_000

/** Finds a Python that has Synapse: `given`, else the one on the PATH. Throws the reason of the signal. */
export async function findPython(
  given: string | undefined,
  place: {readonly sandbox: Sandbox; readonly cwd: string; readonly signal: AbortSignal},
): Promise<FoundPython> {
  const {sandbox, cwd, signal} = place
  for (const python of given === undefined ? CANDIDATES : [given]) {
    const command = [...sandbox.inside, python, '-c', SHOW_VERSION]
    await using look = SandboxedProcess.start({command, cwd, variables: {HOME: cwd, PYTHONDONTWRITEBYTECODE: '1'}})
    const late = AbortSignal.timeout(LOOK_MS)
    const status = await look.ended(AbortSignal.any([signal, late])).catch((error: unknown) => {
      signal.throwIfAborted()
      return messageOf(error)
    })
    const version = /^synapse (\S+)$/m.exec(look.output)?.[1]
    if (status === 0 && version !== undefined) return {kind: 'found', python, version}
  }
  const where = given === undefined ? 'no Python on the PATH has' : `${given} is no Python with`
  return {kind: 'none', reason: `${where} Synapse: give one with --python PATH`}
}
