/** What a member of a cell tells of itself and of the others: in `getCellInfo`, and as a part of its health. */
import {formatDuration} from '../../base/duration.ts'
import type {MirroringHealth} from '../../cell/health.ts'
import type {MemberFacts} from '../../cell/info.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import {sanitizeUrl} from '../../wire/telepath/url.ts'
import type {FollowerState} from './follower.ts'
import type {Mirroring} from './mirroring.ts'
import {isActive, type Role, reasonOf} from './role.ts'

/** The parts of the cell that know; `nextOffset` is that of the own log. */
export interface MemberSource {
  readonly mirroring: Pick<Mirroring, 'roles' | 'ledger' | 'mirrors' | 'state'>
  readonly nextOffset: number
  readonly epoch: number
  /** URLs of the option `mirror`. */
  readonly urls: readonly string[]
}

/** A mirror that is later than this is not what it is for. */
const LATE_MS = 10_000

interface OtherMember {
  readonly name: string
  readonly isAttached: boolean
  readonly offset: number | null
  readonly lagEntries: number | null
  readonly lagMs: number | null
}

/** Gives the facts for `getCellInfo`. */
export function memberFacts(source: MemberSource): MemberFacts {
  const {roles, ledger, state} = source.mirroring
  const {role} = roles
  const isMirror = role.kind === 'follows'
  const url = state.url ?? ledger.visible.lead?.urls[0] ?? source.urls[0]
  return {
    isActive: isActive(role),
    isSafe: role.kind === 'safe',
    isReady: isMirror ? state.isReady : role.kind === 'leads' || role.kind === 'closing',
    hasUplink: isMirror && state.isLinked,
    mirror: isMirror && url !== undefined ? sanitizeUrl(url) : null,
    told: isAlone(source) ? undefined : told(source),
  }
}

/** Gives how it does; undefined for a leader without mirrors. */
export function memberHealth(source: MemberSource): MirroringHealth | undefined {
  if (isAlone(source)) return undefined
  const {roles, state} = source.mirroring
  const {role} = roles
  switch (role.kind) {
    case 'leads':
      return leaderHealth(othersOf(source))
    case 'follows':
      return mirrorHealth(state)
    case 'confirms':
    case 'closing':
    case 'safe':
      return {status: 'degraded', mesg: reasonOf(role), data: {role: role.kind}}
    case 'fenced':
      return {
        status: 'failed',
        mesg: `${reasonOf(role)}; ${whatToDo(role)}`,
        data: {role: role.kind, epoch: role.epoch},
      }
  }
}

function whatToDo({isRestored}: Extract<Role, {readonly kind: 'fenced'}>): string {
  if (!isRestored) return 'when it does not follow by itself: registry rejoin DIR'
  const alone = 'to have this one lead instead, stop the other, then: registry promote cell://DIR --failure'
  return `it harms nobody as it is; to look at what it has, set safemode; to make a mirror of it: registry rejoin DIR; ${alone}`
}

function isAlone({mirroring: {roles, ledger, mirrors}}: MemberSource): boolean {
  return roles.leads && ledger.others.length === 0 && mirrors.attached.size === 0
}

function told(source: MemberSource): Readonly<Record<string, Value>> {
  const {roles, state, ledger} = source.mirroring
  const {role} = roles
  const {lead} = ledger.visible
  const leader = role.kind === 'fenced' ? role.name : (lead?.name ?? state.leader)
  const common = {role: role.kind, epoch: source.epoch, leader}
  if (role.kind === 'fenced') return {...common, fence_epoch: role.epoch}
  if (role.kind !== 'follows') {
    const mirrors = othersOf(source).map(({name, isAttached, offset, lagEntries, lagMs}) => {
      return {name, attached: isAttached, offset, lag_entries: lagEntries, lag_ms: lagMs}
    })
    return {...common, mirrors}
  }
  const {lagEntries, lagMs, problem} = state
  return {...common, lag_entries: lagEntries, lag_ms: lagMs, problem: problem?.reason ?? null}
}

function othersOf({mirroring: {ledger, mirrors}, nextOffset}: MemberSource): readonly OtherMember[] {
  const {attached} = mirrors
  const away = ledger.others.filter(({member}) => !attached.has(member))
  return [
    ...[...attached.values()].map(({member, name, nextOffset: offset}) => {
      const lag = mirrors.lagOf(member, nextOffset)
      return {name, isAttached: true, offset, lagEntries: lag?.entries ?? 0, lagMs: Math.round(lag?.ms ?? 0)}
    }),
    ...away.map(({name}) => ({name, isAttached: false, offset: null, lagEntries: null, lagMs: null})),
  ].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** That a mirror is away is no fault of the leader, and said all the same. */
function leaderHealth(others: readonly OtherMember[]): MirroringHealth {
  const late = others.filter(({lagMs}) => (lagMs ?? 0) > LATE_MS)
  const away = others.filter(({isAttached}) => !isAttached)
  const texts = [
    ...late.map(({name, lagEntries, lagMs}) => `${name} is ${behind(lagEntries ?? 0, lagMs ?? 0)}`),
    ...away.map(({name}) => `${name} does not follow at present`),
  ]
  const data = {role: 'leads', mirrors: others.length, attached: others.length - away.length}
  return {status: late.length === 0 ? 'nominal' : 'degraded', mesg: texts.join('; '), data}
}

function mirrorHealth(state: FollowerState): MirroringHealth {
  const {leader, isLinked, lagEntries, lagMs} = state
  const data = {role: 'follows', leader, linked: isLinked, lag_entries: lagEntries, lag_ms: lagMs}
  const mesg = mirrorTrouble(state)
  return {status: mesg === '' ? 'nominal' : 'degraded', mesg, data}
}

function mirrorTrouble({leader, isLinked, isReady, lagEntries, lagMs, problem}: FollowerState): string {
  const name = leader ?? 'its leader'
  if (problem !== undefined) {
    const since = `since ${new Date(problem.sinceMs).toISOString()}`
    return `${problem.isLasting ? 'it stands still' : `no link to ${name}`} ${since}: ${problem.reason}`
  }
  if (!isLinked) return `no link to ${name} yet`
  if (!isReady) return `it has not caught up with ${name} yet: ${behind(lagEntries, lagMs)}`
  return lagMs > LATE_MS ? `it is ${behind(lagEntries, lagMs)}` : ''
}

function behind(entries: number, ms: number): string {
  return `${entries} entries behind, ${formatDuration(ms)}`
}
