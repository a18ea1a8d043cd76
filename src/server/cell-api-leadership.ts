/**
 * The methods of the cell about how far the change log is, for who follows it.
 */
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, generator, method, optional, required} from './cell-method.ts'
import {packEntry} from './packed-entry.ts'

const ADMIN: Need = {kind: 'admin'}

/** Rows of the table of methods: leader, mirrors, offsets. */
export const LEADERSHIP_METHODS = {
  getNexsIndx: method(ADMIN, [], ({parts}) => parts.changes.nextOffset),
  waitNexsOffs: method(ADMIN, [required('offs'), optional('timeout')], waitForOffset),
  getMirrorUrls: method(ADMIN, [], ({parts}) => (parts.isMember ? [] : refuse('BadConfValu', NO_MIRROR_URLS))),
  getNexusChanges: generator(
    ADMIN,
    [required('offs'), optional('tellready', false), optional('wait', true)],
    (call) => changesFrom(call, call.integer('offs', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)),
    {isUnawaited: true} as const,
  ),
} as const satisfies Record<string, CellMethod>

const NO_MIRROR_URLS = 'Enumerating mirror URLs is only supported when AHA is configured'

/** True when the entry is durable; false when it is not in time. Without a time limit the caller waits until he leaves. */
async function waitForOffset(call: CellCall): Promise<boolean> {
  const offset = call.integer('offs', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
  const timeoutMs = call.timeoutMs('timeout')
  const late = timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)]
  return await call.parts.changes.written(offset, AbortSignal.any([call.signal, ...late]))
}

/** Entries below the first that is kept are passed over, as the peer does. Null: the caller is caught up. */
async function* changesFrom(call: CellCall, offset: number): AsyncGenerator<Value, void> {
  const [tellsReady, isLive] = [call.boolean('tellready'), call.boolean('wait')]
  const {entries, cellIden} = call.parts
  for await (const step of entries.read(offset, {signal: call.signal, isLive, isRaised: true})) {
    if (step.kind === 'entries') for (const entry of step.entries) yield packEntry(entry, cellIden)
    else if (tellsReady) yield null
  }
}

function refuse(telepath: 'BadConfValu', text: string): never {
  throw new RegistryError('REG_CONFLICT', text, {telepath, hints: ['registry status']})
}
