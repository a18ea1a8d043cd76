/**
 * Who leads and who mirrors. The services of one cell share its iden: one takes the changes, the others follow its log. A graceful promotion moves
 * the lead while both are there; a forced one makes a leader of a mirror whose leader is gone, with what it has.
 *
 * @see spec/aha.md, section 5
 */
import {type ErrorCode, RegistryError} from '../base/errors.ts'

/** What a service says of itself. */
export interface MemberState {
  /** It takes changes. */
  readonly isActive: boolean
  /** It has caught up once since it started. */
  readonly isReady: boolean
  /** A mirror has a connection to its leader. */
  readonly hasUplink: boolean
  readonly isReadOnly: boolean
  /** Index of the next change in its log. */
  readonly nexusIndex: number
  /** URL that it mirrors, without a password; null for a leader. */
  readonly mirror: string | null
  readonly version: string
  readonly synapseVersion: string
  readonly startedMs: number | null
  /** What keeps it from its work, for people. */
  readonly problem?: string | undefined
  /** Who took the lead from it while it led, and with which epoch: it does not lead and does not follow. */
  readonly outranked?: {readonly leader: string; readonly epoch: number} | undefined
}

/** One service of a cell. */
export interface Member {
  /** Full name in AHA; type and iden of the cell where it has none. */
  readonly name: string
  /** Its name without the network. */
  readonly shortName: string
  /** Which start of it; null where it does not tell. */
  readonly runId: string | null
  /** Where AHA sends callers. */
  readonly address: string | null
  /** Of a member of our own, where it is reached: the one that was asked, as it was. Others are reached by their name in AHA. */
  readonly url?: string | undefined
  /** AHA has its session. */
  readonly isOnline: boolean
  /** It may be chosen to lead when the leader gives the lead away. */
  readonly isPromotable: boolean
  /** What it said; undefined when it could not be asked. */
  readonly state: MemberState | undefined
  /** The one that was asked says that it leads, and cannot ask it. */
  readonly isSaidToLead?: boolean
  /** Why it could not be asked, when AHA says that it is online. */
  readonly error?: RegistryError
  /** What keeps it from leading. */
  readonly fence?: MemberFence
}

/** What keeps a service from leading: another one of its cell was promoted in its place by force. */
export interface MemberFence {
  /** Full name of the one that was promoted. */
  readonly leader: string
  readonly sinceMs: number
  /** How often it has asked for the name of the leader, as far as the AHA remembers, and when last. */
  readonly refused: number
  readonly lastMs: number | null
}

export type MemberRole = 'leader' | 'mirror' | 'unknown'

/** Tells what a service is, by what it says itself. */
export function roleOf({state, isSaidToLead}: Member): MemberRole {
  if (state === undefined) return isSaidToLead === true ? 'leader' : 'unknown'
  return state.isActive ? 'leader' : 'mirror'
}

/** All that take changes: one, when all is well. */
export function leadersOf(members: readonly Member[]): readonly Member[] {
  return members.filter((member) => roleOf(member) === 'leader')
}

/** How many changes a mirror has still to get; undefined for a leader, and where that cannot be known. */
export function behindOf(member: Member, members: readonly Member[]): number | undefined {
  const [leader] = leadersOf(members)
  if (leader?.state === undefined || member.state === undefined || roleOf(member) !== 'mirror') return undefined
  // Both are asked at the same time, and the mirror may be asked a little later.
  return Math.max(0, leader.state.nexusIndex - member.state.nexusIndex)
}

/** What is not as it should be with the services of a cell, for people. */
export function problemsOf(members: readonly Member[]): readonly string[] {
  const leaders = leadersOf(members)
  const isKnown = members.every(({state}) => state !== undefined)
  return [
    ...(leaders.length === 0 && isKnown ? ['nobody leads'] : []),
    ...(leaders.length > 1 ? [`${names(leaders)} lead at the same time: each has changes that the other lacks`] : []),
    ...members.flatMap((member) => problemOf(member) ?? []),
  ]
}

const AWAY: ReadonlySet<ErrorCode> = new Set(['REG_UNREACHABLE', 'REG_TIMED_OUT', 'REG_LINK_CLOSED', 'REG_BAD_ANSWER'])

function problemOf({name, isOnline, state, error}: Member): string | undefined {
  if (!isOnline) return `${name} is offline`
  // Who may not ask it knows nothing of it, which is no fault of the service.
  if (error !== undefined) return AWAY.has(error.code) ? `${name} does not answer: ${error.message}` : undefined
  if (state?.problem !== undefined) return state.problem
  if (state === undefined || state.isActive) return undefined
  if (!state.hasUplink) return `${name} has no connection to its leader`
  return state.isReady ? undefined : `${name} has not caught up yet`
}

/** A service that is to change its role, and all of its cell; `isListed` is false when no AHA could be asked for them. */
export interface Situation {
  readonly me: Member
  readonly members: readonly Member[]
  readonly isListed: boolean
  /** It has a name in AHA, which handing over needs. */
  readonly isNamed: boolean
  /** Its members keep one that led before from leading, by themselves. */
  readonly isFencing?: boolean
}

/**
 * Refuses a promotion that cannot do well.
 *
 * @throws RegistryError `REG_CONFLICT` when it is no mirror, is kept from leading, has no name, or has not caught up; `REG_UNREACHABLE` when a graceful one has no leader
 */
export function assertPromotable(situation: Situation, isForced: boolean): void {
  const {me, isNamed, isFencing = false} = situation
  const {state} = me
  if (state !== undefined && (state.isActive || state.mirror === null)) throw noMirror(situation)
  if (me.fence !== undefined) throw fenced(me.name, me.fence)
  if (isFencing && state?.problem !== undefined) throw keptBack(me, state.problem)
  if (isForced) return
  if (!isNamed) {
    throw new RegistryError(
      'REG_CONFLICT',
      `${me.name} has no name in AHA, by which its leader would hand over to it`,
      {
        telepath: 'NeedConfValu',
        hints: [
          'set aha:name and aha:network of the mirror',
          'when its leader is gone for good: registry promote URL --failure',
        ],
      },
    )
  }
  assertLeader(situation)
  if (state?.isReady === false) {
    const {nexusIndex} = state
    throw new RegistryError(
      'REG_CONFLICT',
      `${me.name} has not caught up with its leader yet: it is at index ${nexusIndex}`,
      {
        info: {name: me.name, nexusIndex},
        hints: [`registry status ${urlOf(me)} --watch`],
      },
    )
  }
}

/** It led before, and does not follow yet: what it has may be of no use to the cell. */
function keptBack({name}: Member, problem: string): RegistryError {
  return new RegistryError('REG_CONFLICT', problem, {
    telepath: 'BadState',
    info: {name},
    hints: [REJOIN, 'when who leads is gone for good: registry promote URL --failure', 'registry status URL'],
  })
}

function noMirror({me, members, isNamed}: Situation): RegistryError {
  const mirrors = members.filter((member) => roleOf(member) === 'mirror')
  const more = members.length === 1 ? ' and has no mirrors' : ' and none of its mirrors can be asked'
  return new RegistryError('REG_CONFLICT', `${me.name} is no mirror: it leads${mirrors.length > 0 ? '' : more}`, {
    telepath: 'BadConfValu',
    info: {name: me.name},
    hints: [...mirrors.map((mirror) => commandAt('promote', mirror)), statusOf(me, isNamed)],
  })
}

function fenced(name: string, {leader, sinceMs}: MemberFence): RegistryError {
  const since = new Date(sinceMs).toISOString()
  return new RegistryError(
    'REG_CONFLICT',
    `the AHA keeps ${name} from leading: ${leader} was promoted in its place at ${since}, by force`,
    {
      telepath: 'BadState',
      info: {name, leader},
      hints: [`when it mirrors the new leader: registry promote aha://${name} --allow-return`],
    },
  )
}

function statusOf(member: Member, isNamed: boolean): string {
  return `registry status ${isNamed ? urlOf(member) : 'URL'}`
}

/** Where a service is reached. */
function urlOf({name, url}: Member): string {
  return url ?? `aha://${name}`
}

/** A member of our own lets in who has the certificates of the network: those are on the machine of each member. */
function commandAt(verb: string, member: Member): string {
  const {name, url} = member
  return url === undefined
    ? `registry ${verb} ${urlOf(member)}`
    : `on the machine of ${name}: registry ${verb} cell://DIR`
}

function assertLeader({me, members, isListed}: Situation): void {
  if (isListed && leadersOf(members).length === 0) {
    const others = members.filter((member) => member !== me)
    throw noLeader(me, [`no service of its cell leads`, ...others.map(absence)].join('; '))
  }
  if (me.state?.hasUplink === false) throw noLeader(me, `it has no connection to ${me.state.mirror}`)
}

function absence({name, isOnline, error}: Member): string {
  if (!isOnline) return `${name} is offline`
  return error === undefined ? `${name} is a mirror too` : `${name} cannot be asked: ${error.message}`
}

function noLeader(member: Member, why: string): RegistryError {
  const {name} = member
  return new RegistryError('REG_UNREACHABLE', `the leader of ${name} cannot be reached: ${why}`, {
    info: {name},
    hints: [
      'start the leader, and promote again',
      `when it is gone for good: registry promote ${urlOf(member)} --failure`,
    ],
  })
}

/** What a forced promotion may do harm to, for people; with the offsets that are known. */
export function forcedWarnings({me, members, isFencing = false}: Situation): readonly string[] {
  const others = members.filter((member) => member !== me)
  const index = me.state?.nexusIndex ?? 0
  const ahead = others.filter(({state}) => state !== undefined && !state.isActive && state.nexusIndex > index)
  return [
    ...leadersOf(others).map(
      ({name, state}) =>
        `${name} leads and answers, at index ${state?.nexusIndex}: without --failure nothing is lost; with it ${isFencing ? 'it is kept from leading' : 'two lead at the same time'}`,
    ),
    `${me.name} has the changes below index ${index}: what the leader wrote from there on is lost`,
    ...ahead.map(
      ({name, state}) =>
        `${name} is ahead, at index ${state?.nexusIndex}: promote it instead, or it goes apart from the new leader`,
    ),
  ]
}

/** What a member loses that leads again although another one took the lead from it. */
export function againWarnings({me}: Situation, leader: string, epoch: number): readonly string[] {
  return [
    `${leader} took the lead from ${me.name} with epoch ${epoch}: what it and those that followed it wrote since is lost`,
    `${me.name} has the changes below index ${me.state?.nexusIndex ?? 0}, and leads with them`,
    `${leader} must be gone for good: promote nobody while it can be started`,
  ]
}

const REJOIN = 'registry rejoin DIR'

/** What to do after a forced promotion, as commands where there are some. */
export function forcedNext(
  {me, members, isFencing = false}: Situation,
  leaderAlias: string | null,
  kept: readonly string[] = [],
  /** How they are since; as before when absent. */
  after: readonly Member[] = members,
): readonly string[] {
  const following = new Set(
    after.flatMap((member) => (roleOf(member) === 'mirror' && member.isOnline ? member.name : [])),
  )
  const old = members.filter((member) => member !== me && !following.has(member.name))
  if (isFencing)
    return old.flatMap(({name}) => [
      `${name} follows when it is back, if it has nothing that ${me.name} lacks; else, on its machine:`,
      REJOIN,
    ])
  return old.flatMap(({name, shortName}) => [
    kept.includes(name)
      ? `${name} cannot have the name ${leaderAlias} again, but is reached by its own if it starts as it is. Empty its directory, then:`
      : `${name} must not start again as it is: it would lead beside ${me.name}. Empty its directory, then:`,
    `registry provision service ${shortName}${leaderAlias === null ? '' : ` --mirror ${leaderAlias}`}`,
  ])
}

/**
 * Refuses a demotion that cannot do well; gives who can take over, the one that is furthest first.
 *
 * @throws RegistryError `REG_CONFLICT` when it does not lead, or nobody can take over
 */
export function assertDemotable(situation: Situation): readonly Member[] {
  const {me, members, isNamed, isListed} = situation
  const {state} = me
  if (state?.isActive === false) {
    throw new RegistryError('REG_CONFLICT', `${me.name} does not lead: it mirrors ${state.mirror}`, {
      telepath: 'BadState',
      info: {name: me.name},
      hints: leadersOf(members).map((leader) => commandAt('demote', leader)),
    })
  }
  const heirs = members.filter((member) => member !== me && whyNoHeir(member) === undefined)
  if (isNamed && (heirs.length > 0 || !isListed)) return heirs.toSorted((a, b) => indexOf(b) - indexOf(a))
  const reasons = members.flatMap((member) => (member === me ? [] : `; ${member.name} ${whyNoHeir(member)}`))
  throw new RegistryError('REG_CONFLICT', `${me.name} has no mirror that could lead${reasons.join('')}`, {
    telepath: 'BadState',
    info: {name: me.name},
    hints: [statusOf(me, isNamed), 'registry provision service NAME --mirror LEADER'],
  })
}

function whyNoHeir({isOnline, isPromotable, state, error}: Member): string | undefined {
  if (!isOnline) return 'is offline'
  if (!isPromotable) return 'is not promotable'
  if (error !== undefined) return AWAY.has(error.code) ? 'does not answer' : undefined
  if (state?.isActive === true) return 'leads too'
  return state?.isReady === false ? 'has not caught up' : undefined
}

function indexOf({state}: Member): number {
  return state?.nexusIndex ?? -1
}

function names(members: readonly Member[]): string {
  return members.map(({name}) => name).join(' and ')
}
