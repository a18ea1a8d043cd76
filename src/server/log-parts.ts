import {systemClock} from '../base/clock.ts'
import type {Log} from '../base/log.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {CertDir} from '../pki/cert-dir.ts'
import type {Store} from '../store/store.ts'
import {Archivers} from './archivers.ts'
import {LogKeeper} from './log-keeper.ts'
import {type LogFollower, LogTrim, type LogTrimPorts} from './log-trim.ts'
import type {Mirroring} from './mirroring/mirroring.ts'

export interface LogPartsPorts {
  readonly store: Store
  readonly changes: ChangeLog
  readonly log: Log
  readonly certs: CertDir
  /** The AHA that this cell is or belongs to, by which others who follow the log may be named. */
  readonly servers: () => readonly string[]
  /** Data directory. */
  readonly dir: string
  readonly mirroring: Pick<Mirroring, 'ledger' | 'mirrors' | 'on'>
}

/** What cuts the change log of a cell. */
export interface LogParts {
  readonly keeper: LogKeeper
  readonly trim: LogTrim
  readonly archivers: Archivers
}

export async function openLogParts(ports: LogPartsPorts): Promise<LogParts> {
  const {store, changes, log, certs, servers, mirroring} = ports
  const archivers = await openArchivers(ports)
  const onCulled = (offset: number) => archivers.noteCulled(offset)
  const keeper = new LogKeeper({store, changeLog: changes, clock: systemClock, onCulled})
  const open = consumerOpener(certs, servers)
  const followers = () => followersOf(mirroring)
  const trim = new LogTrim({store, changes, keeper, clock: systemClock, log, followers, archivers, open})
  return {keeper, trim, archivers}
}

/** Who archives the log, here and at the mirrors of this leader: a trim asks for them all. */
async function openArchivers({dir, store, changes, log, mirroring}: LogPartsPorts): Promise<Archivers> {
  const archivers = await Archivers.open({dir, nextOffset: () => changes.nextOffset, clock: systemClock, log})
  archivers.noteCulled((await store.firstOffset()) - 1)
  mirroring.on({
    reportArchivers: () => archivers.here,
    onArchivers: (member, told) => archivers.noteMember(member, told),
  })
  mirroring.mirrors.onChange((event, {member}) => {
    if (event === 'lost') archivers.noteMemberLost(member)
  })
  return archivers
}

/** Gives the members that are known; those that are away are among them. */
function followersOf({ledger, mirrors}: LogPartsPorts['mirroring']): readonly LogFollower[] {
  const {attached} = mirrors
  return ledger.others.map(({member, name}) => ({
    name,
    nextOffset: attached.get(member)?.nextOffset,
    caughtUp: (nextOffset, signal) => mirrors.caughtUp(member, nextOffset, signal),
  }))
}

/** Makes what opens those who follow the log and are no members: with the certificates of the cell, found through its AHA. */
function consumerOpener(certs: CertDir, servers: () => readonly string[]): LogTrimPorts['open'] {
  return async (url, signal, connectMs) => {
    // Loaded when it is needed: hardly ever.
    const {TeleEnv} = await import('../client/telepath/tele-env.ts')
    const known = servers()
    await using env = new TeleEnv({
      certDir: certs,
      servers: known.length === 0 ? [] : [known],
      aliases: new Map(),
      onWarning: () => undefined,
    })
    return await env.open(url, {signal, connectMs, timeoutMs: connectMs, spareLinks: 0})
  }
}
