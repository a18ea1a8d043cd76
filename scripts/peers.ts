// The real Python registry and its clients, for tests and benchmarks: one virtual environment per release below .cache/peers, made when
// it is asked for and used again while it is up to date. PYTHON names another interpreter than python3.
import {execFile} from 'node:child_process'
import {access, mkdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {promisify} from 'node:util'

/** The current release, the first one with an envelope and a heartbeat port, and one with plain REQ sockets (0.7 to 0.9). */
export const PEER_VERSIONS = ['0.25.11', '0.10.0', '0.7.3'] as const
export type PeerVersion = (typeof PEER_VERSIONS)[number]

const PYZMQ = 'pyzmq==27.3.0'
const STAMP = 'installed.json'
const INSTALL_TIMEOUT_MS = 200_000

const run = promisify(execFile)
const cache = new URL('../.cache/peers/', import.meta.url).pathname

/** Path of a Python in which that release was installed before; throws an error that says how to install it. */
export async function installedPeer(version: PeerVersion): Promise<string> {
  await access(join(cache, `cgse-${version}`, STAMP)).catch((cause) => {
    throw new Error(`cgse-core ${version} is not installed: run \`npm run test:interop\``, {cause})
  })
  return pythonOf(version)
}

/** Path of a Python in which that release is installed. Installs it when needed; throws an error that says what is missing. */
export async function ensurePeer(version: PeerVersion): Promise<string> {
  const base = process.env['PYTHON'] || 'python3'
  const directory = join(cache, `cgse-${version}`)
  const python = pythonOf(version)
  const stamp = join(directory, STAMP)
  const wanted = JSON.stringify({python: await versionOf(base), requirements: requirements(version)})
  if ((await readFile(stamp, 'utf8').catch(() => '')) === wanted) return python
  await mkdir(cache, {recursive: true})
  await step(`make a virtual environment with ${base} (Debian: apt-get install python3-venv)`, base, [
    ...['-m', 'venv', '--clear', directory],
  ])
  await step(`install ${requirements(version).join(' ')} with pip`, python, [
    ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile', ...requirements(version)],
  ])
  await step(
    'import the registry client from it',
    python,
    ['-c', 'import egse.registry.client'],
    peerEnvironment(cache),
  )
  await writeFile(stamp, wanted)
  return python
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

const pythonOf = (version: PeerVersion) => join(cache, `cgse-${version}`, 'bin', 'python')

const requirements = (version: PeerVersion) => [`cgse-core==${version}`, PYZMQ]

async function versionOf(base: string): Promise<string> {
  const {stdout} = await run(base, ['-c', 'import platform; print(platform.python_version())']).catch((cause) => {
    throw new Error(`${base} does not run. Install Python 3.9 or newer, or name one with PYTHON=...`, {cause})
  })
  return stdout.trim()
}

async function step(what: string, command: string, args: readonly string[], env = process.env): Promise<void> {
  try {
    await run(command, args, {env, timeout: INSTALL_TIMEOUT_MS, killSignal: 'SIGKILL'})
  } catch (cause) {
    const output = (cause as {stderr?: string}).stderr?.trim() || String(cause)
    throw new Error(`could not ${what}:\n${output}`, {cause})
  }
}
