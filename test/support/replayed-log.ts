/** A log with all that a registry can have in it, and what a store must hold after each of its entries. */
import fc from 'fast-check'
import {MemoryStore} from '../../src/store/memory.ts'
import type {Entry, NewEntry, Store} from '../../src/store/store.ts'
import {FakeClock} from './api.ts'
import {run, turn} from './replay-calls.ts'
import {ReplayMember} from './replay-member.ts'

export interface LoggedHistory {
  readonly entries: readonly Entry[]
  /** The same with what each of them leaves. */
  readonly effects: readonly NewEntry[]
}

/** Asks a registry whatever can be asked, chosen by `seed`. */
export async function loggedHistory(seed: number, turns: number): Promise<LoggedHistory> {
  const leader = await ReplayMember.leader(new FakeClock())
  try {
    await run(leader, fc.sample(turn, {seed, numRuns: turns}))
    return {entries: await leader.entries(), effects: leader.store.appended}
  } finally {
    leader.close()
  }
}

/** What a store has, without its log and the times of renewals, which are in no log. */
export async function stateOf(store: Pick<Store, 'instances' | 'records'>) {
  const instances = (await Array.fromAsync(store.instances())).flat()
  const records = (await Array.fromAsync(store.records())).flat()
  return {instances: instances.map(({seq, service}) => ({seq, service})), records}
}

/** What a store must have after so many entries. */
export async function stateAfter({effects}: LoggedHistory, count: number) {
  const store = new MemoryStore()
  await store.open()
  if (count > 0) await store.append(effects.slice(0, count))
  return await stateOf(store)
}

/** Gives entries as a reader of an archive does. */
export async function* chunksOf(entries: readonly Entry[], size: number): AsyncGenerator<readonly Entry[], void> {
  for (let at = 0; at < entries.length; at += size) yield entries.slice(at, at + size)
}
