/**
 * The change log for who archives it: entries as they are, from any member of the cell. `archiveLog(from)` says where the log is, then gives entries:
 *
 *     {cell, epoch, next, first, last, before, now}
 *     {entries: [[offset, epoch, hash, timeMs, actor, change], …], next, now}
 *
 * `last` is the hash of the newest entry, `before` that of the entry before `from`; both null where none is kept. Without `from` there is only the first.
 * Something comes at least once a second.
 */
import {setTimeout as delay} from 'node:timers/promises'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {LogReaders, LogStep} from '../nexus/log-reader.ts'
import type {Entry} from '../store/store.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {inMessages} from './mirroring/feed-messages.ts'
import type {RoleKeeper} from './mirroring/role.ts'

export interface ArchiveFeedPorts {
  readonly entries: Pick<LogReaders, 'read' | 'placeAt'>
  readonly changes: Pick<ChangeLog, 'nextOffset'>
  readonly roles: Pick<RoleKeeper, 'role'>
  readonly clock: Pick<Clock, 'wallMs'>
  readonly cellIden: string
}

const SPEAK_EVERY_MS = 1000
/** Who has all is given what comes in this time together: one write to his disk, and less work here. */
const GATHER_MS = 100

/**
 * Tells where the log is, and gives its entries from `from` on, as they become durable.
 *
 * @throws RegistryError `REG_FENCED` for a member whose log is not that of the cell any more; `REG_OFFSET_CULLED`; `REG_BUSY`; the reason of `signal`
 */
export async function* feedArchive(
  ports: ArchiveFeedPorts,
  from: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<Value, void> {
  assertNotFenced(ports)
  yield await startOf(ports, from)
  if (from === undefined || from > ports.changes.nextOffset) return
  const over = new AbortController()
  const steps = ports.entries.read(from, {signal: AbortSignal.any([signal, over.signal]), isLive: true})
  let coming = steps.next()
  try {
    for (;;) {
      const step = await soon(coming)
      assertNotFenced(ports)
      if (step === 'later') {
        yield messageOf(ports, [])
        continue
      }
      if (step.done === true) return
      const entries = step.value.kind === 'entries' ? step.value.entries : []
      for (const some of messagesOf(entries)) yield messageOf(ports, some)
      const next = (entries.at(-1)?.offset ?? -1) + 1
      if (next === ports.changes.nextOffset) await delay(GATHER_MS, undefined, {signal})
      coming = steps.next()
    }
  } finally {
    over.abort()
    await coming.catch(() => undefined) // it waits for the next entry, which nobody wants any more
    await steps.return()
  }
}

/** At least one: who has all is told so. */
function messagesOf(entries: readonly Entry[]): Iterable<readonly Entry[]> {
  return entries.length === 0 ? [entries] : inMessages(entries)
}

async function startOf(
  {entries, changes, clock, cellIden}: ArchiveFeedPorts,
  from: number | undefined,
): Promise<Value> {
  const {nextOffset, epoch, first, hash} = await entries.placeAt(changes.nextOffset - 1)
  const before = from === undefined || from < 1 ? null : ((await entries.placeAt(from - 1)).hash ?? null)
  return {cell: cellIden, epoch, next: nextOffset, first, last: hash ?? null, before, now: clock.wallMs()}
}

function messageOf({changes, clock}: ArchiveFeedPorts, entries: readonly Entry[]): Value {
  const packed = entries.map(({offset, epoch, hash, timeMs, actor, change}) => [
    ...[offset, epoch, hash, timeMs, actor, change],
  ])
  return {entries: packed, next: changes.nextOffset, now: clock.wallMs()}
}

type Result = IteratorResult<LogStep, void>

/** What comes, or that nothing came for a while. */
async function soon(coming: Promise<Result>): Promise<Result | 'later'> {
  const over = new AbortController()
  const later = delay(SPEAK_EVERY_MS, 'later' as const, {signal: over.signal})
  later.catch(() => undefined) // nobody waits for it any more
  try {
    return await Promise.race([coming, later])
  } finally {
    over.abort()
  }
}

/** Its log may end with what the cell never took over. */
function assertNotFenced({roles: {role}}: ArchiveFeedPorts): void {
  if (role.kind !== 'fenced') return
  const {epoch, name, urls} = role
  throw new RegistryError(
    'REG_FENCED',
    `${name} leads the cell: the log of this member is not the one of the cell any more`,
    {
      info: {epoch, name, urls},
    },
  )
}
