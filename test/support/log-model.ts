/** A log in which every entry follows from its offset, and what a store that has so many of them must hold: for tests that stop a store anywhere. */
import assert from 'node:assert/strict'
import {FIRST_PREVIOUS_HASH, verifyChain} from '../../src/store/chain.ts'
import type {Effect, NewEntry, Store, StoredInstance, StoreHead} from '../../src/store/store.ts'

export interface LogShape {
  /** A new segment begins each time after so many entries. */
  readonly segment: number
  /** So often the log is culled … */
  readonly every: number
  /** … down to about so many entries. */
  readonly kept: number
  /** Characters that each entry has. */
  readonly filler: number
  /** Entries of one append. */
  readonly batch: number
}

const SEQS = 40
const KEYS = 7

function effectAt(shape: LogShape, offset: number): Effect {
  if (offset % shape.segment === shape.segment - 1) return {kind: 'rotate'}
  if (offset % shape.every === shape.every - 1) return {kind: 'cull', offset: Math.max(0, offset - shape.kept)}
  if (offset % 10 === 9) return {kind: 'delete', seq: offset % SEQS}
  if (offset % 10 === 8) {
    const value = offset % 3 === 0 ? null : `${offset}`
    return {kind: 'records', records: [{table: 'model', key: `${offset % KEYS}`, value}]}
  }
  return {kind: 'put', instance: instanceAt(shape, offset)}
}

function instanceAt(shape: LogShape, offset: number): StoredInstance {
  return {seq: offset % SEQS, service: `${offset}`.padEnd(shape.filler, 's'), lastHeartbeatS: offset}
}

/** Gives the entry at an offset. */
export function entryAt(shape: LogShape, offset: number): NewEntry {
  const effect = effectAt(shape, offset)
  return {
    timeMs: 1000 + offset,
    actor: `model/${offset}`,
    change: `${effect.kind} ${offset}`.padEnd(shape.filler, 'c'),
    effect,
  }
}

/** Gives what a store holds after the first `count` entries. */
function stateAfter(shape: LogShape, count: number) {
  let firstOffset = 0
  const instances = new Map<number, StoredInstance>()
  const records = new Map<string, string>()
  for (let offset = 0; offset < count; offset++) {
    const effect = effectAt(shape, offset)
    if (effect.kind === 'cull') firstOffset = Math.max(firstOffset, effect.offset + 1)
    if (effect.kind === 'put') instances.set(effect.instance.seq, effect.instance)
    if (effect.kind === 'delete') instances.delete(effect.seq)
    if (effect.kind !== 'records') continue
    for (const {key, value} of effect.records) {
      if (value === null) records.delete(key)
      else records.set(key, value)
    }
  }
  return {firstOffset, instances: [...instances.values()].sort((a, b) => a.seq - b.seq), records: [...records].sort()}
}

/** Asserts that a store with that head holds what it must: whole appends, at least the acknowledged entries, and nothing else. */
export async function assertModel(
  store: Pick<Store, 'instances' | 'records' | 'read'>,
  head: StoreHead,
  shape: LogShape,
  acknowledged: number,
): Promise<void> {
  const {nextOffset, lastHash, firstOffset} = head
  assert(nextOffset >= acknowledged, `acknowledged ${acknowledged}, there ${nextOffset}`)
  assert.equal(nextOffset % shape.batch, 0, `no append is stored in part: ${nextOffset}`)
  const expected = stateAfter(shape, nextOffset)
  assert.equal(firstOffset, expected.firstOffset)
  assert.deepEqual((await Array.fromAsync(store.instances())).flat(), expected.instances)
  const records = (await Array.fromAsync(store.records('model'))).flat()
  assert.deepEqual(
    records.map(({key, value}) => [key, value]),
    expected.records,
  )
  await assertLog(store, {nextOffset, lastHash, firstOffset}, shape)
}

async function assertLog(
  store: Pick<Store, 'read'>,
  {nextOffset, lastHash, firstOffset}: Pick<StoreHead, 'nextOffset' | 'lastHash' | 'firstOffset'>,
  shape: LogShape,
): Promise<void> {
  if (firstOffset > 0) await assert.rejects(store.read(firstOffset - 1, 1), {code: 'REG_OFFSET_CULLED'})
  const entries = await store.read(firstOffset, nextOffset + 1)
  for (const [index, {offset, timeMs, actor, change}] of entries.entries()) {
    assert.equal(offset, firstOffset + index)
    const {effect: _, ...expected} = entryAt(shape, offset)
    assert.deepEqual({timeMs, actor, change}, expected)
  }
  const [oldest, ...others] = entries
  const start = {nextOffset: firstOffset, lastHash: FIRST_PREVIOUS_HASH}
  const verdict =
    firstOffset === 0
      ? verifyChain(entries, start)
      : verifyChain(others, {nextOffset: firstOffset + 1, lastHash: oldest?.hash ?? ''})
  assert.deepEqual(verdict, {kind: 'intact', end: {nextOffset, lastHash}})
}
