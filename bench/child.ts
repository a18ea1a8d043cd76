import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {createInterface} from 'node:readline'

/** A child process that is asked by a line and answers by one, both JSON. */
export class LineChild implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  /** Starts a module of this directory under this Node, or under another program. */
  constructor(
    module: string,
    args: readonly string[] = [],
    env: NodeJS.ProcessEnv = process.env,
    program = process.execPath,
  ) {
    const path = new URL(module, import.meta.url).pathname
    this.#child = spawn(program, [path, ...args], {stdio: ['pipe', 'pipe', 'inherit'], env})
    if (!this.#child.stdout) throw new Error(`${module} has no output`)
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Waits for the next line. */
  async read<Answer>(): Promise<Answer> {
    const {value, done} = await this.#lines.next()
    if (done)
      throw new Error(`${this.#child.spawnargs.join(' ')} ended with ${this.#child.exitCode ?? this.#child.signalCode}`)
    return JSON.parse(value)
  }

  ask<Answer>(question: unknown): Promise<Answer> {
    this.#child.stdin?.write(`${JSON.stringify(question)}\n`)
    return this.read<Answer>()
  }

  /** Ends its input, at which it ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.stdin?.end()
    await ended
  }
}
