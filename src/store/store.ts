/**
 * The Store port: where the registry's state and its change log live.
 *
 * Contract, the same for every engine (`store/contract.ts` proves it):
 * - One writer. `append` takes entries in order and gives them the next offsets; either all of a call are stored, with their effects on
 *   the state, or none. Its promise resolves when they survive a crash (durable engines), in the order of the calls.
 * - Every entry carries the hash of the one before it in its own hash, so that a changed or missing entry shows.
 * - A failed `append` leaves no trace, and a later one may succeed: an engine recovers by itself when its disk does.
 * - Reads (`instances`, `records`, `read`) see what has been acknowledged.
 */
export interface Store extends AsyncDisposable {
  readonly kind: string
  /** Where the state lives, for people: a path or `memory`. */
  readonly place: string

  /** Opens or creates the store and says where it stands. Must be called once, first. */
  open(): Promise<StoreHead>

  /** Yields all instances in order of `seq`, in chunks. */
  instances(): AsyncIterable<readonly StoredInstance[]>

  /** Yields the records of a table in order of their keys, or without one all records in order of table and key; in chunks. */
  records(table?: string): AsyncIterable<readonly StoredRecord[]>

  /**
   * Stores entries and their effects in one transaction and gives the offset of the first. An empty list is a bug.
   *
   * @throws RegistryError `REG_STORE_FAILED` when nothing was stored (disk full, locked, I/O); `REG_STORE_DAMAGED` when the file is.
   */
  append(entries: readonly NewEntry[]): Promise<number>

  /**
   * Saves when instances were last renewed. Not in the log and not urgent: a crash may lose it, a failure may leave a part of it saved.
   * Instances that are gone are ignored. Appends that are called meanwhile do not wait for a long list.
   *
   * @throws RegistryError `REG_STORE_FAILED`
   */
  saveRenewals(renewals: readonly Renewal[]): Promise<void>

  /**
   * Reads at most `limit` entries from `offset` (inclusive), in order; fewer only at the end, none beyond it. An engine may keep a bounded
   * number of entries.
   *
   * @throws RegistryError `REG_OFFSET_CULLED` when `offset` was trimmed away; `info.first` is the oldest kept.
   */
  read(offset: number, limit: number): Promise<readonly Entry[]>

  /** Checks that the engine can write right now without changing anything. Throws as `append` does. */
  probe(): Promise<void>

  /** Waits for what is under way and closes. Idempotent. */
  close(): Promise<void>
}

export interface StoreHead {
  /** Offset that the next entry gets; the number of entries ever written. */
  readonly nextOffset: number
  /** Rises with every promotion and restore; 1 in a new store. */
  readonly epoch: number
  /** Hash of the newest entry, 64 hex digits; zeros in a new store. */
  readonly lastHash: string
  /** Larger than every `seq` ever stored. */
  readonly nextSeq: number
}

export interface StoredInstance {
  /** Order of first registration; given by the server, never reused. */
  readonly seq: number
  /** The service object as JSON text, without `last_heartbeat` and `health`. */
  readonly service: string
  /** Epoch seconds, whole. */
  readonly lastHeartbeatS: number
}

export type Effect =
  | {readonly kind: 'put'; readonly instance: StoredInstance}
  | {readonly kind: 'delete'; readonly seq: number}
  | {readonly kind: 'records'; readonly records: readonly RecordChange[]}

/** A small object that the change log's entries leave behind: a user, a role, a ticket. Tables are names that a part of the server chose. */
export interface StoredRecord {
  readonly table: string
  readonly key: string
  /** Text, JSON by custom. */
  readonly value: string
}

/** Puts or, with null, deletes a record. Deleting what is not there does nothing. */
export interface RecordChange {
  readonly table: string
  readonly key: string
  readonly value: string | null
}

export interface NewEntry {
  /** When it was decided, epoch milliseconds, whole. */
  readonly timeMs: number
  /** Who asked: `zmq:anon/<routing id>`, later a user or a key name. */
  readonly actor: string
  /** The change as JSON text. */
  readonly change: string
  readonly effect: Effect
}

/** One entry of the change log. */
export interface Entry {
  readonly offset: number
  readonly epoch: number
  /** SHA-256 over the previous hash and this entry (`store/chain.ts`), 64 hex digits. */
  readonly hash: string
  readonly timeMs: number
  readonly actor: string
  readonly change: string
}

export interface Renewal {
  readonly seq: number
  /** Epoch seconds, whole. */
  readonly lastHeartbeatS: number
}
