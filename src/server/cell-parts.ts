import type {Clock} from '../base/clock.ts'
import type {Log} from '../base/log.ts'
import type {HealthReport} from '../cell/health.ts'
import type {LogTail} from '../cell/log-tail.ts'
import type {Users} from '../cell/users.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {LogReaders} from '../nexus/log-reader.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Peer} from '../wire/telepath/share.ts'
import type {AhaParts} from './aha-parts.ts'
import type {Archivers} from './archivers.ts'
import type {Backups} from './backups.ts'
import type {Freezer} from './freezer.ts'
import type {LogKeeper} from './log-keeper.ts'
import type {LogTrim} from './log-trim.ts'
import type {Forwarder} from './mirroring/forwarder.ts'
import type {Mirroring} from './mirroring/mirroring.ts'
import type {Snapshots} from './mirroring/snapshots.ts'
import type {RegistryDesk} from './registry-desk.ts'
import type {Tasks} from './tasks.ts'

/** What the methods of the cell work with; `serve.ts` makes it. */
export interface CellParts {
  readonly users: Users
  /** The services. */
  readonly registry: Pick<RegistryDesk, 'info' | 'setMaintenance'>
  /** The change log: which offset is next, and when one is written. */
  readonly changes: Pick<ChangeLog, 'nextOffset' | 'written' | 'checks'>
  /** It is a service of an AHA. */
  readonly isMember: boolean
  /** Who reads the change log. */
  readonly entries: Pick<LogReaders, 'read' | 'placeAt'>
  /** Who leads the cell, and its mirrors. */
  readonly mirroring: Pick<Mirroring, 'roles' | 'feed' | 'moves' | 'mirrors' | 'ledger' | 'self' | 'forget'>
  /** Rotates and culls the change log. */
  readonly logKeeper: Pick<LogKeeper, 'rotate' | 'cull'>
  /** Trims it, once all who follow it have what goes. */
  readonly logTrim: Pick<LogTrim, 'state' | 'followers' | 'archivers' | 'lastToGo' | 'trim'>
  /** Who archives it. */
  readonly archivers: Pick<Archivers, 'known' | 'attach' | 'ack' | 'forget'>
  /** Copies of the store for new members. */
  readonly snapshots: Pick<Snapshots, 'read' | 'drop'>
  /** Live backups of this registry. */
  readonly backups: Pick<
    Backups,
    'run' | 'begin' | 'list' | 'remove' | 'info' | 'archive' | 'archiveNew' | 'stream' | 'noteFollowed' | 'lookAgain'
  >
  /** Undefined when AHA is off. */
  readonly aha?: AhaParts | undefined
  /** Has the leader do what alters state; undefined when this is the only member of the cell. */
  readonly forwarder?: Pick<Forwarder, 'isNeeded' | 'run'> | undefined
  /** Does what mirrors pass on. */
  readonly forwards?: Pick<ForwardDesk, 'take'> | undefined
  /** Common name of the certificates that members of the cell show each other, `root@NETWORK`; undefined without a network. */
  readonly memberName?: string | undefined
  /** Stops the changes for a snapshot of the volume. */
  readonly freezer: Pick<Freezer, 'freeze' | 'resume'>
  readonly log: Log
  readonly clock: Pick<Clock, 'wallMs'>
  /** What was logged last. */
  readonly logs: LogTail
  readonly tasks: Tasks
  /** Refuses guessers of passwords, on all listeners together. */
  readonly limiter: LoginGuard
  /** 32 hex digits: shared by all mirrors, and one for each start. */
  readonly cellIden: string
  readonly runId: string
  /** The answer to `getCellInfo`, without its `features`. */
  readonly info: () => Readonly<Record<string, Value>>
  readonly systemInfo: () => Promise<Readonly<Record<string, Value>>>
  readonly health: () => HealthReport
  /** What can be reloaded by name; each gives a value to show, or throws. */
  readonly reloads: ReadonlyMap<string, () => Promise<Value>>
  /** Begins the stop of the server; called when the answer has been handed over. */
  readonly stop: () => void
}

/** Does what members pass on, at the leader. */
interface ForwardDesk {
  take(bytes: Value, via: {readonly name: string}, signal: AbortSignal): Promise<Value>
}

/** Who failed too often is refused before a password is looked at. */
interface LoginGuard {
  /** @throws RegistryError `REG_BUSY` */
  assertAllowed(address: string, name: string): void
  countFailure(address: string, name: string): void
}

/** An open session. */
export interface Session {
  readonly id: string
  readonly peer: Peer
  /** Iden of who logged in. */
  readonly openedBy: string
  /** Iden of the user; another one after `setCellUser`. */
  userIden: string
  /** It is open at another member of the cell. */
  readonly isElsewhere?: true
}
