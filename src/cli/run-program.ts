import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {constants} from 'node:os'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {variablesWith} from '../config/environment.ts'

/** Signals that end a program; before they reach it, it is taken out of the registry. */
const ENDING = ['SIGTERM', 'SIGINT'] as const
/** Signals that mean something to the program alone. */
const FORWARDED = ['SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such program',
  EACCES: 'it may not be executed',
}

/** A program that runs in our place: it has our streams, gets our signals, and its end is ours. */
export class Program implements Disposable {
  readonly #child: ChildProcess
  readonly #beforeEnding: () => Promise<void>
  readonly #handlers: (readonly [NodeJS.Signals, () => void])[]
  readonly #exited: Promise<[code: number | null, signal: NodeJS.Signals | null]>
  #isEnding = false

  private constructor(spawnChild: () => ChildProcess, beforeEnding: () => Promise<void>) {
    this.#beforeEnding = beforeEnding
    this.#handlers = [
      ...ENDING.map((name) => [name, () => void this.#end(name)] as const),
      ...FORWARDED.map((name) => [name, () => void this.#child.kill(name)] as const),
    ]
    // Before the program begins: a signal that came in between would end us and leave it behind.
    for (const [name, handler] of this.#handlers) process.on(name, handler)
    this.#child = spawnChild()
    this.#exited = once(this.#child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  }

  /**
   * Starts a program. The first signal that is to end it makes `beforeEnding` run first; later ones reach it at once.
   *
   * @throws RegistryError `REG_USAGE` when there is no such program.
   */
  static async start(
    [command, ...args]: readonly string[],
    variables: Readonly<Record<string, string>>,
    beforeEnding: () => Promise<void>,
  ): Promise<Program> {
    if (command === undefined) throw new RegistryError('REG_USAGE', 'the program is missing')
    const program = new Program(
      () => spawn(command, args, {stdio: 'inherit', env: variablesWith(variables)}),
      beforeEnding,
    )
    try {
      await once(program.#child, 'spawn')
      return program
    } catch (cause) {
      program[Symbol.dispose]()
      program.#exited.catch(() => undefined) // the same error once more
      throw notStarted(command, cause)
    }
  }

  /** True from the first signal on that is to end it. */
  get isEnding(): boolean {
    return this.#isEnding
  }

  /** Waits for its end and gives the exit status; 128 and its number for a signal, as shells have it. */
  async ended(): Promise<number> {
    const [code, signal] = await this.#exited
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal])
  }

  [Symbol.dispose](): void {
    for (const [name, handler] of this.#handlers) process.off(name, handler)
  }

  async #end(name: (typeof ENDING)[number]): Promise<void> {
    const isFirst = !this.#isEnding
    this.#isEnding = true
    if (isFirst) await this.#beforeEnding()
    // Ctrl-C reaches everything that runs on the terminal; a second SIGINT would disturb the program's own tidying up.
    if (isFirst && name === 'SIGINT' && process.stdin.isTTY) return
    this.#child.kill(name)
  }
}

function notStarted(command: string, cause: unknown): RegistryError {
  const code = systemCode(cause) ?? ''
  return new RegistryError('REG_USAGE', `cannot start ${command}: ${REASONS[code] ?? messageOf(cause)}`, {
    info: {command, code},
    hints: ['registry help service run'],
    cause,
  })
}
