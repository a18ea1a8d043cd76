import type {LeadMember} from '../registry/lead.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {fieldsOf, oddAnswer} from './admin-values.ts'

/** What a member of a cell of our own is at present. */
type MemberRoleName = (typeof ROLES)[number]

const ROLES = ['leads', 'follows', 'confirms', 'closing', 'fenced', 'safe'] as const

/** A member of the cell, as one of them sees it. */
export interface ListedMember extends LeadMember {
  /** The one that was asked. */
  readonly isSelf: boolean
  /** What it is at present; of others, what the log says. */
  readonly role: MemberRoleName
  /** It is there: the one that was asked, or a mirror that follows it, or the leader that it follows. */
  readonly isOnline: boolean
  /** Had all that its leader had, once since it started; null where that is not known. */
  readonly isReady: boolean | null
  /** Next offset of its log; null where that is not known. */
  readonly nextOffset: number | null
  /** How far it is behind its leader; null for a leader, and where that is not known. */
  readonly lagEntries: number | null
  readonly lagMs: number | null
  /** When it was heard of last; epoch milliseconds. */
  readonly lastSeenMs: number | null
  readonly version: string | null
  /** Epoch of the lead that it was fenced by; null for one that is not fenced, and where that is not known. */
  readonly fenceEpoch: number | null
  /** Of a mirror that follows the one that was asked: its changes wait for a snapshot. */
  readonly isFrozen?: boolean
  /** Why the one that was asked does not lead though it did, or was restored, for people; null for others. */
  readonly reason: string | null
}

/** Tells whether a cell is one of ours, whose members tell of each other. */
export function hasMembers(cell: Pick<Callable, 'info'>): boolean {
  return cell.info.methods.has('getMembers')
}

/** Reads the list of a member. @throws RegistryError `REG_BAD_ANSWER` */
export function unpackMembers(value: Value): readonly ListedMember[] {
  if (!Array.isArray(value)) throw oddAnswer('getMembers', 'it is no list')
  return value.map((one) => readMemberEntry(fieldsOf(one, 'a member')))
}

function readMemberEntry(of: Readonly<Record<string, Value>>): ListedMember {
  const {member, name, urls, role, isSelf, isOnline, isReady} = of
  if (typeof member !== 'string' || typeof name !== 'string') throw oddAnswer('a member', 'it has no name')
  return {
    ...{member, name},
    urls: Array.isArray(urls) ? urls.filter((url) => typeof url === 'string') : [],
    role: readRole(role),
    isSelf: isSelf === true,
    isOnline: isOnline === true,
    isReady: typeof isReady === 'boolean' ? isReady : null,
    nextOffset: numberOf(of['nextOffset']),
    lagEntries: numberOf(of['lagEntries']),
    lagMs: numberOf(of['lagMs']),
    lastSeenMs: numberOf(of['lastSeenMs']),
    version: typeof of['version'] === 'string' ? of['version'] : null,
    fenceEpoch: numberOf(of['fenceEpoch']),
    reason: typeof of['reason'] === 'string' ? of['reason'] : null,
  }
}

function readRole(value: Value): MemberRoleName {
  const role = ROLES.find((known) => known === value)
  if (role === undefined) throw oddAnswer('role', 'it is not known')
  return role
}

function numberOf(value: Value): number | null {
  return typeof value === 'number' ? value : null
}
