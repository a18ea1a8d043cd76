// How long a command takes to start, as a multiple of an empty Node process: what a person waits for, and what a script pays per call.
import {spawnSync} from 'node:child_process'

const ROUNDS = 21
const root = new URL('..', import.meta.url).pathname
const launcher = `${root}bin/registry`

export interface StartupLine {
  readonly what: string
  readonly medianMs: number
  /** Times the median of `node -e 0`, measured in the same rounds. */
  readonly ratio: number
  readonly limit: number
}

const CASES = [
  {what: 'registry --version', args: ['--version'], limit: 2},
  {what: 'registry help', args: ['help'], limit: 4.5},
  {what: 'registry config explain bind', args: ['config', 'explain', 'bind'], limit: 4.5},
] as const

/** Starts each command in turn, round by round, so that a busy machine slows all of them alike; gives medians. */
export function measureStartup(): {readonly emptyMs: number; readonly lines: readonly StartupLine[]} {
  const commands = [[process.execPath, '-e', '0'], ...CASES.map(({args}) => [launcher, ...args])]
  const timesMs: number[][] = commands.map(() => [])
  for (let round = -1; round < ROUNDS; round++) {
    for (const [index, command] of commands.entries()) {
      const ms = timeOf(command)
      if (round >= 0) timesMs[index]?.push(ms) // the first round only warms the disk cache
    }
  }
  const [emptyMs = 0, ...medians] = timesMs.map(median)
  const lines = CASES.map(({what, limit}, index) => {
    const medianMs = medians[index] ?? 0
    return {what, limit, medianMs, ratio: medianMs / emptyMs}
  })
  return {emptyMs, lines}
}

function timeOf([program = '', ...args]: readonly string[]): number {
  const start = performance.now()
  const result = spawnSync(program, args, {stdio: 'ignore'})
  if (result.status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${result.status ?? result.signal}`)
  return performance.now() - start
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}
