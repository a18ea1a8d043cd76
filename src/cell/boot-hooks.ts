import {type ChildProcess, spawn} from 'node:child_process'
import {realpath, stat} from 'node:fs/promises'
import {join, sep} from 'node:path'
import {setTimeout} from 'node:timers/promises'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import type {Log} from '../base/log.ts'

const PREBOOT = 'preboot.sh'
const CONCURRENT = 'concurrent.sh'
/** How long concurrent.sh may take to end after SIGTERM. */
const END_WITHIN_MS = 5000

const EXECUTABLE_BY_OWNER = 0o100
const WRITABLE_BY_OTHERS = 0o022

export interface BootHooksOptions {
  /** `boothooks:dir` */
  readonly dir: string
  /** The data directory: the first argument of the scripts. */
  readonly cellDir: string
  readonly log: Pick<Log, 'info' | 'warning'>
}

/**
 * Programs of the operator around the life of the server, as the peers' containers have them: `preboot.sh` runs before it and must succeed;
 * `concurrent.sh` runs beside it and ends with it. Both get the data directory as their argument and write to our standard error. They run
 * as this user, so nobody else may be able to write them, and a copy of the data directory must not bring any along.
 */
export class BootHooks {
  readonly #options: BootHooksOptions
  readonly #preboot: string | undefined
  readonly #concurrent: string | undefined
  #beside: {readonly child: ChildProcess; readonly ended: Promise<void>} | undefined

  private constructor(options: BootHooksOptions, preboot: string | undefined, concurrent: string | undefined) {
    this.#options = options
    this.#preboot = preboot
    this.#concurrent = concurrent
  }

  /**
   * Looks which scripts are there and whether they may be run.
   *
   * @throws RegistryError `REG_CONFIG_INVALID`
   */
  static async find(options: BootHooksOptions): Promise<BootHooks> {
    const dir = await checkedDir(options.dir, options.cellDir)
    return new BootHooks(options, await script(dir, PREBOOT), await script(dir, CONCURRENT))
  }

  /**
   * Runs preboot.sh, if there is one, and waits for it; the signal ends it.
   *
   * @throws RegistryError `REG_HOOK_FAILED`
   */
  async runPreboot(signal?: AbortSignal): Promise<void> {
    const path = this.#preboot
    if (path === undefined) return
    this.#options.log.info('boothook.running', {path})
    const child = this.#start(path)
    const kill = () => killGroup(child, 'SIGTERM')
    signal?.addEventListener('abort', kill)
    if (signal?.aborted) kill()
    try {
      const outcome = await ended(child)
      if (outcome !== 'status 0') throw failed(path, outcome)
    } finally {
      signal?.removeEventListener('abort', kill)
    }
  }

  /** Starts concurrent.sh, if there is one. That it ends early is said in the log and changes nothing. */
  startConcurrent(): void {
    const path = this.#concurrent
    if (path === undefined || this.#beside !== undefined) return
    this.#options.log.info('boothook.running-beside', {path})
    const child = this.#start(path)
    const over = ended(child).then((outcome) => this.#options.log.info('boothook.ended', {path, outcome}))
    this.#beside = {child, ended: over}
  }

  /** Ends concurrent.sh and what it started. Idempotent. */
  async stop(): Promise<void> {
    const beside = this.#beside
    if (beside === undefined) return
    killGroup(beside.child, 'SIGTERM')
    const timer = new AbortController()
    const late = setTimeout(END_WITHIN_MS, 'late', {signal: timer.signal}).catch(() => 'late')
    if ((await Promise.race([beside.ended, late])) === 'late') {
      this.#options.log.warning('boothook.killed', {withinMs: END_WITHIN_MS})
      killGroup(beside.child, 'SIGKILL')
      await beside.ended
    }
    timer.abort()
  }

  /** In a group of its own, so that what the script starts ends with it; standard output is for results, not for scripts. */
  #start(path: string): ChildProcess {
    const {cellDir} = this.#options
    return spawn(path, [cellDir], {cwd: cellDir, detached: true, stdio: ['ignore', 2, 2]})
  }
}

function ended(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(messageOf(error)))
    child.once('exit', (status, signal) => resolve(signal ?? `status ${status}`))
  })
}

function killGroup({pid}: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return // it could not be started
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error
  }
}

async function checkedDir(dir: string, cellDir: string): Promise<string> {
  const [real, cell] = await Promise.all([
    realpath(dir).catch((error: unknown) => refuse(dir, error)),
    realpath(cellDir),
  ])
  if (real === cell || real.startsWith(cell + sep)) {
    throw refused(dir, 'it lies within the data directory, whose copies would bring programs along')
  }
  await assertOurs(real, 'directory')
  return real
}

async function script(dir: string, name: string): Promise<string | undefined> {
  const path = join(dir, name)
  const real = await realpath(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined
    throw refused(path, systemCode(error) ?? messageOf(error), error)
  })
  if (real === undefined) return undefined
  await assertOurs(real, 'file')
  return real
}

async function assertOurs(path: string, kind: 'directory' | 'file'): Promise<void> {
  const found = await stat(path)
  if (kind === 'directory' ? !found.isDirectory() : !found.isFile()) throw refused(path, `it is no ${kind}`)
  const own = process.getuid?.()
  if (found.uid !== own && found.uid !== 0) throw refused(path, 'it belongs to another user')
  if ((found.mode & WRITABLE_BY_OTHERS) !== 0) throw refused(path, 'others may write to it; chmod go-w')
  if (kind === 'file' && (found.mode & EXECUTABLE_BY_OWNER) === 0)
    throw refused(path, 'it is not executable; chmod u+x')
}

function refuse(path: string, error: unknown): never {
  throw refused(path, systemCode(error) ?? messageOf(error), error)
}

function refused(path: string, reason: string, cause?: unknown): RegistryError {
  const text = `cannot use ${path} for boothooks:dir: ${reason}`
  return new RegistryError('REG_CONFIG_INVALID', text, {info: {path, option: 'boothooks:dir'}, cause})
}

function failed(path: string, outcome: string): RegistryError {
  const text = `${path} must succeed before the registry starts, and ended with ${outcome}`
  return new RegistryError('REG_HOOK_FAILED', text, {info: {path, outcome}})
}
