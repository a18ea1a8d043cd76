/** Finds out whether a cell runs on a directory, without being in its way. */
import {existsSync} from 'node:fs'
import {lstat, readdir, readFile} from 'node:fs/promises'
import {connect} from 'node:net'
import {dirname, join} from 'node:path'
import {isAside} from '../backup/aside-names.ts'
import {RegistryError, systemCode} from '../base/errors.ts'
import {type DirKind, readDirKind} from './dir-kind.ts'
import {isCellDirLocked} from './dirs.ts'
import {holdGuid} from './guid-lock.ts'

/** Longest path of a UNIX socket. */
const SOCKET_PATH_MAX = 107
const LOCKS = '/proc/locks'
/** `12: POSIX  ADVISORY  WRITE 6582 fe:00:10330573 0 EOF`; who waits for a lock has an arrow before it. */
const LOCK_LINE = /^\d+: \w+ +\w+ +\w+ (-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) \S+ \S+$/gm

export interface RunningCheck {
  /** `unknown`: there are signs of it, and no proof. */
  readonly state: 'running' | 'stopped' | 'unknown'
  /** What was looked at and what was seen, for people. */
  readonly checked: string
}

/**
 * Looks whether a cell runs on a directory. One of ours holds the lock of the directory. A Synapse service locks `cell.guid`, and it and its workers
 * lock the slabs that they have open; its socket is asked as well, for a lock is not seen from another machine.
 *
 * @throws RegistryError `REG_DIR_UNUSABLE` when the lock of a directory of ours cannot be read, `REG_STORE_FAILED` when that of a Synapse service cannot
 */
export async function checkRunning(dir: string, kind: DirKind): Promise<RunningCheck> {
  switch (kind.kind) {
    case 'registry':
      return checkRegistry(dir)
    case 'synapse':
      return await checkSynapse(dir)
    case 'empty':
    case 'strange':
    case 'absent':
      return {state: 'stopped', checked: 'nothing, for it is no cell'}
  }
}

/**
 * Makes sure that no service runs on a directory that is taken for a backup: a copy of its files would be of no moment.
 *
 * @throws RegistryError `REG_CELL_RUNS`, also when it may run; as `checkRunning`
 */
export async function assertNoService(dir: string): Promise<void> {
  const {state, checked} = await checkRunning(dir, await readDirKind(dir))
  if (state === 'stopped') return
  throw new RegistryError(
    'REG_CELL_RUNS',
    `${dir} is no backup, but the directory of a service that runs: ${checked}`,
    {
      info: {path: dir, checked},
      hints: [`back it up as it runs: registry livebackup cell://${dir}`],
    },
  )
}

function checkRegistry(dir: string): RunningCheck {
  const isRunning = existsSync(join(dir, 'lock.db')) && isCellDirLocked(dir)
  const checked = `the lock of the directory (lock.db) is ${isRunning ? 'held' : 'free'}`
  return {state: isRunning ? 'running' : 'stopped', checked}
}

async function checkSynapse(dir: string): Promise<RunningCheck> {
  const checks = [checkGuid(dir), await checkSlabs(dir), await checkSocket(join(dir, 'sock'))]
  const states = checks.map(({state}) => state)
  const state = states.find((one) => one === 'running') ?? states.find((one) => one === 'unknown') ?? 'stopped'
  return {state, checked: checks.map(({checked}) => checked).join('; ')}
}

function checkGuid(dir: string): RunningCheck {
  using hold = holdGuid(join(dir, 'cell.guid'))
  return {state: hold ? 'stopped' : 'running', checked: `cell.guid is ${hold ? 'not locked' : 'locked'}`}
}

async function checkSlabs(dir: string): Promise<RunningCheck> {
  const table = await readFile(LOCKS, 'utf8').catch((error: unknown) => ({reason: systemCode(error) ?? 'it fails'}))
  if (typeof table !== 'string') {
    return {state: 'stopped', checked: `locks of slabs were not looked at (${LOCKS}: ${table.reason})`}
  }
  const locks = [...table.matchAll(LOCK_LINE)].map(([, pid, major, minor, inode]) => ({
    pid: Number(pid),
    device: deviceOf(Number.parseInt(major ?? '', 16), Number.parseInt(minor ?? '', 16)),
    inode,
  }))
  for (const path of await lockFiles(dir)) {
    const {dev, ino} = await lstat(join(dir, path), {bigint: true})
    const held = locks.filter(({inode}) => inode === `${ino}`)
    const sure = held.find(({device}) => device === dev)
    const by = (pid: number) => (pid > 0 ? ` by process ${pid}` : '')
    if (sure) return {state: 'running', checked: `${dirname(path)} is open${by(sure.pid)} (${LOCKS})`}
    // Of a file system without a device of its own, the two numbers of the device may differ.
    const [maybe] = dev < 256n ? held : []
    if (maybe) return {state: 'unknown', checked: `${dirname(path)} may be open${by(maybe.pid)} (${LOCKS})`}
  }
  return {state: 'stopped', checked: `no slab is open (${LOCKS})`}
}

/** The kernel's number of a device, as stat gives it. */
function deviceOf(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)]
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn)
}

/** What a service of that directory and its workers lock; earlier backups below it are none of its own. */
async function lockFiles(dir: string): Promise<readonly string[]> {
  const paths = []
  const folders = ['.']
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const item of await readdir(join(dir, folder), {withFileTypes: true})) {
      const path = join(folder, item.name)
      const isOther = item.name === 'backups' || item.name === 'tmp' || isAside(item.name)
      if (item.isDirectory() && !isOther) folders.push(path)
      if (item.isFile() && item.name === 'lock.mdb') paths.push(path)
    }
  }
  return paths
}

async function checkSocket(path: string): Promise<RunningCheck> {
  if (!existsSync(path)) return {state: 'stopped', checked: 'there is no socket'}
  if (Buffer.byteLength(path) > SOCKET_PATH_MAX) {
    return {state: 'stopped', checked: 'its socket was not asked, for its path is too long'}
  }
  const code = await connectTo(path)
  if (code === undefined) return {state: 'running', checked: 'its socket answers'}
  const isNobody = code === 'ECONNREFUSED' || code === 'ENOENT'
  return {state: isNobody ? 'stopped' : 'unknown', checked: `its socket does not answer (${code})`}
}

/** Gives undefined when somebody listens, else the code of what the system says. */
function connectTo(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.once('error', (error) => resolve(systemCode(error) ?? 'it fails'))
  })
}
