/** A restored service that runs in its sandbox, and a session with it. */
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {messageOf, RegistryError} from '../../base/errors.ts'
import {withTeleEnv} from '../../client/telepath/tele-env.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import {SandboxedProcess} from './sandbox.ts'

/** The service did not start, or ended: that is for the report and no error of the drill. */
export class ServiceEnded extends Error {}

/** The service did not answer in the time that it had. */
export class ServiceLate extends Error {}

const PAUSE_MS = 100
/** Opening a session and one answer, while it starts. */
const TRY_MS = 2000
/** Lines of what it wrote that the report has. */
const LINES = 5

export interface DrilledOptions {
  readonly command: readonly string[]
  readonly variables: Readonly<Record<string, string>>
  /** Data directory of the service. */
  readonly dir: string
  /** Directory that is HOME for it, and where our own side looks for certificates: there are none. */
  readonly home: string
  /** How long it may take until it answers. */
  readonly startMs: number
  readonly signal: AbortSignal
}

export interface DrilledCell extends AsyncDisposable {
  readonly cell: TelepathProxy
  readonly process: SandboxedProcess
  readonly startedInMs: number
}

/**
 * Starts a service and waits until it answers on its UNIX socket, where everybody is root. Disposing kills it.
 *
 * @throws ServiceEnded, ServiceLate; the reason of the signal
 */
export async function startDrilled(options: DrilledOptions): Promise<DrilledCell> {
  const {command, dir, home, signal} = options
  await using stack = new AsyncDisposableStack()
  const variables = {...options.variables, HOME: home, TMPDIR: home}
  const begunMs = performance.now()
  const process = stack.use(SandboxedProcess.start({command, cwd: home, variables}))
  const env = stack.use(await withTeleEnv({dir: home, certDirs: [join(home, 'certs')], serviceDir: join(home, 'none')}))
  const open = () => env.open(`cell://${dir}`, {connectMs: TRY_MS, timeoutMs: 0, spareLinks: 0, signal})
  const cell = stack.use(await waitFor(open, process, {...options, untilMs: begunMs + options.startMs}))
  const done = stack.move()
  return {
    cell,
    process,
    startedInMs: performance.now() - begunMs,
    [Symbol.asyncDispose]: () => done.disposeAsync(),
  }
}

async function waitFor(
  open: () => Promise<TelepathProxy>,
  process: SandboxedProcess,
  {untilMs, startMs, signal}: {untilMs: number; startMs: number; signal: AbortSignal},
): Promise<TelepathProxy> {
  let last: unknown
  while (performance.now() < untilMs) {
    if (process.status !== undefined) throw ended(process)
    try {
      const cell = await open()
      await cell.call('getCellInfo', {timeoutMs: TRY_MS, signal})
      return cell
    } catch (error) {
      signal.throwIfAborted()
      last = error
    }
    // Nothing tells when a Synapse service is ready: its socket is there before it answers.
    await delay(PAUSE_MS, undefined, {signal})
  }
  const seconds = Math.round(startMs / 1000)
  throw new ServiceLate(`the service did not answer within ${seconds} s: ${messageOf(last)}${said(process)}`)
}

/** Makes the reason of what broke while the service was asked: its own end, if that is why. */
export function whyBroken(error: unknown, process: SandboxedProcess): unknown {
  const isLink =
    error instanceof RegistryError && (error.code === 'REG_LINK_CLOSED' || error.code === 'REG_UNREACHABLE')
  return isLink && process.status !== undefined ? ended(process) : error
}

function ended(process: SandboxedProcess): ServiceEnded {
  return new ServiceEnded(`the service ended with ${process.status}${said(process)}`)
}

function said({output}: SandboxedProcess): string {
  const lines = output.split('\n').slice(-LINES)
  return output === '' ? '' : `; the end of what it wrote: ${lines.join(' | ')}`
}
