/** What a member that leads by its log asks before it does, and what may be wrong with itself. */
import type {ChangeLog} from '../../nexus/change-log.ts'
import {isUnasked} from '../../registry/fence.ts'
import type {Lead, LeadMember} from '../../registry/lead.ts'
import type {LeadLedger} from './lead-ledger.ts'
import type {LeadHeard} from './lead-messages.ts'
import type {Mirrors} from './mirrors.ts'

/** Why a member must not lead though nobody else does. */
export interface Doubt {
  readonly reason: string
  /** It is so until somebody does something about it. */
  readonly isLasting: boolean
}

export interface DoubtPorts {
  readonly ledger: Pick<LeadLedger, 'member' | 'visible'>
  readonly mirrors: Pick<Mirrors, 'attached'>
  readonly changes: Pick<ChangeLog, 'head'>
}

/** Says why this member must not lead though who was asked takes it for the leader: its directory was put back, or is a copy. */
export function doubtOf(
  own: Lead,
  {member, lead, isThere, log}: LeadHeard,
  {ledger, mirrors, changes}: DoubtPorts,
): Doubt | undefined {
  if (member === ledger.member) return undefined
  const name = ledger.visible.members.get(member)?.name ?? member
  const {nextOffset} = changes.head
  const hasMore = log.epoch > own.epoch || (log.epoch === own.epoch && log.nextOffset > nextOffset)
  if (log.leader === own.member && hasMore) {
    const text = `${name} has ${log.nextOffset} entries of this member, which has ${nextOffset}: its directory was put back to an earlier moment`
    return {reason: `${text}. To lose nothing: registry promote URL --failure, on ${name}`, isLasting: true}
  }
  if (!isThere || lead?.member !== own.member || mirrors.attached.has(member)) return undefined
  return {reason: `${name} follows a server with the iden of this member: one of the two is a copy`, isLasting: false}
}

/**
 * Gives whom a member asks that leads by its log: the others, and, where it was restored, who is at the place that it has from the one that was backed up:
 * that one may live there. It has the member's own iden in the list.
 */
export function askable({
  lead,
  others,
}: {
  readonly lead: Lead | undefined
  readonly others: readonly LeadMember[]
}): readonly LeadMember[] {
  if (lead === undefined || !isUnasked(lead) || lead.urls.length === 0) return others
  const {member, name, urls} = lead
  return [...others, {member, name, urls}]
}
