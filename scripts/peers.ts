// The real Python peers, servers and clients, for tests and benchmarks: one virtual environment per release below .cache/peers, made when
// it is asked for and used again while it is up to date. PYTHON names another interpreter than python3.
import {execFile} from 'node:child_process'
import {access, mkdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {promisify} from 'node:util'

/** The current release, the first one with an envelope and a heartbeat port, and one with plain REQ sockets (0.7 to 0.9). */
export const PEER_VERSIONS = ['0.25.11', '0.10.0', '0.7.3'] as const
export type PeerVersion = (typeof PEER_VERSIONS)[number]

/** The release of Synapse that this project is held against. */
export const SYNAPSE_VERSION = '2.256.0'

const PYZMQ = 'pyzmq==27.3.0'
const STAMP = 'installed.json'
const INSTALL_TIMEOUT_MS = 300_000

const run = promisify(execFile)
const cache = new URL('../.cache/peers/', import.meta.url).pathname

/** What stands in one virtual environment. */
interface Installation {
  /** Name of its directory. */
  readonly name: string
  readonly requirements: readonly string[]
  /** Statement that works only when everything is there. */
  readonly proof: string
  /** Oldest Python that it takes. */
  readonly oldest: readonly [number, number]
}

const cgse = (version: PeerVersion): Installation => ({
  name: `cgse-${version}`,
  requirements: [`cgse-core==${version}`, PYZMQ],
  proof: 'import egse.registry.client',
  oldest: [3, 9],
})

const SYNAPSE: Installation = {
  name: `synapse-${SYNAPSE_VERSION}`,
  requirements: [`synapse==${SYNAPSE_VERSION}`],
  proof: 'import synapse.cortex, synapse.servers.aha',
  oldest: [3, 11],
}

/** Path of a Python in which that release was installed before; throws an error that says how to install it. */
export function installedPeer(version: PeerVersion): Promise<string> {
  return installed(cgse(version))
}

/** Path of a Python in which that release is installed. Installs it when needed; throws an error that says what is missing. */
export function ensurePeer(version: PeerVersion): Promise<string> {
  return ensure(cgse(version))
}

/** Path of a Python in which Synapse was installed before; throws an error that says how to install it. */
export function synapsePython(): Promise<string> {
  return installed(SYNAPSE)
}

/** Path of a Python in which Synapse is installed. Installs it when needed; throws an error that says what is missing. */
export function ensureSynapse(): Promise<string> {
  return ensure(SYNAPSE)
}

/** All releases, installed side by side; python paths by release. */
export async function ensurePeers(): Promise<Record<PeerVersion, string>> {
  const found = await Promise.all(PEER_VERSIONS.map(async (version) => [version, await ensurePeer(version)] as const))
  return Object.fromEntries(found) as Record<PeerVersion, string>
}

/** Environment of a peer's process. The peer reads it when it is imported, and writes below `home` only. */
export function peerEnvironment(home: string, settings?: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PYTHONUNBUFFERED: '1',
    HOME: home,
    PROJECT: 'CGSE',
    SITE_ID: 'TEST',
    CGSE_DATA_STORAGE_LOCATION: home,
    CGSE_CONF_DATA_LOCATION: home,
    CGSE_LOG_FILE_LOCATION: home,
    ...(settings === undefined ? {} : {CGSE_LOCAL_SETTINGS: settings}),
  }
}

const pythonOf = ({name}: Installation) => join(cache, name, 'bin', 'python')

async function installed(one: Installation): Promise<string> {
  await access(join(cache, one.name, STAMP)).catch((cause) => {
    throw new Error(`${one.requirements[0]} is not installed: run \`npm run test:interop\``, {cause})
  })
  return pythonOf(one)
}

async function ensure(one: Installation): Promise<string> {
  const base = process.env['PYTHON'] || 'python3'
  const directory = join(cache, one.name)
  const python = pythonOf(one)
  const stamp = join(directory, STAMP)
  const wanted = JSON.stringify({python: await versionOf(base, one), requirements: one.requirements})
  if ((await readFile(stamp, 'utf8').catch(() => '')) === wanted) return python
  await mkdir(cache, {recursive: true})
  await step(`make a virtual environment with ${base} (Debian: apt-get install python3-venv)`, base, [
    ...['-m', 'venv', '--clear', directory],
  ])
  await step(`install ${one.requirements.join(' ')} with pip`, python, [
    ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile', ...one.requirements],
  ])
  await step(`use ${one.requirements[0]}`, python, ['-c', one.proof], peerEnvironment(cache))
  await writeFile(stamp, wanted)
  return python
}

async function versionOf(base: string, {requirements, oldest}: Installation): Promise<string> {
  const {stdout} = await run(base, ['-c', 'import platform; print(platform.python_version())']).catch((cause) => {
    throw new Error(`${base} does not run. Install Python 3.11 or newer, or name one with PYTHON=...`, {cause})
  })
  const version = stdout.trim()
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
    const [what] = requirements
    throw new Error(
      `${what} needs Python ${oldest.join('.')} or newer; ${base} is ${version}. Name one with PYTHON=...`,
    )
  }
  return version
}

async function step(what: string, command: string, args: readonly string[], env = process.env): Promise<void> {
  try {
    await run(command, args, {env, timeout: INSTALL_TIMEOUT_MS, killSignal: 'SIGKILL'})
  } catch (cause) {
    const output = (cause as {stderr?: string}).stderr?.trim() || String(cause)
    throw new Error(`could not ${what}:\n${output}`, {cause})
  }
}
