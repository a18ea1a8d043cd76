import {systemClock} from '../base/clock.ts'
import {createLog, type Log} from '../base/log.ts'
import {lockCellDir} from '../cell/dirs.ts'
import {LogTail} from '../cell/log-tail.ts'
import {mendRestore} from '../cell/restore-swap.ts'
import {dataDirOf, readEnvironment} from '../config/environment.ts'
import {loadConf} from '../config/load.ts'
import type {Conf} from '../config/options.ts'
import {admit} from './admission.ts'
import {noteWarnings, Registry, type RunningRegistry} from './running-registry.ts'

export interface ServeOptions {
  /** Data directory; without it `REGISTRY_DIR`, else the place for a user's data. */
  readonly dir?: string | undefined
  /** Options by name (`'zmq:req:port': 0`), stronger than variables and cell.yaml. */
  readonly options?: Readonly<Record<string, unknown>> | undefined
  /** What a command line gave, by name of the flag. */
  readonly flags?: Readonly<Record<string, unknown>> | undefined
  /** Ends a preboot script that runs; what starts after that is stopped by `stop`. */
  readonly signal?: AbortSignal | undefined
  /** Takes the lines of the log; without it they go to stderr. */
  readonly writeLog?: ((line: string) => void) | undefined
}

/**
 * Starts a registry: configuration, directory lock, preboot script, store, users, ZeroMQ, Telepath and HTTPS listeners, run.json, in this
 * order; `stop` goes back in reverse.
 *
 * @throws RegistryError `REG_CONFIG_INVALID`, `REG_DIR_LOCKED`, `REG_DIR_UNUSABLE`, `REG_DISK_LOW`, `REG_HOOK_FAILED`, `REG_STORE_FAILED`,
 * `REG_STORE_DAMAGED`, `REG_STORE_NEWER`, `REG_CERT_INVALID`, `REG_LISTEN_FAILED`; nothing is left running or locked then.
 */
export async function serve(options: ServeOptions = {}): Promise<RunningRegistry> {
  const environment = readEnvironment()
  const dir = dataDirOf(options.dir, environment)
  const isMended = await mendRestore(dir)
  const sources = {dir, flags: options.flags ?? {}, given: options.options ?? {}}
  let loaded = await loadConf(sources)
  const logs = new LogTail()
  const log = makeLog(loaded.conf, logs, options.writeLog)
  noteWarnings(log, loaded)
  if (isMended) log.warning('restore.finished', {dir, reason: 'it was killed before its end'})
  if (environment.restoreUrl !== undefined) {
    await restoreFirst(environment.restoreUrl, {dir, log, signal: options.signal, conf: loaded.conf})
    loaded = await loadConf(sources)
  }
  const cellDir = await lockCellDir(dir, {guid: loaded.conf['cell:guid'] ?? undefined})
  try {
    const isNewer = await admit({cellDir, log, sources, signal: options.signal}, loaded)
    const now = isNewer ? await loadConf(sources) : loaded
    if (isNewer) noteWarnings(log, now)
    const registry = new Registry({cellDir, log, logs, load: () => loadConf(sources)}, now.conf)
    await registry.start(options.signal)
    return registry
  } catch (error) {
    await cellDir.close()
    throw error
  }
}

/** What is restored has a configuration of its own. */
async function restoreFirst(
  url: string,
  {dir, log, signal, conf: {mirror, clone}}: {dir: string; log: Log; signal: AbortSignal | undefined; conf: Conf},
): Promise<void> {
  const {restoreFromUrl} = await import('./restoring/restore-url.ts')
  const readConf = async (path: string) => {
    const {conf} = await loadConf({dir: path})
    return {minFreePercent: conf['limit:disk:free'] ?? 0, isMirror: conf.mirror !== null, backupDir: conf['backup:dir']}
  }
  const wallMs = () => systemClock.wallMs()
  const follows = mirror !== null ? 'mirror' : clone !== null ? 'clone' : undefined
  await restoreFromUrl(url, {dir, log, wallMs, readConf, follows, signal: signal ?? new AbortController().signal})
}

function makeLog(conf: Conf, logs: LogTail, write: ((line: string) => void) | undefined): Log {
  return createLog({
    level: conf['log:level'],
    structured: conf['log:structured'],
    clock: systemClock,
    record: (line) => logs.add(line),
    write: write ?? ((line) => process.stderr.write(`${line}\n`)),
  })
}
