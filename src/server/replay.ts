/** A change log that is brought into the store of a server that does not run: each entry is applied as a mirror applies it. */
import {LeaseClock, systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {createLog} from '../base/log.ts'
import {AuthLedger} from '../cell/auth-ledger.ts'
import {ChangeLog} from '../nexus/change-log.ts'
import {Catalog} from '../registry/catalog.ts'
import {Instance} from '../registry/instance.ts'
import {LeaseWheel} from '../registry/lease.ts'
import {readStoredService} from '../registry/service.ts'
import {CHAIN_START, type ChainPlace, verifyChain} from '../store/chain.ts'
import {SqliteStore} from '../store/sqlite.ts'
import type {Entry, Store, StoreHead} from '../store/store.ts'
import {AhaFences} from './aha-fences.ts'
import {AhaLedger} from './aha-ledger.ts'
import {AhaPools} from './aha-pools.ts'
import {AhaServerList} from './aha-server-list.ts'
import {AhaServices} from './aha-services.ts'
import {SIGNED_OWNER} from './authorities.ts'
import {LogKeeper} from './log-keeper.ts'
import {LeadLedger} from './mirroring/lead-ledger.ts'
import {Registrar} from './registrar.ts'
import {TicketLedger} from './ticket-ledger.ts'

/** Where a replay ends: with this entry, or before the first one that is later than a moment. */
export type ReplayEnd = {readonly offset: number} | {readonly timeMs: number}

export interface ReplayOptions {
  /** All entries when absent. */
  readonly last?: ReplayEnd | undefined
  readonly signal: AbortSignal
  /** Called with how many entries more are durable. */
  readonly onApplied?: (count: number) => void
}

/** Where the log of a store stands after a replay. */
export type ReplayedHead = Omit<StoreHead, 'nextSeq'>

/** Nobody waits for a single entry: large commits. */
const LIMITS = {batchMax: 2000, queueMax: 10_000}
/** Entries that are read at a time. */
const CHUNK = 1000
/** What the parts would say of a single change is not for people. */
const QUIET = createLog({level: 'CRITICAL', structured: false, clock: systemClock, write: () => undefined})

/**
 * Applies entries to the store at `storePath`, which is made when it is not there and must not be in use. They have to continue its log. Gives where
 * it stands then. When it rejects, some of them may be there.
 *
 * @throws RegistryError `REG_BACKUP_DAMAGED` when one does not follow from the one before, or cannot be applied; `info.offset` is the entry;
 * `REG_STORE_FAILED`, `REG_STORE_DAMAGED`, `REG_STORE_NEWER`; the reason of the signal
 */
export async function replayInto(
  storePath: string,
  entries: AsyncIterable<readonly Entry[]>,
  {last, signal, onApplied}: ReplayOptions,
): Promise<ReplayedHead> {
  await using store = new SqliteStore(storePath)
  const head = await store.open()
  const changes = new ChangeLog(store, {...LIMITS, head})
  changes.setSource({kind: 'replicated', reason: 'a log is replayed'})
  await joinParts(store, head, changes)
  let applied = Promise.resolve()
  try {
    for await (const chunk of entries) {
      signal.throwIfAborted()
      const wanted = last === undefined ? chunk : chunk.slice(0, endIn(chunk, last))
      // One chunk is read while the one before is written.
      await applied
      applied = changes.replicate(wanted).then(() => onApplied?.(wanted.length))
      applied.catch(() => undefined)
      if (wanted.length < chunk.length) break
    }
    await applied
    await changes.settled()
  } catch (error) {
    throw asDamage(error)
  } finally {
    changes.close()
  }
  return {...changes.head, iden: head.iden, firstOffset: await store.firstOffset()}
}

/**
 * Yields the entries of a store from an offset on, each verified against the one before it. `from` is where the log stood before.
 *
 * @throws RegistryError `REG_BACKUP_DAMAGED` when one is missing or was altered; `REG_OFFSET_CULLED`, `REG_STORE_FAILED`
 */
export async function* entriesOf(
  store: Pick<Store, 'read' | 'place'>,
  from: ChainPlace = CHAIN_START,
): AsyncGenerator<readonly Entry[], void> {
  let place = from
  for (;;) {
    const entries = await store.read(place.nextOffset, CHUNK)
    if (entries.length === 0) return
    const verdict = verifyChain(entries, place)
    if (verdict.kind === 'damaged') {
      const {offset, reason} = verdict
      const text = `the change log in ${store.place} is damaged at entry ${offset}: ${reason}`
      throw new RegistryError('REG_BACKUP_DAMAGED', text, {info: {place: store.place, offset}})
    }
    place = verdict.end
    yield entries
  }
}

/** Every part of a server that keeps something, without those who listen: no timers, no sessions, no events. */
async function joinParts(store: Store, head: StoreHead, changeLog: ChangeLog): Promise<void> {
  const ports = {store, changeLog, clock: systemClock, log: QUIET}
  await LeadLedger.open(ports, head.iden)
  await AuthLedger.open(ports, () => undefined)
  await joinServices(store, head, changeLog)
  const ledger = await AhaLedger.open(ports)
  const fences = await AhaFences.open(ports)
  const services = new AhaServices({ledger, log: QUIET, network: '', fences})
  await AhaPools.open({...ports, services})
  await AhaServerList.open(ports)
  await TicketLedger.open(ports)
  changeLog.join(SIGNED_OWNER)
  new LogKeeper(ports)
}

/** No policy of a configuration counts: whatever was decided then was allowed. */
async function joinServices(store: Store, {nextSeq}: StoreHead, log: ChangeLog): Promise<void> {
  const catalog = new Catalog('random', undefined)
  const leaseClock = new LeaseClock(systemClock, Number.POSITIVE_INFINITY)
  const nowMs = leaseClock.nowMs()
  const wheel = new LeaseWheel(nowMs)
  new Registrar(
    {store, log, catalog, wheel, leaseClock, publish: () => undefined},
    {nextSeq, uniqueTypes: false, hasGuests: false},
  )
  for await (const chunk of store.instances()) {
    for (const {seq, service: text, lastHeartbeatS} of chunk) {
      const service = readStoredService(text)
      const instance = new Instance(service, seq, lastHeartbeatS, nowMs)
      catalog.put(instance, service.labels)
      wheel.add(instance)
    }
  }
}

/** Gives how many entries of a chunk are wanted. */
function endIn(chunk: readonly Entry[], last: ReplayEnd): number {
  const isBeyond =
    'offset' in last ? ({offset}: Entry) => offset > last.offset : ({timeMs}: Entry) => timeMs > last.timeMs
  const end = chunk.findIndex(isBeyond)
  return end === -1 ? chunk.length : end
}

/** What a mirror says of its leader is said here of what was archived. */
function asDamage(error: unknown): unknown {
  if (!(error instanceof RegistryError)) return error
  if (error.code !== 'REG_HISTORY_DIFFERS' && error.code !== 'REG_BAD_ANSWER') return error
  const {offset} = error.info
  const text = `entry ${String(offset)} of the archived change log cannot be applied: ${error.message}`
  return new RegistryError('REG_BACKUP_DAMAGED', text, {info: error.info, cause: error})
}
