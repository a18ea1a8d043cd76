/**
 * Who is believed when two members say that they lead. The higher epoch is. Two can have the same one when they did not see each other: both were
 * promoted by force, or one was while the old leader gave the lead to the other. What a member took itself then counts more than what it was given,
 * because it is sure to have its entry; and of two that took it the larger iden, so that all who meet them agree.
 *
 * What a fenced member keeps over restarts stands in `fence.json`:
 *
 *     {"v":1,"epoch":7,"member":"5f…","name":"01.aha.loop.link","urls":["ssl://01.aha.loop.link:27492"],"sinceMs":1763719200000,"reason":"…"}
 */
import {parseJson} from '../base/json-parse.ts'
import {isJsonObject} from './aha-entry.ts'
import type {Lead, LeadMember} from './lead.ts'

/** What decides between two who lead. */
export type Rank = Pick<Lead, 'epoch' | 'member' | 'how'>

/** Tells whether the first is believed and not the second. */
export function outranks(one: Rank, other: Rank): boolean {
  if (one.epoch !== other.epoch) return one.epoch > other.epoch
  const [isGiven, isOtherGiven] = [one.how === 'handed-over', other.how === 'handed-over']
  return isGiven === isOtherGiven ? one.member > other.member : isOtherGiven
}

/** Why a member that led must not lead any more. */
export interface Fence extends LeadMember {
  /** Of who leads instead. */
  readonly epoch: number
  readonly sinceMs: number
  /** Why it does not follow by itself, for people; null until that is known. */
  readonly reason: string | null
}

const FENCE_VERSION = 1
const IDEN = /^[0-9a-f]{32}$/
/** Longest text and list that is read; names and URLs are far shorter. */
const MAX_TEXT = 4096
const MAX_URLS = 32

/** Gives the text of `fence.json`. */
export function encodeFence(fence: Fence): string {
  return `${JSON.stringify({v: FENCE_VERSION, ...fence})}\n`
}

/** Reads `fence.json`. Throws a `TypeError` or `SyntaxError` when it is not one. */
export function decodeFence(text: string): Fence {
  const value = parseJson(text)
  if (!isJsonObject(value) || value['v'] !== FENCE_VERSION) throw new TypeError('not a fence of version 1')
  const {epoch, member, name, urls, sinceMs, reason} = value
  if (!isEpoch(epoch)) throw new TypeError('not an epoch')
  if (typeof member !== 'string' || !IDEN.test(member)) throw new TypeError('not an iden')
  if (!isText(name) || !isTexts(urls)) throw new TypeError('not a name with URLs')
  if (typeof sinceMs !== 'number' || !(reason === null || isText(reason))) throw new TypeError('not a reason')
  return {epoch, member, name, urls, sinceMs, reason}
}

function isEpoch(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= MAX_URLS && value.every(isText)
}
