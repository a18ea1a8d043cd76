import assert from 'node:assert/strict'
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {createInterface} from 'node:readline'
import {text} from 'node:stream/consumers'
import {fileURLToPath} from 'node:url'

/** A file of the tests, named `*-child.ts`, run by Node as a process of its own. Killed at the end of its block. */
export class Child implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #errors: Promise<string>
  readonly #exited: Promise<[status: number | null, signal: NodeJS.Signals | null]>

  /** `wrapper` is a command that starts the command it is given, with its own arguments. */
  constructor(script: URL, args: readonly string[], wrapper: readonly string[] = []) {
    const [command = assert.fail(), ...rest] = [...wrapper, process.execPath, fileURLToPath(script), ...args]
    this.#process = spawn(command, rest, {stdio: ['pipe', 'pipe', 'pipe']})
    const {stdout, stderr} = this.#process
    assert(stdout !== null && stderr !== null)
    this.#lines = createInterface({input: stdout})[Symbol.asyncIterator]()
    this.#errors = text(stderr)
    this.#exited = once(this.#process, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  }

  get pid(): number {
    return this.#process.pid ?? assert.fail('the child did not start')
  }

  /** Gives the next line of its output; undefined when it ended. */
  async line(): Promise<string | undefined> {
    const {value, done} = await this.#lines.next()
    return done === true ? undefined : value
  }

  /** Gives all lines to the end and asserts that it ended well. */
  async finish(): Promise<string[]> {
    const lines = []
    for (let line = await this.line(); line !== undefined; line = await this.line()) lines.push(line)
    const [status, signal] = await this.#exited
    assert.equal(status, 0, `ended with ${status ?? signal}: ${lines.join('\n')}\n${await this.#errors}`)
    return lines
  }

  /** Writes to its input. */
  send(line: string): void {
    this.#process.stdin?.write(`${line}\n`)
  }

  /** Ends its input: what these children wait for before they end. */
  release(): void {
    this.#process.stdin?.end()
  }

  /** Ends it as a power cut would and waits until it is gone. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }
}
