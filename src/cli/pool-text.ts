import {isDeepStrictEqual} from 'node:util'
import type {Pool, PoolMember} from '../client/pools.ts'
import type {ChangeReport} from './holder-command.ts'
import {type Column, keyValues, localTime, table} from './render.ts'

/** A pool under `--json`. */
export interface PoolReport {
  readonly name: string
  readonly created: string
  /** Iden of the user who made it. */
  readonly creator: string
  /** Full names. */
  readonly services: readonly string[]
}

/** A pool under `--json`, and how its services are. */
export interface PoolShown extends PoolReport {
  readonly members: readonly {
    readonly service: string
    /** AHA knows a service of this name. */
    readonly registered: boolean
    readonly online: boolean
    readonly ready: boolean
    readonly address: string | null
  }[]
}

export function poolReport({name, createdMs, creator, services}: Pool): PoolReport {
  return {name, created: new Date(createdMs).toISOString(), creator, services}
}

export function poolShown(pool: Pool, members: readonly PoolMember[]): PoolShown {
  return {
    ...poolReport(pool),
    members: members.map(({service, isRegistered, isOnline, isReady, address = null}) => ({
      service,
      registered: isRegistered,
      online: isOnline,
      ready: isReady,
      address,
    })),
  }
}

/** Lays pools out in a table. */
export function poolTable(pools: readonly Pool[]): string {
  return table(pools, POOL_COLUMNS)
}

/** Shows a pool, and how its services are where that is known. */
export function poolDetails(pool: Pool, members?: readonly PoolMember[]): string {
  const pairs = keyValues([
    ['name', pool.name],
    ['created', localTime(pool.createdMs)],
    [
      'services',
      pool.services.length === 0 ? 'none yet' : members === undefined ? pool.services.join('\n') : undefined,
    ],
  ])
  return members === undefined || members.length === 0 ? pairs : `${pairs}\n\n${table(members, MEMBER_COLUMNS)}`
}

/** Reports a change; null before for a new pool, null after for one that is gone. */
export function poolChange(before: Pool | null, after: Pool | null, dryRun: boolean): ChangeReport<PoolReport> {
  const [was, is] = [before && poolReport(before), after && poolReport(after)]
  return {changed: !isDeepStrictEqual(was, is), dryRun, before: was, after: is}
}

const POOL_COLUMNS: readonly Column<Pool>[] = [
  {header: 'name', value: ({name}) => name},
  {header: 'services', value: ({services}) => services.join(', ') || '-'},
  {header: 'created', value: ({createdMs}) => localTime(createdMs)},
]

const MEMBER_COLUMNS: readonly Column<PoolMember>[] = [
  {header: 'service', value: ({service}) => service},
  {header: 'online', value: ({isOnline, isRegistered}) => (isRegistered ? yesNo(isOnline) : 'not registered')},
  {header: 'ready', value: ({isReady}) => yesNo(isReady)},
  {header: 'address', value: ({address}) => address ?? '-'},
]

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no'
}
