import type {ServiceGroup} from '../client/service-group.ts'
import {behindOf, leadersOf, type Member, type MemberFence, problemsOf, roleOf} from '../registry/leadership.ts'
import {type ErrorReport, reportOf} from './error-report.ts'
import {printable} from './printable.ts'
import {type Column, localTime, table} from './render.ts'

/** The leader and the mirrors of a cell; the shape under `--json`. */
export interface GroupReport {
  /** Full name of who leads; null when nobody does, several do, or none of them could be asked. */
  readonly leader: string | null
  /** Name that whoever leads has in AHA, without the network. */
  readonly leaderAlias: string | null
  readonly members: readonly MemberReport[]
  /** What is not as it should be. */
  readonly problems: readonly string[]
  /** Why AHA could not be asked for the others. */
  readonly error?: ErrorReport
}

/** One service of a cell. Members are missing where it could not be asked. */
interface MemberReport {
  readonly name: string
  readonly role: 'leader' | 'mirror' | 'unknown'
  readonly online: boolean
  readonly promotable: boolean
  readonly address: string | null
  readonly runId: string | null
  readonly ready?: boolean
  /** Index of the next change in its log, and how many a mirror has still to get. */
  readonly nexusIndex?: number
  readonly behind?: number
  /** URL that it mirrors; null for a leader. */
  readonly mirror?: string | null
  /** Whether a mirror has a connection to its leader. */
  readonly uplink?: boolean
  readonly readOnly?: boolean
  readonly version?: string
  readonly synapseVersion?: string
  readonly startedAt?: string | null
  /** What keeps it from leading. */
  readonly fenced?: FenceReport
  /** Why it could not be asked although it is online. */
  readonly error?: ErrorReport
}

/** Another service of the cell was promoted in its place by force. */
interface FenceReport {
  readonly leader: string
  readonly since: string
  /** How often it has asked for the name of the leader, and when last. */
  readonly refused: number
  readonly lastRefused: string | null
}

/** Makes the report of a cell's services. */
export function groupReport({members, leaderAlias, error, isListed}: ServiceGroup): GroupReport {
  const [leader, another] = leadersOf(members)
  return {
    leader: another === undefined ? (leader?.name ?? null) : null,
    leaderAlias,
    members: members.map((member) => memberReport(member, members)),
    problems: isListed ? problemsOf(members) : [],
    ...(error === undefined ? {} : {error: reportOf(error)}),
  }
}

function memberReport(member: Member, members: readonly Member[]): MemberReport {
  const {name, isOnline, isPromotable, address, runId, state, error, fence} = member
  const behind = behindOf(member, members)
  return {
    name,
    role: roleOf(member),
    online: isOnline,
    promotable: isPromotable,
    address,
    runId,
    ...(fence === undefined ? {} : {fenced: fenceReport(fence)}),
    ...(error === undefined ? {} : {error: reportOf(error)}),
    ...(behind === undefined ? {} : {behind}),
    ...(state === undefined
      ? {}
      : {
          ready: state.isReady,
          nexusIndex: state.nexusIndex,
          mirror: state.mirror,
          ...(state.isActive ? {} : {uplink: state.hasUplink}),
          readOnly: state.isReadOnly,
          version: state.version,
          synapseVersion: state.synapseVersion,
          startedAt: state.startedMs === null ? null : new Date(state.startedMs).toISOString(),
        }),
  }
}

function fenceReport({leader, sinceMs, refused, lastMs}: MemberFence): FenceReport {
  const lastRefused = lastMs === null ? null : new Date(lastMs).toISOString()
  return {leader, since: new Date(sinceMs).toISOString(), refused, lastRefused}
}

const COLUMNS: readonly Column<MemberReport>[] = [
  {header: 'name', value: ({name}) => name},
  {header: 'role', value: ({role, online}) => (online ? role : 'offline')},
  {header: 'ready', value: ({ready}) => yesNo(ready)},
  {header: 'index', value: ({nexusIndex}) => numberText(nexusIndex), align: 'right'},
  {header: 'behind', value: ({behind}) => numberText(behind), align: 'right'},
  {header: 'version', value: ({version}) => version ?? '-'},
  {
    header: 'started',
    value: ({startedAt}) => (typeof startedAt === 'string' ? localTime(Date.parse(startedAt)) : '-'),
  },
  {header: 'address', value: ({address}) => address ?? '-'},
]

/** Shows the leader and the mirrors of a cell, and why some could not be asked. */
export function groupText({members, error}: GroupReport): string {
  const refused = members.flatMap((member) =>
    member.error === undefined ? [] : [`${member.name} could not be asked: ${member.error.message}`],
  )
  const unlisted = error === undefined ? [] : [`the other services of the cell are not known: ${error.message}`]
  return [
    table(members, COLUMNS),
    ...[...unlisted, ...refused, ...fencedLines(members)].map((line) => printable(line)),
  ].join('\n')
}

function fencedLines(members: readonly MemberReport[]): readonly string[] {
  return members.flatMap(({name, fenced}) => {
    if (fenced === undefined) return []
    const {leader, since, refused, lastRefused} = fenced
    const last = lastRefused === null ? '' : `, last at ${localTime(Date.parse(lastRefused))}`
    const times = refused === 1 ? 'once' : `${refused} times`
    const asked = refused === 0 && lastRefused === null ? '' : `; it was refused ${times}${last}`
    return [`${name} may not lead since ${localTime(Date.parse(since))}: ${leader} was promoted in its place${asked}`]
  })
}

interface Pair {
  readonly before: MemberReport | undefined
  readonly after: MemberReport
}

const PAIR_COLUMNS: readonly Column<Pair>[] = [
  {header: 'name', value: ({after}) => after.name},
  {header: 'before', value: ({before}) => stateText(before)},
  {header: 'index', value: ({before}) => numberText(before?.nexusIndex), align: 'right'},
  {header: 'behind', value: ({before}) => numberText(before?.behind), align: 'right'},
  {header: 'now', value: ({after}) => stateText(after)},
  {header: 'index', value: ({after}) => numberText(after.nexusIndex), align: 'right'},
  {header: 'behind', value: ({after}) => numberText(after.behind), align: 'right'},
]

/** Shows how the services of a cell were, and how they are. */
export function beforeAndAfter(before: GroupReport, after: GroupReport): string {
  const pairs = after.members.map((now) => ({before: before.members.find(({name}) => name === now.name), after: now}))
  return table(pairs, PAIR_COLUMNS)
}

function stateText(member: MemberReport | undefined): string {
  if (member === undefined) return '-'
  if (!member.online) return 'offline'
  return member.ready === false ? `${member.role}, not ready` : member.role
}

function numberText(value: number | undefined): string {
  return value === undefined ? '-' : String(value)
}

function yesNo(value: boolean | undefined): string {
  if (value === undefined) return '-'
  return value ? 'yes' : 'no'
}
