import type {Log} from '../base/log.ts'
import {adviseKernel, hasSwap, type KernelAdvice, readKernelParameters} from './kernel.ts'

const CHECK_EVERY_MS = 60_000

/** What is read; tests give their own. */
export interface KernelSource {
  readonly parameters: typeof readKernelParameters
  readonly hasSwap: typeof hasSwap
}

/**
 * Warns about kernel parameters that cost something (`health:sysctl:checks`), with the command that sets them, until they are right: when the
 * server starts and whenever that changes, looked at once a minute.
 */
export class KernelCheck {
  readonly #log: Pick<Log, 'warning' | 'info'>
  readonly #source: KernelSource
  #warned = ''
  #timer: NodeJS.Timeout | undefined

  constructor(log: Pick<Log, 'warning' | 'info'>, source: KernelSource = {parameters: readKernelParameters, hasSwap}) {
    this.#log = log
    this.#source = source
  }

  /** Checks now and from now on. */
  async start(): Promise<void> {
    this.#timer ??= setInterval(() => void this.check(), CHECK_EVERY_MS).unref()
    await this.check()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Gives what is to be set, and says so in the log when that is new. */
  async check(): Promise<readonly KernelAdvice[]> {
    const [parameters, swaps] = await Promise.all([this.#source.parameters(), this.#source.hasSwap()])
    const advice = adviseKernel(parameters, swaps)
    const shown = JSON.stringify(advice)
    if (shown === this.#warned) return advice
    if (advice.length === 0 && this.#warned !== '') this.#log.info('kernel.right', {})
    this.#warned = advice.length === 0 ? '' : shown
    for (const {parameter, actual, wanted, why} of advice) {
      this.#log.warning('kernel.parameter', {parameter, actual, wanted, why, run: `sysctl -w ${parameter}=${wanted}`})
    }
    return advice
  }
}
