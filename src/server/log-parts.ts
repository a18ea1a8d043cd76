import {systemClock} from '../base/clock.ts'
import type {Log} from '../base/log.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {CertDir} from '../pki/cert-dir.ts'
import type {Store} from '../store/store.ts'
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
  readonly mirroring: Pick<Mirroring, 'ledger' | 'mirrors'>
}

/** What cuts the change log of a cell. */
export interface LogParts {
  readonly keeper: LogKeeper
  readonly trim: LogTrim
}

export function openLogParts({store, changes, log, certs, servers, mirroring}: LogPartsPorts): LogParts {
  const keeper = new LogKeeper({store, changeLog: changes, clock: systemClock})
  const open = consumerOpener(certs, servers)
  const followers = () => followersOf(mirroring)
  return {keeper, trim: new LogTrim({store, changes, keeper, clock: systemClock, log, followers, open})}
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
