/**
 * The hash chain of the change log.
 *
 * The hash of an entry is SHA-256, written as 64 lower-case hex digits, over the UTF-8 bytes of this text:
 *
 *     previous hash \n offset \n epoch \n timeMs \n length of actor \n actor change
 *
 * There is no blank and no line feed but those shown as `\n`. Numbers are decimal. The length of the actor, in UTF-16 units as JavaScript
 * counts them, says where the actor ends and the change begins, whatever stands in them: two different entries never give the same text.
 * The entry with offset 0 has 64 zeros as its previous hash.
 *
 * Worked example: the first entry of a store, decided at 1700000000000 in epoch 1 by `zmq:anon/6b`, with the change `{"kind":"x"}`. The text is
 *
 *     0000000000000000000000000000000000000000000000000000000000000000
 *     0
 *     1
 *     1700000000000
 *     11
 *     zmq:anon/6b{"kind":"x"}
 *
 * and the hash 401dc8ac3fa5bc9c5d70b02bd8e9d982ef36de3cbce904bbec02c7e55f610666.
 */
import {hash} from 'node:crypto'
import type {Entry, StoreHead} from './store.ts'

/** What stands before the first entry. */
export const FIRST_PREVIOUS_HASH = '0'.repeat(64)

/** Gives the hash of an entry that follows the one with `previousHash`. */
export function chainHash(
  previousHash: string,
  offset: number,
  epoch: number,
  timeMs: number,
  actor: string,
  change: string,
): string {
  return hash('sha256', `${previousHash}\n${offset}\n${epoch}\n${timeMs}\n${actor.length}\n${actor}${change}`)
}

/** A place between two entries: what was before it, and which offset comes next. */
export type ChainPlace = Pick<StoreHead, 'nextOffset' | 'lastHash'>

/** The place before the first entry of every store. */
export const CHAIN_START: ChainPlace = {nextOffset: 0, lastHash: FIRST_PREVIOUS_HASH}

export type ChainVerdict =
  | {readonly kind: 'intact'; readonly end: ChainPlace}
  /** `offset` is the first one whose entry is missing or is not what was written. */
  | {readonly kind: 'damaged'; readonly offset: number; readonly reason: string}

/**
 * Verifies that `entries` follow `from` without a gap and that each carries the right hash. To verify a long log, call it again with the
 * `end` it gave. That entries are missing at the very end shows only by comparing the last `end` with the head of the store.
 */
export function verifyChain(entries: readonly Entry[], from: ChainPlace): ChainVerdict {
  let {nextOffset, lastHash} = from
  for (const entry of entries) {
    if (entry.offset !== nextOffset) {
      return {kind: 'damaged', offset: nextOffset, reason: `entry ${nextOffset} is missing, ${entry.offset} follows`}
    }
    const expected = chainHash(lastHash, entry.offset, entry.epoch, entry.timeMs, entry.actor, entry.change)
    if (entry.hash !== expected) {
      return {kind: 'damaged', offset: nextOffset, reason: `the hash of entry ${nextOffset} is not that of its content`}
    }
    lastHash = expected
    nextOffset += 1
  }
  return {kind: 'intact', end: {nextOffset, lastHash}}
}
