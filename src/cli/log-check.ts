import {RegistryError} from '../base/errors.ts'
import {fieldsOf, listOf, oddAnswer} from '../client/admin-values.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import type {LogCheck, RegistryStatus} from './status-report.ts'

/** No limit: a log of a million entries takes a while. */
const NO_LIMIT_MS = 0

/** Has a registry of this software check its change log; undefined for other cells, which cannot, and for who may not ask. */
export async function readLogCheck(cell: Callable, signal: AbortSignal): Promise<LogCheck | undefined> {
  if (!cell.info.methods.has('checkLog')) return undefined
  try {
    return readCheck(await cell.call('checkLog', {signal, timeoutMs: NO_LIMIT_MS}))
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'REG_DENIED') return undefined
    throw error
  }
}

function readCheck(value: Value): LogCheck {
  const fields = fieldsOf(value, 'checkLog')
  // Older registries compare services only.
  const {first, next, damage, services, differing, records = null, differingRecords = []} = fields
  return {
    first: numberOf('first', first),
    next: numberOf('next', next),
    damage: damage === null ? null : damageOf(damage),
    services: services === null ? null : numberOf('services', services),
    differing: listOf(differing, 'differing').map((seq) => numberOf('differing', seq)),
    records: records === null ? null : numberOf('records', records),
    differingRecords: listOf(differingRecords, 'differingRecords').map(String),
  }
}

/** Gives the status with what the check found: damage is a failure. */
export function withLogCheck(status: RegistryStatus, log: LogCheck | undefined): RegistryStatus {
  if (log === undefined) return status
  const isWhole = log.damage === null && log.differing.length + log.differingRecords.length === 0
  return {...status, ...(isWhole ? {} : {status: 'failed' as const}), log}
}

/** Says what the check found. */
export function logCheckText({first, next, damage, services, differing, records, differingRecords}: LogCheck): string {
  if (damage !== null) return `damaged at entry ${damage.offset}: ${damage.reason}`
  const range = next === first ? 'no entries' : `entries ${first} to ${next - 1} are whole`
  if (services === null) return `${range}; it was trimmed, so nothing was compared with it`
  const others = records === null ? '' : ` and the ${records} records`
  const odd = [...(differing.length === 0 ? [] : [`services number ${differing.join(', ')}`]), ...differingRecords]
  if (odd.length === 0) return `${range}, and leave the ${services} services${others} that are served`
  return `${range}, but do not leave what is served: see ${odd.join(', ')}`
}

function damageOf(value: Value): NonNullable<LogCheck['damage']> {
  const {offset, reason} = fieldsOf(value, 'damage')
  return {offset: numberOf('offset', offset), reason: String(reason)}
}

function numberOf(name: string, value: Value): number {
  if (typeof value === 'number') return value
  throw oddAnswer(name, 'it is not a number')
}
