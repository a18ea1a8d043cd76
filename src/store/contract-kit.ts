/** What the parts of the store's contract share. */
import assert from 'node:assert/strict'
import {CHAIN_START, type ChainPlace, verifyChain} from './chain.ts'
import type {Entry, NewEntry, Store, StoredInstance, StoredRecord} from './store.ts'

/** What the suite needs of a test runner. */
export interface TestRunner {
  describe(name: string, body: () => void): void
  test(name: string, body: () => Promise<void>): void
}

/** One place where state may live, empty when made; every test makes its own. */
export interface StorePlace {
  /** Gives a store on this place, not opened. Called again after a close, to open the same place once more. */
  store(): Store
  /**
   * Makes every write fail for real (a lock held by another connection, a network that is cut) until the function it gives is called.
   * Only with `supports.obstruct`.
   */
  obstruct?(): Promise<() => Promise<void>>
  /** Where a copy may be made, and how a store on a copy is made. Only with `supports.snapshot`. */
  readonly copy?: {readonly path: string; readonly open: (path: string) => Store}
  /** Removes everything. Called when the stores are closed. */
  dispose(): Promise<void>
}

export interface StoreSupport {
  /** What was acknowledged is there after a close and a new open. */
  readonly durable?: boolean
  /** It can be copied while it is in use, and the place has `copy`. */
  readonly snapshot?: boolean
  /** The place has `obstruct`. */
  readonly obstruct?: boolean
}

/** Wraps a test: its store is opened before and closed after it. */
export type Run = (body: (store: Store, place: StorePlace) => Promise<void>) => () => Promise<void>

export type Test = TestRunner['test']

/** Gives the instance of that number. */
export function instance(seq: number, note = 'first'): StoredInstance {
  return {seq, service: `{"id":"cam-${seq}","note":"${note} é"}`, lastHeartbeatS: 1_700_000_000 + seq}
}

/** Gives an entry that puts the instance of that number. */
export function put(seq: number, note = 'first'): NewEntry {
  const change = `{"kind":"register","seq":${seq},"note":"${note}"}`
  return {timeMs: 1_700_000_000_000, actor: 'contract', change, effect: {kind: 'put', instance: instance(seq, note)}}
}

/** Gives an entry that removes the instance of that number. */
export function drop(seq: number): NewEntry {
  const change = `{"kind":"deregister","seq":${seq}}`
  return {timeMs: 1_700_000_000_001, actor: 'contract', change, effect: {kind: 'delete', seq}}
}

/** Gives an entry that puts records, or deletes those whose value is null. */
export function keep(...rows: readonly (readonly [table: string, key: string, value: string | null])[]): NewEntry {
  const records = rows.map(([table, key, value]) => ({table, key, value}))
  return {timeMs: 1_700_000_000_002, actor: 'contract', change: '{"kind":"keep"}', effect: {kind: 'records', records}}
}

/** Reads all records. */
export async function listRecords(store: Store): Promise<StoredRecord[]> {
  return (await Array.fromAsync(store.records())).flat()
}

/** Reads all instances. */
export async function listAll(store: Store): Promise<StoredInstance[]> {
  return (await Array.fromAsync(store.instances())).flat()
}

/** Verifies a chain and gives its end. */
export function intactEnd(entries: readonly Entry[], from: ChainPlace = CHAIN_START): ChainPlace {
  const verdict = verifyChain(entries, from)
  assert(verdict.kind === 'intact', verdict.kind === 'damaged' ? verdict.reason : '')
  return verdict.end
}
