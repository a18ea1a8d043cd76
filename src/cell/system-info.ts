import {readdir, stat, statfs} from 'node:fs/promises'
import {availableParallelism, freemem, machine, platform, release, tmpdir, totalmem} from 'node:os'
import {join} from 'node:path'
import {readKernelParameters} from './kernel.ts'

/** Files that are counted; a directory with more is reported too small. */
const MAX_FILES = 100_000

export interface SystemPorts {
  /** The data directory. */
  readonly dir: string
  /** Where live backups go; need not be there. */
  readonly backupDir: string
  readonly startedMs: number
  readonly uptimeMs: number
}

/** Gives what a cell knows of the machine it runs on, by the peer's names; all sizes in bytes. */
export async function systemInfo({dir, backupDir, startedMs, uptimeMs}: SystemPorts) {
  const [volume, usage, sysctls] = await Promise.all([statfs(dir), diskUsage(dir), readKernelParameters()])
  const backup = await statfs(backupDir).catch(() => volume) // made by the first backup, in the data directory unless told otherwise
  return {
    volsize: volume.blocks * volume.bsize,
    volfree: volume.bavail * volume.bsize,
    backupvolsize: backup.blocks * backup.bsize,
    backupvolfree: backup.bavail * backup.bsize,
    cellstarttime: startedMs,
    celluptime: Math.round(uptimeMs),
    cellrealdisk: usage.allocatedBytes,
    cellapprdisk: usage.apparentBytes,
    osversion: `${platform()}-${release()}-${machine()}`,
    pyversion: '',
    totalmem: totalmem(),
    availmem: freemem(),
    cpucount: availableParallelism(),
    sysctls,
    tmpdir: tmpdir(),
    nodeversion: process.version,
  }
}

/** Adds up the files below a directory; what vanishes meanwhile counts nothing, links are not followed. */
async function diskUsage(dir: string): Promise<{readonly allocatedBytes: number; readonly apparentBytes: number}> {
  const names = await readdir(dir, {recursive: true, withFileTypes: true}).catch(() => [])
  let allocatedBytes = 0
  let apparentBytes = 0
  for (const entry of names.slice(0, MAX_FILES)) {
    if (!entry.isFile()) continue
    const found = await stat(join(entry.parentPath, entry.name)).catch(() => undefined)
    allocatedBytes += (found?.blocks ?? 0) * 512
    apparentBytes += found?.size ?? 0
  }
  return {allocatedBytes, apparentBytes}
}
