import {Command} from '@oclif/core'
import {NO_PROGRESS} from '../backup/progress.ts'
import {readEnvironment} from '../config/environment.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'
import {chooseAny, chooseCell, chooseRegistry, type RegistryChoice, type RegistryWish} from './choose-registry.ts'
import {exitOf, printError, toRegistryError} from './error-report.ts'
import {Interrupt} from './interrupt.ts'
import {printableJson} from './printable.ts'
import {wantsJson} from './words.ts'
import {type WorkProgress, workProgress} from './work-progress.ts'

/** How far a long step is, for people; silent where nobody watches. */
export interface Progress extends Disposable {
  /** Says what is being done now. */
  say(text: string): void
}

const SILENT: Progress = {say() {}, [Symbol.dispose]() {}}

/**
 * What all commands share: `--json`, one form for errors and exit statuses, cancelling. Results go to stdout through `show` or `stream`;
 * everything else is talk and goes to stderr through `say`, and is not said at all under `--json`.
 */
export abstract class BaseCommand extends Command {
  static override readonly enableJsonFlag: boolean = true
  /** Exit statuses that mean something special for this command, for the reference page. */
  static readonly exits: Readonly<Record<number, string>> = {}
  readonly #interrupt = new Interrupt()
  #work: WorkProgress | undefined

  /** Aborts with REG_CANCELLED at SIGINT, SIGTERM, and when nobody reads the output any more. */
  protected get signal(): AbortSignal {
    return this.#interrupt.signal
  }

  /** Prints the result for people, unless `--json` is given; to be returned by `run`, which makes it the JSON. */
  protected show<T>(data: T, render: (data: T) => string): T {
    this.#work?.[Symbol.dispose]()
    if (!this.jsonEnabled()) printText(render(data))
    return data
  }

  /**
   * Prints items as they come: NDJSON under `--json`, else what `render` makes of each (undefined: nothing). The last line under `--json`
   * is `{"end": …}` with what the source returned, or the error. Ends early, and quietly, when nobody reads any more.
   */
  protected async stream<T, E extends object | undefined>(
    items: AsyncGenerator<T, E>,
    render: (item: T) => string | undefined,
  ): Promise<void> {
    let step = await items.next()
    for (; !step.done && !this.#interrupt.isPipeClosed; step = await items.next()) {
      const text = this.jsonEnabled() ? jsonLine(step.value) : render(step.value)
      if (text !== undefined) await writeOut(`${text}\n`, this.#interrupt.started)
    }
    if (!step.done) await items.return(undefined as never)
    else if (this.jsonEnabled()) await writeOut(`${printableJson(JSON.stringify({end: step.value ?? {}}))}\n`)
  }

  /** Writes to stdout as it is, no faster than the reader takes it. Throws when nobody reads any more. */
  protected async write(chunk: string | Uint8Array): Promise<void> {
    await writeOut(chunk, this.#interrupt.started)
    this.#interrupt.started?.throwIfAborted()
  }

  /** Says something about what is going on: on stderr, and not under `--json`. */
  protected say(text: string): void {
    if (!this.jsonEnabled()) printTalk(text)
  }

  /** Shows a spinner while something lasts; only on a terminal. */
  protected async progress(text: string): Promise<Progress> {
    if (this.jsonEnabled() || !process.stderr.isTTY) return SILENT
    const {default: ora} = await import('ora')
    const spinner = ora({text, stream: process.stderr, discardStdin: false}).start()
    return {
      say(next) {
        spinner.text = next
      },
      [Symbol.dispose]() {
        spinner.stop()
      },
    }
  }

  /** Shows how far long work is, by its bytes; only on a terminal, and until the result is shown. */
  protected workProgress(): WorkProgress {
    if (this.jsonEnabled() || !process.stderr.isTTY) return {...NO_PROGRESS, [Symbol.dispose]() {}}
    this.#work = workProgress(process.stderr)
    return this.#work
  }

  /**
   * Gives the URL of the registry or cell that the command talks to; `argument` is the URL given without a flag, where a command takes one. A
   * choice that the user did not make is said on stderr.
   */
  protected async chooseUrl(...wish: Parameters<BaseCommand['chooseUrls']>): Promise<string> {
    const [url] = await this.chooseUrls(...wish)
    return url
  }

  /** As `chooseUrl`; behind the URL stand those to go to when nobody answers there. */
  protected async chooseUrls(
    kind: 'registry' | 'cell' | 'any',
    {url, dir}: {url?: string | undefined; dir?: string | undefined},
    argument?: string,
  ): Promise<readonly [string, ...string[]]> {
    const {readRunFile} = await import('../cell/dirs.ts')
    const wish = {url, dir, argument, environment: readEnvironment(), readRunFile}
    const choice = await (kind === 'registry' ? chooseRegistry(wish) : this.#chooseCell(kind, wish))
    const isTheUsers = choice.url === url || choice.url === argument
    const what = choice.url.startsWith('zmq:') ? 'registry' : 'cell'
    if (!isTheUsers) this.say(`${what}: ${sanitizeUrl(choice.url)} (${choice.because})`)
    return [choice.url, ...(choice.more ?? [])]
  }

  async #chooseCell(kind: 'cell' | 'any', wish: RegistryWish): Promise<RegistryChoice> {
    const {firstAha, hasSocket} = await import('./find-cell.ts')
    const say = (text: string) => this.say(text)
    const cellWish = {...wish, firstAha: () => firstAha(wish.environment, say), hasSocket}
    return kind === 'any' ? chooseAny(cellWish) : chooseCell(cellWish, (this.id ?? '').replaceAll(':', ' '))
  }

  /** Sets the exit status of a check that says no; the result is still shown. */
  protected sayNo(): void {
    process.exitCode = 8
  }

  override jsonEnabled(): boolean {
    return wantsJson(this.argv)
  }

  protected override logJson(json: unknown): void {
    printText(printableJson(JSON.stringify(json, undefined, 2)))
  }

  protected override async catch(thrown: unknown): Promise<void> {
    if (this.#interrupt.isPipeClosed || isExitRequest(thrown)) return
    this.parsed = true // a command that fails while parsing is no mistake in it; oclif would warn of one under NODE_ENV=test
    const error = toRegistryError(thrown, (this.id ?? '').replaceAll(':', ' '))
    process.exitCode = exitOf(error)
    const withStack = error.code === 'REG_INTERNAL' || error.cause !== undefined
    printError(error, {json: this.jsonEnabled(), withStack: withStack && readEnvironment().isDebug})
  }

  protected override async finally(): Promise<void> {
    this.#interrupt[Symbol.dispose]()
  }
}

/** True for `this.exit(n)` of oclif, which is no error; its status was set by the one who asked. */
function isExitRequest(thrown: unknown): boolean {
  if (!(thrown instanceof Error) || !('code' in thrown) || thrown.code !== 'EEXIT') return false
  if ('oclif' in thrown && typeof thrown.oclif === 'object' && thrown.oclif !== null && 'exit' in thrown.oclif) {
    process.exitCode = Number(thrown.oclif.exit)
  }
  return true
}

/** Undefined where the item has no form in JSON: nothing is printed for it. */
function jsonLine(item: unknown): string | undefined {
  const json: string | undefined = JSON.stringify(item)
  return json === undefined ? undefined : printableJson(json)
}

function printText(text: string): void {
  if (text !== '') process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

function printTalk(text: string): void {
  process.stderr.write(text.endsWith('\n') ? text : `${text}\n`)
}

/**
 * Writes and waits until the reader can take more, so that a slow one holds up the source instead of filling the memory. Waits no longer when the
 * command is cancelled: the source is to be told at once.
 */
async function writeOut(chunk: string | Uint8Array, signal?: AbortSignal): Promise<void> {
  if (process.stdout.write(chunk) || signal?.aborted) return
  await new Promise<void>((resolve) => {
    const done = () => {
      process.stdout.off('drain', done).off('error', done).off('close', done)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    process.stdout.on('drain', done).on('error', done).on('close', done)
    signal?.addEventListener('abort', done)
  })
}
