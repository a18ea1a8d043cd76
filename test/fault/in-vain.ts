import {execFile} from 'node:child_process'

const launcher = new URL('../../bin/registry', import.meta.url).pathname
const ENDED_WITHIN_MS = 150_000

interface Ended {
  readonly status: number
  readonly error: {readonly code: string; readonly message: string; readonly info: Readonly<Record<string, unknown>>}
  /** What stood on standard error. */
  readonly errors: string
}

/** Starts a server that must end by itself, by way of `wrapper`, and gives what it said. */
export function serveInVain(dir: string, wrapper: readonly string[] = []): Promise<Ended> {
  const [command = launcher, ...before] = [...wrapper, launcher]
  const args = [
    ...before,
    'serve',
    dir,
    '--zmq-req-port',
    '0',
    '--zmq-pub-port',
    '0',
    '--zmq-hb-port',
    '0',
    '--https',
    '0',
    '--json',
  ]
  return new Promise((resolve, reject) => {
    execFile(command, args, {timeout: ENDED_WITHIN_MS}, (failure, output, errors) => {
      const last = output.trim().split('\n').at(-1) ?? ''
      if (failure === null || typeof failure.code !== 'number' || !last.startsWith('{"error":')) {
        reject(new Error(`it did not fail as it should (${failure?.code ?? failure?.signal}): ${output}${errors}`))
      } else {
        resolve({status: failure.code, error: JSON.parse(last).error, errors})
      }
    })
  })
}
