import {type Fence, isUnasked, outranks} from '../../registry/fence.ts'
import {askable} from './lead-doubt.ts'
import type {LeadHeraldSettings} from './lead-herald.ts'
import type {LeadLedger} from './lead-ledger.ts'
import {askingReason, type Role} from './role.ts'

export interface StartSettings {
  /** `mirror` */
  readonly mirror: readonly string[]
  readonly lead: LeadHeraldSettings
  /** `safemode` */
  readonly isSafe: boolean
}

/**
 * Says what a member is when it starts. By its log; but one that was fenced is so still, as long as the log does not say who leads instead, and
 * one that leads and has others to ask asks them before it takes a change. In safemode it is none of all that.
 */
export function startRole(
  {visible, isLeading, others}: Pick<LeadLedger, 'visible' | 'isLeading' | 'others'>,
  fence: Fence | undefined,
  {mirror, lead: {isAlone}, isSafe}: StartSettings,
): Role {
  if (isSafe) return {kind: 'safe'}
  const {lead} = visible
  const isFenced = fence !== undefined && (lead === undefined || outranks(fence.lead, lead))
  if (isFenced && isLeading) {
    const {epoch, name, urls} = fence.lead
    return {kind: 'fenced', epoch, name, urls, isRestored: lead !== undefined && isUnasked(lead)}
  }
  if (isFenced) return {kind: 'follows', lead: fence.lead}
  // A copy of a log that names no leader is that of one which had no mirrors: the option says that it is a mirror.
  if (lead === undefined && mirror.length > 0) return {kind: 'follows', lead}
  if (!isLeading) return {kind: 'follows', lead}
  return askable({lead, others}).length > 0 && !isAlone
    ? {kind: 'confirms', reason: askingReason(lead)}
    : {kind: 'leads'}
}
