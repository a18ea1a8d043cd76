import {systemClock} from '../base/clock.ts'
import type {RegistryError} from '../base/errors.ts'
import {createLog, type Log} from '../base/log.ts'
import {packageVersion} from '../base/package-root.ts'
import {type CellDir, lockCellDir} from '../cell/dirs.ts'
import {dataDirOf, readEnvironment} from '../config/environment.ts'
import {type ConfChange, compareConf, type LoadedConf, loadConf} from '../config/load.ts'
import type {Conf} from '../config/options.ts'
import {ChangeLog, COMMIT_LIMITS, type Trouble} from '../nexus/change-log.ts'
import {MemoryStore} from '../store/memory.ts'
import {SqliteStore} from '../store/sqlite.ts'
import type {Store} from '../store/store.ts'
import {type Ports, type Reloadable, Server} from './server.ts'

/** Largest request, bytes; what a registration may hold is less. */
const MESSAGE_BYTES = 1024 * 1024
const HANDSHAKE_MS = 10_000
/** Connections whose rate and order are remembered; a forgotten one that speaks again starts afresh. */
const CONNECTIONS = 65_536

export interface ServeOptions {
  /** Data directory; without it `REGISTRY_DIR`, else the place for a user's data. */
  readonly dir?: string | undefined
  /** Options by name (`'zmq:req:port': 0`), stronger than variables and cell.yaml. */
  readonly options?: Readonly<Record<string, unknown>> | undefined
  /** What a command line gave, by name of the flag. */
  readonly flags?: Readonly<Record<string, unknown>> | undefined
  /** Takes the lines of the log; without it they go to stderr. */
  readonly writeLog?: ((line: string) => void) | undefined
}

/** A registry that runs in this process. */
export interface RunningRegistry extends AsyncDisposable {
  readonly ports: Ports
  /** Address of the listeners. */
  readonly bind: string
  /** Data directory, absolute. */
  readonly dir: string
  /** Entries that were there at the start. */
  readonly restored: number
  /** Resolves when it has stopped: on request of a client that may, or because a part failed (then with the error). */
  readonly stopped: Promise<RegistryError | undefined>
  /** Reads the configuration again and takes over what can change in a running registry. Throws, and logs why, when nothing changes. */
  reload(): Promise<ConfChange>
  /** Answers what was taken, then closes everything. Idempotent. */
  stop(): Promise<void>
}

/**
 * Starts a registry: configuration, directory lock, store, sockets, run.json, in this order; `stop` goes back in reverse.
 *
 * @throws RegistryError `REG_CONFIG_INVALID`, `REG_DIR_LOCKED`, `REG_DIR_UNUSABLE`, `REG_STORE_FAILED`, `REG_STORE_DAMAGED`,
 * `REG_STORE_NEWER`, `REG_LISTEN_FAILED`; nothing is left running or locked then.
 */
export async function serve(options: ServeOptions = {}): Promise<RunningRegistry> {
  const dir = dataDirOf(options.dir, readEnvironment())
  const sources = {dir, flags: options.flags ?? {}, given: options.options ?? {}}
  const loaded = await loadConf(sources)
  const log = makeLog(loaded.conf, options.writeLog)
  noteWarnings(log, loaded)
  const cellDir = await lockCellDir(dir)
  try {
    const registry = new Registry(cellDir, loaded.conf, log, () => loadConf(sources))
    await registry.start()
    return registry
  } catch (error) {
    await cellDir.close()
    throw error
  }
}

class Registry implements RunningRegistry {
  readonly #cellDir: CellDir
  readonly #log: Log
  readonly #load: () => Promise<LoadedConf>
  readonly #store: Store
  readonly #changes: ChangeLog
  readonly #stopped = Promise.withResolvers<RegistryError | undefined>()
  #conf: Conf
  #server: Server | undefined
  #stopping: Promise<void> | undefined
  restored = 0

  constructor(cellDir: CellDir, conf: Conf, log: Log, load: () => Promise<LoadedConf>) {
    this.#cellDir = cellDir
    this.#conf = conf
    this.#log = log
    this.#load = load
    this.#store = conf.backend === 'memory' ? new MemoryStore() : new SqliteStore(cellDir.storePath)
    this.#changes = new ChangeLog(this.#store, {...COMMIT_LIMITS, onTrouble: (trouble) => this.#noteTrouble(trouble)})
  }

  get ports(): Ports {
    return this.#server?.ports ?? {req: null, pub: null, hb: null, rep: null}
  }

  get bind(): string {
    return this.#conf.bind
  }

  get dir(): string {
    return this.#cellDir.path
  }

  get stopped(): Promise<RegistryError | undefined> {
    return this.#stopped.promise
  }

  async start(): Promise<void> {
    this.#log.info('registry.starting', {version: packageVersion(), dir: this.dir, backend: this.#conf.backend})
    try {
      const head = await this.#store.open()
      const ports = {store: this.#store, head, changes: this.#changes}
      this.#server = await Server.start(ports, this.#settings(), this.#log)
      this.restored = this.#server.size
      await this.#cellDir.announce({
        zeromq: {bind: this.bind, ...this.ports},
        telepath: {socket: null, url: null},
        https: null,
      })
    } catch (error) {
      await this.#close()
      throw error
    }
    this.#log.info('registry.listening', {bind: this.bind, ...this.ports, services: this.restored})
  }

  async reload(): Promise<ConfChange> {
    const loaded = await this.#load().catch((error: unknown) => {
      this.#log.error('config.not-reloaded', {error})
      throw error
    })
    noteWarnings(this.#log, loaded)
    const change = compareConf(this.#conf, loaded.conf)
    const live = Object.fromEntries(change.live.map((name) => [name, loaded.conf[name]]))
    this.#conf = Object.freeze({...this.#conf, ...live})
    this.#log.setLevel(this.#conf['log:level'])
    this.#server?.reload(reloadable(this.#conf))
    this.#log.info('config.reloaded', {changed: change.live, needRestart: change.restart})
    return change
  }

  stop(): Promise<void> {
    return this.#end(undefined)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #end(error: RegistryError | undefined): Promise<void> {
    this.#stopping ??= this.#close().then(
      () => this.#stopped.resolve(error),
      (thrown: unknown) => {
        this.#stopped.resolve(error)
        throw thrown
      },
    )
    return this.#stopping
  }

  async #close(): Promise<void> {
    this.#log.info('registry.stopping', {})
    try {
      await this.#server?.stop()
    } finally {
      this.#changes.close()
      await this.#store.close()
      await this.#cellDir.close()
    }
    this.#log.info('registry.stopped', {})
  }

  #noteTrouble(trouble: Trouble | undefined): void {
    if (trouble === undefined) this.#log.info('store.recovered', {place: this.#store.place})
    else this.#log.error('store.failed', {place: this.#store.place, error: trouble.error})
  }

  #settings() {
    const conf = this.#conf
    const end = (error?: RegistryError) => {
      this.#end(error).catch((thrown: unknown) => this.#log.error('registry.stop-failed', {error: thrown}))
    }
    return {
      ...reloadable(conf),
      bind: conf.bind,
      ports: {req: conf['zmq:req:port'], pub: conf['zmq:pub:port'], hb: conf['zmq:hb:port'], rep: conf['zmq:rep:port']},
      limits: {messageBytes: MESSAGE_BYTES, hwm: conf['zmq:hwm'], handshakeMs: HANDSHAKE_MS, connections: CONNECTIONS},
      pubHwm: conf['zmq:pub:hwm'],
      uniqueTypes: conf['zmq:types:unique'],
      onTerminate: () => {
        this.#log.warning('registry.terminated-by-client', {})
        // The answer leaves first.
        setImmediate(end)
      },
      onFatal: (error: RegistryError) => {
        this.#log.critical('registry.failed', {error})
        end(error)
      },
    }
  }
}

function reloadable(conf: Conf): Reloadable {
  return {
    strategy: conf['discover:strategy'],
    graceMs: conf['lease:grace'],
    cleanupMs: conf['cleanup:interval'],
    replyWithinMs: conf['zmq:reply:within'],
    messagesPerS: conf['zmq:rate'],
    allowTerminate: conf['zmq:allow:terminate'],
  }
}

function makeLog(conf: Conf, write: ((line: string) => void) | undefined): Log {
  return createLog({
    level: conf['log:level'],
    structured: conf['log:structured'],
    clock: systemClock,
    write: write ?? ((line) => process.stderr.write(`${line}\n`)),
  })
}

function noteWarnings(log: Log, {warnings}: LoadedConf): void {
  for (const warning of warnings) log.warnOnce(`config ${warning.message}`, 'config.warning', {...warning})
}
