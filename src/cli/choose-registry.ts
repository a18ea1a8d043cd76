import {RegistryError} from '../base/errors.ts'
import {shellWord} from '../base/shell-word.ts'
import {dataDirOf, type Environment} from '../config/environment.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'

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

export interface CellWish extends RegistryWish {
  /** Tells whether a cell, ours or a Synapse one, has its socket in the directory. */
  readonly hasSocket: (dir: string) => Promise<boolean>
  /** Gives the first AHA of telepath.yaml: its URL, or those of it and of its mirrors. */
  readonly firstAha: () => Promise<string | readonly string[] | undefined>
}

export interface RegistryChoice {
  readonly url: string
  /** Where to go when nobody answers there, in order. */
  readonly more?: readonly string[]
  /** Why this one, for people: `--url`, `REGISTRY_URL`, the data directory, or the default. */
  readonly because: string
}

/** Decides which registry a command talks to: the URL given, else `REGISTRY_URL`, else the server of the data directory, else the default port. */
export async function chooseRegistry(wish: RegistryWish): Promise<RegistryChoice> {
  const named = namedUrl(wish)
  if (named !== undefined) return named
  const directory = dataDirOf(wish.dir, wish.environment)
  const running = await runningRegistry(wish, directory)
  if (running !== undefined) return running
  if (wish.dir !== undefined) throw nothingRuns(wish.dir, directory, 'registry with a request port')
  return {url: DEFAULT_URL, because: `the default; nothing runs on ${directory}`}
}

/**
 * Decides which cell a command talks to: the URL given, else `REGISTRY_URL`, else the cell of the data directory, else the first AHA server
 * of telepath.yaml. `command` is named when that is none that speaks Telepath.
 */
export async function chooseCell(wish: CellWish, command: string): Promise<RegistryChoice> {
  const named = namedUrl(wish)
  if (named !== undefined) return reqTelepath(named, wish.environment, command)
  const directory = dataDirOf(wish.dir, wish.environment)
  const found = await runningCell(wish, directory)
  if (found !== undefined) return found
  if (wish.dir !== undefined) throw nothingRuns(wish.dir, directory, 'cell')
  const aha = await chosenAha(wish)
  if (aha !== undefined) return aha
  throw new RegistryError(
    'REG_UNREACHABLE',
    `no cell is named, none runs on ${directory}, and telepath.yaml names no AHA`,
    {hints: [`registry ${command} --url cell://DIR`, 'registry serve'], info: {dir: directory}},
  )
}

/** Decides whom `status` asks: as `chooseCell`, but a registry that speaks ZeroMQ only, and the default port, will do. */
export async function chooseAny(wish: CellWish): Promise<RegistryChoice> {
  const named = namedUrl(wish)
  if (named !== undefined) return named
  const directory = dataDirOf(wish.dir, wish.environment)
  const found = (await runningCell(wish, directory)) ?? (await runningRegistry(wish, directory))
  if (found !== undefined) return found
  if (wish.dir !== undefined) throw nothingRuns(wish.dir, directory, 'registry')
  const aha = await chosenAha(wish)
  if (aha !== undefined) return aha
  return {url: DEFAULT_URL, because: `the default; nothing runs on ${directory}`}
}

/** Gives what the user named; undefined when he named nothing. */
function namedUrl({url, argument, dir, environment}: RegistryWish): RegistryChoice | undefined {
  if (url !== undefined && argument !== undefined && url !== argument) {
    const text = `two registries are named: ${sanitizeUrl(argument)} and --url ${sanitizeUrl(url)}`
    throw new RegistryError('REG_USAGE', text, {hints: ['give one']})
  }
  if (url !== undefined) return {url, because: 'from --url'}
  if (argument !== undefined) return {url: argument, because: 'as given'}
  // A directory that was named on the command line is nearer than a variable.
  if (dir !== undefined || environment.registryUrl === undefined) return undefined
  return {url: environment.registryUrl, because: 'from REGISTRY_URL'}
}

async function chosenAha({firstAha}: CellWish): Promise<RegistryChoice | undefined> {
  const urls = await firstAha()
  const [url, ...more] = typeof urls === 'string' ? [urls] : (urls ?? [])
  if (url === undefined) return undefined
  return {url, ...(more.length === 0 ? {} : {more}), because: 'the first AHA server of telepath.yaml'}
}

async function runningRegistry(wish: RegistryWish, directory: string): Promise<RegistryChoice | undefined> {
  const running = await wish.readRunFile(directory)
  if (running === undefined || running.zeromq.req === null) return undefined
  return {url: urlOf(running.zeromq.bind, running.zeromq.req), because: `the server of ${directory}`}
}

async function runningCell(wish: CellWish, directory: string): Promise<RegistryChoice | undefined> {
  if (!(await wish.hasSocket(directory))) return undefined
  return {url: `cell://${directory}`, because: `the cell of ${directory}`}
}

function reqTelepath(choice: RegistryChoice, {registryUrl}: Environment, command: string): RegistryChoice {
  if (!choice.url.toLowerCase().startsWith('zmq:')) return choice
  const isVariable = choice.url === registryUrl
  throw new RegistryError(
    'REG_USAGE',
    `${command} talks to cells, by cell://, unix://, tcp://, ssl:// or aha://, and ${sanitizeUrl(choice.url)} (${choice.because}) is a ZeroMQ port`,
    {hints: [`registry ${command} --url cell://DIR`, ...(isVariable ? [`registry ${command} --dir DIR`] : [])]},
  )
}

function nothingRuns(dir: string, directory: string, what: string): RegistryError {
  return new RegistryError('REG_UNREACHABLE', `no ${what} runs on ${directory}`, {
    hints: [`registry serve ${shellWord(dir)}`, 'registry status --url zmq://HOST:PORT'],
    info: {dir: directory},
  })
}

function urlOf(bind: string, port: number): string {
  // A server that listens on all addresses is reached on this machine by loopback.
  if (bind === '0.0.0.0' || bind === '*') return `zmq://127.0.0.1:${port}`
  if (bind === '::') return `zmq://[::1]:${port}`
  return `zmq://${bind.includes(':') ? `[${bind}]` : bind}:${port}`
}
