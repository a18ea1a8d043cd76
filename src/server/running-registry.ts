import {join, resolve} from 'node:path'
import {systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {newGuid} from '../base/ids.ts'
import type {Log} from '../base/log.ts'
import {packageVersion} from '../base/package-root.ts'
import {releaseSpent} from '../base/spent-memory.ts'
import {removeLeftScratch} from '../cell/backup-scratch.ts'
import type {BootHooks} from '../cell/boot-hooks.ts'
import type {CellDir, Listeners} from '../cell/dirs.ts'
import {DiskGuard} from '../cell/disk-guard.ts'
import {ensureAdmin} from '../cell/ensure-admin.ts'
import {KernelCheck} from '../cell/kernel-check.ts'
import type {LogTail} from '../cell/log-tail.ts'
import {ModsFile} from '../cell/mods-file.ts'
import {openUserBook, type UserBook} from '../cell/user-book.ts'
import type {Users} from '../cell/users.ts'
import {type ConfChange, compareConf, type LoadedConf} from '../config/load.ts'
import type {Conf} from '../config/options.ts'
import {checkAhaUrls} from '../config/provisioned.ts'
import {ChangeLog, COMMIT_LIMITS, type Trouble} from '../nexus/change-log.ts'
import {LogReaders} from '../nexus/log-reader.ts'
import {CertDir} from '../pki/cert-dir.ts'
import {MemoryStore} from '../store/memory.ts'
import {SqliteStore} from '../store/sqlite.ts'
import type {Store, StoreHead} from '../store/store.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {bootAha} from './aha-boot.ts'
import type {AhaHost, AhaHostPorts} from './aha-host.ts'
import type {AhaMember} from './aha-member.ts'
import {ahaSettings, memberSettings} from './aha-settings.ts'
import {Backups} from './backups.ts'
import {showInAha, showInZeromq} from './bridge.ts'
import {CellHost} from './cell-host.ts'
import {forOption} from './for-option.ts'
import {Freezer} from './freezer.ts'
import {type LogParts, openLogParts} from './log-parts.ts'
import {hasStore, StoreCopier} from './mirroring/copy-store.ts'
import type {Forwarder} from './mirroring/forwarder.ts'
import {type ForwardingPorts, forwarderOf} from './mirroring/forwarding.ts'
import {Mirroring} from './mirroring/mirroring.ts'
import {loginsThrough} from './mirroring/passing.ts'
import {Snapshots} from './mirroring/snapshots.ts'
import {type Ports, Server} from './server.ts'
import {
  backedUpName,
  cellSettings,
  inauguralOf,
  mirroringSettings,
  reloadable,
  serverSettings,
  userOptions,
} from './settings.ts'

/** A registry that runs in this process. */
export interface RunningRegistry extends AsyncDisposable {
  readonly ports: Ports
  /** Address of the ZeroMQ listeners. */
  readonly bind: string
  /** Where all listeners are. */
  readonly listeners: Listeners
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

/** What a registry is made of before it starts. */
export interface RegistryParts {
  readonly cellDir: CellDir
  readonly log: Log
  readonly logs: LogTail
  readonly load: () => Promise<LoadedConf>
}

/** The registry on a data directory that this process holds: its parts, and the order in which they start and stop. */
export class Registry implements RunningRegistry {
  readonly #cellDir: CellDir
  readonly #log: Log
  readonly #logs: LogTail
  readonly #load: () => Promise<LoadedConf>
  #store: Store
  readonly #disk: DiskGuard
  readonly #kernel: KernelCheck
  readonly #certs: CertDir
  readonly #copier: StoreCopier
  readonly #freezer: Freezer
  readonly #stopped = Promise.withResolvers<RegistryError | undefined>()
  #conf: Conf
  #changes: ChangeLog | undefined
  #mirroring: Mirroring | undefined
  #forwarder: Forwarder | undefined
  #snapshots: Snapshots | undefined
  #backups: Backups | undefined
  #logParts: LogParts | undefined
  #server: Server | undefined
  #cell: CellHost | undefined
  #hooks: BootHooks | undefined
  #stopping: Promise<void> | undefined
  restored = 0

  constructor({cellDir, log, logs, load}: RegistryParts, conf: Conf) {
    this.#cellDir = cellDir
    this.#conf = conf
    this.#log = log
    this.#logs = logs
    this.#load = load
    this.#kernel = new KernelCheck(log)
    const hold = (name: string, reason: string) => this.#changes?.hold(name, reason)
    const release = (name: string) => this.#changes?.release(name)
    this.#disk = new DiskGuard({dir: cellDir.path, hold, release, log}, conf['limit:disk:free'] ?? 0)
    this.#store = this.#newStore()
    this.#certs = new CertDir(cellDir.certsPath)
    this.#copier = new StoreCopier(
      {cellDir, certs: this.#certs, log, onFailed: (error) => this.#stopSoon(error)},
      mirroringSettings(conf),
    )
    // The store is another one after a copy.
    const store = {freeze: () => this.#store.freeze(), thaw: () => this.#store.thaw()}
    this.#freezer = new Freezer({store, clock: systemClock, log})
  }

  get ports(): Ports {
    return this.#server?.ports ?? {req: null, pub: null, hb: null, rep: null}
  }

  get bind(): string {
    return this.#conf.bind
  }

  get listeners(): Listeners {
    const ofCell = this.#cell?.listeners ?? {telepath: {socket: null, url: null}, provision: null, https: null}
    return {zeromq: {bind: this.bind, ...this.ports}, ...ofCell}
  }

  get dir(): string {
    return this.#cellDir.path
  }

  get stopped(): Promise<RegistryError | undefined> {
    return this.#stopped.promise
  }

  async start(signal?: AbortSignal): Promise<void> {
    this.#log.info('registry.starting', {version: packageVersion(), dir: this.dir, backend: this.#conf.backend})
    try {
      await this.#disk.start()
      await this.#runPreboot(signal)
      await this.#copyFirst(signal)
      await this.#compactFirst(signal)
      await this.#open()
      await this.#cellDir.announce(this.listeners)
      this.#hooks?.startConcurrent()
      if (this.#conf['health:sysctl:checks']) await this.#kernel.start()
    } catch (error) {
      await this.#close()
      throw error
    }
    const {telepath, provision, https} = this.listeners
    this.#log.info('registry.listening', {
      bind: this.bind,
      ...this.ports,
      telepath: telepath.url ?? telepath.socket,
      provision: provision?.url ?? null,
      https: https?.port ?? null,
      services: this.restored,
    })
  }

  async #runPreboot(signal: AbortSignal | undefined): Promise<void> {
    const dir = this.#conf['boothooks:dir']
    if (dir === null || this.#conf.safemode) return
    const {BootHooks} = await import('../cell/boot-hooks.ts')
    this.#hooks = await BootHooks.find({dir, cellDir: this.dir, log: this.#log})
    await this.#hooks.runPreboot(signal)
  }

  #newStore(): Store {
    return this.#conf.backend === 'memory' ? new MemoryStore() : new SqliteStore(this.#cellDir.storePath)
  }

  /** A new directory of a mirror gets the store of another member before anything is opened. */
  async #copyFirst(signal: AbortSignal | undefined): Promise<void> {
    const {mirror: urls, backend, safemode} = this.#conf
    if ((urls === null && !safemode) || backend === 'memory' || (await hasStore(this.#cellDir.storePath))) return
    if (safemode || urls === null) throw nothingToShow(this.dir)
    const aha = ahaSettings(this.#conf)
    if (aha !== undefined) await bootAha({certs: this.#certs, log: this.#log, nowMs: systemClock.wallMs()}, aha)
    await forOption('mirror', [], this.#copier.copyFirst(urls, this.#conf['cell:guid'] ?? undefined, signal))
  }

  async #compactFirst(signal: AbortSignal | undefined): Promise<void> {
    const {backend, safemode, 'onboot:optimize': isWanted, 'limit:disk:free': minFree} = this.#conf
    if (!isWanted || safemode || backend === 'memory') return
    const {compactStore} = await import('./compact-store.ts')
    await compactStore(this.#cellDir.storePath, {
      log: this.#log,
      minFreePercent: minFree ?? 0,
      clock: systemClock,
      signal,
    })
  }

  /** Closes what is open, and opens it again with another store. */
  async #startAgain(placeStore: () => Promise<void>): Promise<void> {
    await this.#closeParts()
    await placeStore()
    this.#store = this.#newStore()
    await this.#open()
    await this.#cellDir.announce(this.listeners)
    this.#log.info('registry.started-again', {...this.ports, services: this.restored})
  }

  async #open(): Promise<void> {
    const head = await this.#openStore()
    const onTrouble = (trouble: Trouble | undefined) => this.#noteTrouble(trouble)
    const changes = new ChangeLog(this.#store, {...COMMIT_LIMITS, head, onTrouble})
    this.#changes = changes
    const certs = this.#certs
    const runId = newGuid()
    const mirroring = await this.#openMirroring(head, changes, {certs, run: runId})
    mirroring.on({onCulled: (leader) => this.#copyAgain(leader, mirroring), isFrozen: () => this.#freezer.isOn})
    const snapshots = await this.#openSnapshots()
    const backups = await this.#openBackups()
    const isFollowing = !mirroring.roles.leads
    const users = await openUserBook(
      {store: this.#store, changeLog: changes, log: this.#log},
      {
        ...userOptions(this.#conf),
        cellIden: this.#cellDir.guid,
        isFollowing,
        // Only a directory that begins now; in an old one it would bring back what was removed.
        inaugural: this.#cellDir.isNew && head.nextOffset === 0 ? inauguralOf(this.#conf) : undefined,
      },
    )
    const member = await this.#openMember(certs)
    member?.setLeading(!isFollowing)
    if (!isFollowing) await this.#ensureAdmins(users)
    const aha = await this.#openAha({
      ...{certs, users, store: this.#store, changeLog: changes, log: this.#log, mirroring},
      cellIden: this.#cellDir.guid,
    })
    this.#logParts = await openLogParts({
      ...{dir: this.dir, store: this.#store, changes, log: this.#log, certs, mirroring},
      servers: () => (aha === undefined ? (this.#conf['aha:registry'] ?? []) : [`cell://${this.dir}`]),
    })
    const forwarder = this.#openForwarder({mirroring, changes, store: this.#store}, users, aha)
    const ports = {store: this.#store, head, changes, mirroring, forwarder, frozen: () => this.#freezer.frozen}
    const server = await Server.start(ports, this.#settings(), this.#log)
    this.#server = server
    this.restored = server.size
    if (aha !== undefined) this.#bridge(aha, server)
    mirroring.roles.onChange(({kind}) => {
      member?.setLeading(kind === 'leads')
      if (kind === 'leads') void this.#beginToLead(users, aha)
    })
    this.#cell = await CellHost.start(
      {
        cellDir: this.#cellDir,
        users,
        changes,
        mirroring,
        forwarder,
        zeromq: (request) => server.execute(request),
        snapshots,
        backups,
        runId,
        entries: new LogReaders({store: this.#store, changes}),
        logParts: this.#logParts,
        registry: server.desk,
        freezer: this.#freezer,
        aha,
        certs,
        member,
        log: this.#log,
        logs: this.#logs,
        disk: () => this.#disk.state,
        services: () => ({all: server.size, critical: server.critical}),
        reloadConf: () => this.#reloadForCell(),
        stop: () => this.#stopSoon(),
      },
      cellSettings(this.#conf),
    )
  }

  #openStore(): Promise<StoreHead> {
    const opening = this.#store.open()
    releaseSpent() // while its thread starts there is nothing else to do
    return opening
  }

  #copyAgain(leader: string, {ledger, roles}: Mirroring): void {
    this.#copier.recopy(leader, {
      member: ledger.member,
      isFollowing: () => roles.role.kind === 'follows',
      startAgain: (placeStore) => this.#startAgain(placeStore),
    })
  }

  async #openMirroring(
    head: StoreHead,
    changes: ChangeLog,
    more: {readonly certs: CertDir; readonly run: string},
  ): Promise<Mirroring> {
    const ports = {store: this.#store, head, changes, log: this.#log, clock: systemClock, version: packageVersion()}
    const cell = {dir: this.dir, cellIden: this.#cellDir.guid}
    this.#mirroring = await Mirroring.open({...ports, ...more, ...cell}, mirroringSettings(this.#conf))
    return this.#mirroring
  }

  #openForwarder(ports: ForwardingPorts, users: UserBook, aha: AhaHost | undefined): Forwarder {
    const forwarder = forwarderOf(ports)
    users.passLoginsOn(loginsThrough(forwarder, users))
    aha?.passOn(forwarder)
    this.#forwarder = forwarder
    return forwarder
  }

  async #openSnapshots(): Promise<Snapshots> {
    const minFreePercent = () => this.#conf['limit:disk:free'] ?? 0
    const dir = join(this.dir, 'tmp')
    await removeLeftScratch(this.dir)
    this.#snapshots = await Snapshots.open({store: this.#store, dir, log: this.#log, minFreePercent})
    return this.#snapshots
  }

  async #openBackups(): Promise<Backups> {
    const {path: dir, guid: iden} = this.#cellDir
    const name = backedUpName(this.#conf)
    this.#backups = await Backups.open({
      dir,
      backupDir: resolve(dir, this.#conf['backup:dir'] ?? 'backups'),
      recordPath: this.#cellDir.backupStatePath,
      ...{store: this.#store, clock: systemClock, log: this.#log},
      about: () => ({kind: 'registry', iden, type: 'registry', name, version: packageVersion()}),
      minFreePercent: () => this.#conf['limit:disk:free'] ?? 0,
      maxAgeMs: () => this.#conf['backup:max:age'],
    })
    return this.#backups
  }

  async #reloadForCell(): Promise<Value> {
    const {live, restart} = await this.#reloadConf()
    return {changed: live, needRestart: restart}
  }

  async #openMember(certs: CertDir): Promise<AhaMember | undefined> {
    const settings = memberSettings(this.#conf)
    if (settings === undefined || this.#conf.safemode) return undefined
    const {AhaMember} = await import('./aha-member.ts')
    const mods = new ModsFile(this.dir)
    const saveUrls = async (urls: readonly string[]) => {
      await mods.set({'aha:registry': urls})
      this.#conf = Object.freeze({...this.#conf, 'aha:registry': urls})
    }
    return new AhaMember({certs, log: this.#log, checkUrls: checkAhaUrls, saveUrls}, settings)
  }

  /** Writes what the start of a leader writes. What fails is tried again by the next start. */
  async #beginToLead(users: UserBook, aha: AhaHost | undefined): Promise<void> {
    try {
      await users.lead()
      await this.#ensureAdmins(users)
      await aha?.lead()
    } catch (error) {
      this.#log.error('registry.lead-incomplete', {error})
    }
  }

  /** Who an administrator is by `aha:admin` and `aha:user` holds for any cell. */
  async #ensureAdmins(users: Users): Promise<void> {
    for (const name of [this.#conf['aha:admin'], this.#conf['aha:user']]) {
      if (name !== null) await ensureAdmin(users, name, this.#conf['aha:network'])
    }
  }

  async #openAha(ports: AhaHostPorts): Promise<AhaHost | undefined> {
    const settings = ahaSettings(this.#conf)
    if (settings === undefined) return undefined
    const host = await import('./aha-host.ts')
    return await host.AhaHost.open(ports, settings)
  }

  /** Before the listeners of AHA open: nobody is online yet. */
  #bridge({parts: {services}, provisioned}: AhaHost, {catalog, guests}: Server): void {
    if (this.#conf['bridge:zmq:to:aha']) showInAha(catalog, services, provisioned)
    if (this.#conf['bridge:aha:to:zmq']) showInZeromq(services, guests)
    services.tellAll() // a mirror believes who is online
  }

  async reload(): Promise<ConfChange> {
    const change = await this.#reloadConf()
    await this.#cell?.reloadCerts().catch((error: unknown) => {
      this.#log.error('certificates.not-reloaded', {error})
      throw error
    })
    return change
  }

  async #reloadConf(): Promise<ConfChange> {
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
    if (change.live.includes('limit:disk:free')) await this.#disk.reload(this.#conf['limit:disk:free'] ?? 0)
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
    this.#disk.stop()
    this.#kernel.stop()
    try {
      await this.#copier.stop()
      await Promise.all([this.#closeParts(), this.#hooks?.stop()])
    } finally {
      await this.#cellDir.close()
    }
    this.#log.info('registry.stopped', {})
  }

  /** Closes what `#open` opened. */
  async #closeParts(): Promise<void> {
    try {
      await this.#freezer.end()
      this.#forwarder?.close()
      await this.#mirroring?.stop()
      await Promise.all([this.#cell?.stop(), this.#server?.stop(), this.#backups?.close()])
      await this.#changes?.settled()
    } finally {
      await this.#snapshots?.close()
      await this.#logParts?.archivers.close()
      this.#changes?.close()
      await this.#store.close()
    }
  }

  #stopSoon(error?: RegistryError): void {
    this.#end(error).catch((thrown: unknown) => this.#log.error('registry.stop-failed', {error: thrown}))
  }

  #noteTrouble(trouble: Trouble | undefined): void {
    if (trouble === undefined) this.#log.info('store.recovered', {place: this.#store.place})
    else this.#log.error('store.failed', {place: this.#store.place, error: trouble.error})
  }

  #settings() {
    return {
      ...serverSettings(this.#conf),
      onTerminate: () => {
        this.#log.warning('registry.terminated-by-client', {})
        // The answer leaves first.
        setImmediate(() => this.#stopSoon())
      },
      onFatal: (error: RegistryError) => {
        this.#log.critical('registry.failed', {error})
        this.#stopSoon(error)
      },
    }
  }
}

function nothingToShow(dir: string): RegistryError {
  return new RegistryError('REG_CONFIG_INVALID', `safemode is set, and ${dir} has no data to show`, {
    info: {dir, option: 'safemode'},
    hints: ['registry serve DIR --safemode false', 'registry backup list'],
  })
}

/** Tells the log what is doubtful about a configuration. */
export function noteWarnings(log: Log, {warnings}: LoadedConf): void {
  for (const warning of warnings) log.warnOnce(`config ${warning.message}`, 'config.warning', {...warning})
}
