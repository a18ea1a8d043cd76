import type {ListedMember} from '../../client/members.ts'
import type {ChangeLog} from '../../nexus/change-log.ts'
import type {Lead, LeadMember} from '../../registry/lead.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import type {LeadLedger} from './lead-ledger.ts'
import type {Mirrors} from './mirrors.ts'
import {type Role, reasonOf} from './role.ts'

export interface MemberListPorts {
  readonly ledger: Pick<LeadLedger, 'member' | 'visible'>
  readonly mirrors: Pick<Mirrors, 'attached' | 'lagOf'>
  readonly changes: Pick<ChangeLog, 'head'>
  readonly self: () => LeadMember
  readonly version: string
}

/** How the one that is asked does. */
export interface OwnState {
  readonly role: Role
  /** Whom it takes for the leader. */
  readonly lead: Lead | undefined
  /** Of a mirror. */
  readonly isLinked: boolean
  readonly isReady: boolean
  readonly lagEntries: number
  readonly lagMs: number
  readonly nowMs: number
}

/** Lists the members of a cell; the one that is asked comes first, the others by name. */
export function listMembers(ports: MemberListPorts, own: OwnState): readonly ListedMember[] {
  const {ledger, self} = ports
  const others = [...ledger.visible.members.values()]
    .filter(({member}) => member !== ledger.member)
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
  return [listSelf(ports, own, self()), ...others.map((member) => listOther(ports, own, member))]
}

function listSelf({changes, version}: MemberListPorts, own: OwnState, self: LeadMember): ListedMember {
  const {role, lagEntries, lagMs, nowMs} = own
  const isMirror = role.kind === 'follows'
  return {
    ...self,
    isSelf: true,
    role: role.kind,
    isOnline: true,
    isReady: isMirror ? own.isReady : true,
    nextOffset: changes.head.nextOffset,
    lagEntries: isMirror ? lagEntries : null,
    lagMs: isMirror ? lagMs : null,
    lastSeenMs: nowMs,
    version,
    fenceEpoch: role.kind === 'fenced' ? role.epoch : null,
    reason: role.kind === 'fenced' || role.kind === 'confirms' ? reasonOf(role) : null,
  }
}

function listOther({mirrors, changes}: MemberListPorts, own: OwnState, about: LeadMember): ListedMember {
  const {member, name, urls} = about
  const attached = mirrors.attached.get(member)
  const lag = mirrors.lagOf(member, changes.head.nextOffset)
  const isLead = own.lead?.member === member
  return {
    ...{member, name, urls},
    isSelf: false,
    role: isLead ? 'leads' : 'follows',
    isOnline: attached !== undefined || (isLead && own.isLinked),
    isReady: isLead || attached !== undefined ? true : null,
    nextOffset: attached?.nextOffset ?? (isLead && own.isLinked ? changes.head.nextOffset + own.lagEntries : null),
    lagEntries: lag?.entries ?? null,
    lagMs: lag?.ms ?? null,
    lastSeenMs: attached?.lastSeenMs ?? null,
    version: attached?.version ?? null,
    fenceEpoch: null,
    isFrozen: attached?.isFrozen ?? false,
    reason: null,
  }
}

/** Puts what a mirror knows of itself into the list of its leader. */
export function asSeenBy(own: readonly ListedMember[], listed: readonly ListedMember[]): readonly ListedMember[] {
  const [self] = own
  const others = listed.filter(({member}) => member !== self?.member).map((one) => ({...one, isSelf: false}))
  return self === undefined ? listed : [self, ...others]
}

export function packMember({urls, ...member}: ListedMember): Value {
  return {...member, urls: [...urls]}
}
