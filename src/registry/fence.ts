/**
 * Who is believed when two members say that they lead. The higher epoch is. Two can have the same one when they did not see each other: both were
 * promoted by force, or one was while the old leader gave the lead to the other. What a member took itself then counts more than what it was given,
 * because it is sure to have its entry; what was restored from a backup counts least, because the others went on after that; and of two that are equal
 * the larger iden, so that all who meet them agree. Who was restored and has not asked the others yet is not believed at all, whatever its epoch.
 *
 * What a fenced member keeps over restarts stands in `fence.json`:
 *
 *     {"v":1,"lead":{"member":"5f…","name":"01.aha.loop.link","urls":["ssl://01.aha.loop.link:27492"],"epoch":7,"how":"forced","from":"8a…"},
 *      "sinceMs":1763719200000,"reason":null}
 */
import {parseJson} from '../base/json-parse.ts'
import {isJsonObject} from './aha-entry.ts'
import {type Lead, type LeadWay, readLead} from './lead.ts'

/** What decides between two who lead. */
export type Rank = Pick<Lead, 'epoch' | 'member' | 'how'>

/** Of two with one epoch the higher one is believed. */
const WEIGHTS: Readonly<Record<LeadWay, number>> = {
  ...{founded: 2, forced: 2, rejoined: 2},
  ...{'handed-over': 1, confirmed: 0, restored: 0},
}

/** Tells whether the first is believed and not the second. */
export function outranks(one: Rank, other: Rank): boolean {
  if (isUnasked(one) !== isUnasked(other)) return isUnasked(other)
  if (one.epoch !== other.epoch) return one.epoch > other.epoch
  const [weight, otherWeight] = [WEIGHTS[one.how], WEIGHTS[other.how]]
  return weight === otherWeight ? one.member > other.member : weight > otherWeight
}

/** Tells whether who leads was restored from a backup, and has not asked the others yet: it must not be told of, nor take changes. */
export function isUnasked({how}: Pick<Rank, 'how'>): boolean {
  return how === 'restored'
}

/** Why a member that led must not lead any more. */
export interface Fence {
  /** Who leads instead. */
  readonly lead: Lead
  readonly sinceMs: number
  /** Why it does not follow by itself, for people; null until that is known. */
  readonly reason: string | null
}

const FENCE_VERSION = 1

/** Gives the text of `fence.json`. */
export function encodeFence(fence: Fence): string {
  return `${JSON.stringify({v: FENCE_VERSION, ...fence})}\n`
}

/** Reads `fence.json`. Throws a `TypeError` or `SyntaxError` when it is not one. */
export function decodeFence(text: string): Fence {
  const value = parseJson(text)
  if (!isJsonObject(value) || value['v'] !== FENCE_VERSION) throw new TypeError('not a fence of version 1')
  const {lead, sinceMs, reason} = value
  if (typeof sinceMs !== 'number') throw new TypeError('not a time')
  if (!(reason === null || typeof reason === 'string')) throw new TypeError('not a reason')
  return {lead: readLead(lead), sinceMs, reason}
}
