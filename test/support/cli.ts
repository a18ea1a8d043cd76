// Runs the built command line as a process, without a terminal and without what the tester's own environment says.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {tmpdir} from 'node:os'
import {NOT_CONFIRMED} from './raw-client.ts'

export const LAUNCHER = new URL('../../bin/registry', import.meta.url).pathname

export interface CliOptions {
  /** More variables; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  readonly cwd?: string
}

export interface CliResult {
  /** Null when a signal ended it. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Gives the variables that a test's process starts with: no registry, no data directory, no home of the tester. */
export function cleanEnv(more: CliOptions['env'] = {}): NodeJS.ProcessEnv {
  const nowhere = `${tmpdir()}/registry-test-nowhere`
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(REGISTRY_|SYN_|XDG_|NODE_|VITEST|DEBUG|FORCE_COLOR|NO_COLOR|CI$)/.test(name),
  )
  return {...Object.fromEntries(kept), HOME: nowhere, XDG_DATA_HOME: nowhere, ...more}
}

/** Runs `registry` with `args` to its end; once more when the registry says so, as it does while its disk is busy. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  for (;;) {
    const result = await runOnce(args, options)
    if (!`${result.stdout}${result.stderr}`.includes(NOT_CONFIRMED)) return result
  }
}

async function runOnce(args: readonly string[], {env, cwd}: CliOptions): Promise<CliResult> {
  const child = spawn(LAUNCHER, args, {cwd, env: cleanEnv(env), stdio: ['ignore', 'pipe', 'pipe']})
  const output = {stdout: '', stderr: ''}
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  const [status] = (await once(child, 'close')) as [number | null]
  return {status, ...output}
}
