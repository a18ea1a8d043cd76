import {chainHash, FIRST_PREVIOUS_HASH} from '../../src/store/chain.ts'
import type {Entry} from '../../src/store/store.ts'

export interface ChainWish {
  /** Offset of the first. */
  readonly from?: number
  /** Hash of the one before it. */
  readonly previous?: string
  readonly epoch?: number
  readonly text?: (offset: number) => string
  readonly timeMs?: (offset: number) => number
}

/** Makes entries that a chain proves. */
export function chainedEntries(count: number, wish: ChainWish = {}): Entry[] {
  const {from = 0, epoch = 1, text = (offset: number) => `{"kind":"x","n":${offset},"é":"\\n"}`} = wish
  const {timeMs = (offset: number) => 1_700_000_000_000 + offset} = wish
  const entries: Entry[] = []
  let previous = wish.previous ?? FIRST_PREVIOUS_HASH
  for (let offset = from; offset < from + count; offset += 1) {
    const entry = {offset, epoch, timeMs: timeMs(offset), actor: `cell/ü${offset}`, change: text(offset)}
    previous = chainHash(previous, offset, epoch, entry.timeMs, entry.actor, entry.change)
    entries.push({...entry, hash: previous})
  }
  return entries
}
