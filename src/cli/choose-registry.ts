import {RegistryError} from '../base/errors.ts'
import {dataDirOf, type Environment} from '../config/environment.ts'

const DEFAULT_URL = 'zmq://127.0.0.1:5556'

/** What the choice needs of DIR/run.json. */
export interface RunningServer {
  readonly zeromq: {readonly bind: string; readonly req: number | null}
}

export interface RegistryWish {
  /** What the user gave with `--url`, and as argument where a command takes one. */
  readonly url?: string | undefined
  readonly argument?: string | undefined
  readonly dir?: string | undefined
  readonly environment: Environment
  /** Reads DIR/run.json; undefined when no server runs there. */
  readonly readRunFile: (dir: string) => Promise<RunningServer | undefined>
}

export interface RegistryChoice {
  readonly url: string
  /** Why this one, for people: `--url`, `REGISTRY_URL`, the data directory, or the default. */
  readonly because: string
}

/** Decides which registry a command talks to: the URL given, else `REGISTRY_URL`, else the server of the data directory, else the default port. */
export async function chooseRegistry(wish: RegistryWish): Promise<RegistryChoice> {
  const {url, argument, dir, environment} = wish
  if (url !== undefined && argument !== undefined && url !== argument) {
    throw new RegistryError('REG_USAGE', `two registries are named: ${argument} and --url ${url}`, {
      hints: ['give one'],
    })
  }
  if (url !== undefined) return {url, because: 'from --url'}
  if (argument !== undefined) return {url: argument, because: 'as given'}
  // A directory that was named on the command line is nearer than a variable.
  if (dir === undefined && environment.registryUrl !== undefined) {
    return {url: environment.registryUrl, because: 'from REGISTRY_URL'}
  }
  const directory = dataDirOf(dir, environment)
  const running = await wish.readRunFile(directory)
  if (running !== undefined && running.zeromq.req !== null) {
    return {url: urlOf(running.zeromq.bind, running.zeromq.req), because: `the server of ${directory}`}
  }
  if (dir !== undefined) {
    throw new RegistryError('REG_UNREACHABLE', `no registry with a request port runs on ${directory}`, {
      hints: [`registry serve ${dir}`, 'registry status --url zmq://HOST:PORT'],
      info: {dir: directory},
    })
  }
  return {url: DEFAULT_URL, because: `the default; nothing runs on ${directory}`}
}

function urlOf(bind: string, port: number): string {
  // A server that listens on all addresses is reached on this machine by loopback.
  if (bind === '0.0.0.0' || bind === '*') return `zmq://127.0.0.1:${port}`
  if (bind === '::') return `zmq://[::1]:${port}`
  return `zmq://${bind.includes(':') ? `[${bind}]` : bind}:${port}`
}
