/** A directory for the time of a drill, which is removed however the drill ends. */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdir, rm} from 'node:fs/promises'
import {join} from 'node:path'
import {messageOf, RegistryError} from '../../base/errors.ts'
import {newGuid} from '../../base/ids.ts'
import {bareVariables} from '../../config/environment.ts'

/** Removes the directory when the pipe from the drill ends: a service that is killed in the same moment may still be writing. */
const KEEPER = `trap '' HUP INT TERM
read -r _
left=50
while [ -e "$1" ] && [ "$left" -gt 0 ]; do
  rm -rf -- "$1" 2>/dev/null
  left=$((left - 1))
  [ -e "$1" ] && sleep 0.2
done`
/** Longest path of a UNIX socket, and what stands behind the directory in it. */
const SOCKET_PATH_MAX = 107
const SOCKET_PLACE = '/cell/sockets/drive'

/** A scratch directory, for the owner alone. */
export class Scratch implements AsyncDisposable {
  /** Absolute. */
  readonly path: string
  readonly #keeper: ChildProcess | undefined

  private constructor(path: string, keeper: ChildProcess | undefined) {
    this.path = path
    this.#keeper = keeper
  }

  /**
   * Makes one below `parent`, an absolute path. With `isKept` it stays.
   *
   * @throws RegistryError `REG_USAGE` when sockets would have no room in their path; `REG_DIR_UNUSABLE`
   */
  static async make(parent: string, isKept: boolean): Promise<Scratch> {
    const path = join(parent, `registry-drill-${newGuid().slice(0, 8)}`)
    const length = Buffer.byteLength(path + SOCKET_PLACE)
    if (length > SOCKET_PATH_MAX) {
      throw new RegistryError('REG_USAGE', `the path ${parent} is too long for the sockets of a service`, {
        info: {path: parent},
        hints: ['give a directory with a shorter path: --scratch DIR'],
      })
    }
    const keeper = isKept ? undefined : await startKeeper(path)
    const scratch = new Scratch(path, keeper)
    try {
      await mkdir(path, {mode: 0o700})
      return scratch
    } catch (cause) {
      await scratch.#endKeeper()
      throw unusable(path, cause)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#keeper === undefined) return
    await rm(this.path, {recursive: true, force: true, maxRetries: 5}).catch(() => undefined) // the keeper tries again
    await this.#endKeeper()
  }

  async #endKeeper(): Promise<void> {
    const keeper = this.#keeper
    if (keeper === undefined || keeper.exitCode !== null) return
    const ended = once(keeper, 'exit')
    keeper.stdin?.end()
    await ended
  }
}

function unusable(path: string, cause: unknown): RegistryError {
  const hints = ['give another directory: --scratch DIR']
  return new RegistryError('REG_DIR_UNUSABLE', `cannot make ${path}: ${messageOf(cause)}`, {info: {path}, hints, cause})
}

async function startKeeper(path: string): Promise<ChildProcess> {
  const keeper = spawn('sh', ['-c', KEEPER, 'sh', path], {
    cwd: '/',
    env: bareVariables({}),
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  keeper.stdin?.on('error', () => undefined) // it was killed
  await once(keeper, 'spawn')
  return keeper
}
