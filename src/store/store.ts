/**
 * The Store port: where the registry's state and its change log live.
 *
 * Contract, the same for every engine (`store/contract.ts` proves it):
 * - One writer. `append` takes entries in order and gives them the next offsets; either all of a call are stored, with their effects on
 *   the state, or none. Its promise resolves when they survive a crash (durable engines), in the order of the calls.
 * - Every entry carries the hash of the one before it in its own hash, so that a changed or missing entry shows.
 * - A failed `append` leaves no trace, and a later one may succeed: an engine recovers by itself when its disk does.
 * - Reads (`instances`, `records`, `read`) see what has been acknowledged.
 * - The log can be cut at its old end, by an entry of its own (`cull`). What was cut is gone for readers as soon as that entry is stored; an engine
 *   with a file gives the space back afterwards, in steps so small that no append waits for it.
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
   * Stores entries and their effects in one transaction. An empty list is a bug.
   *
   * @throws RegistryError `REG_STORE_FAILED` when nothing was stored (disk full, locked, I/O); `REG_STORE_DAMAGED` when the file is;
   * `REG_HISTORY_DIFFERS` when an entry would not get the hash that it must have, or its epoch is lower than that of the store: nothing was
   * stored, `info.offset` says which entry it is.
   */
  append(entries: readonly NewEntry[]): Promise<Appended>

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

  /** Gives the offset of the oldest entry that is kept; the next offset when there is none. */
  firstOffset(): Promise<number>

  /** Says how much space the store takes. */
  size(): Promise<StoreSize>

  /**
   * Copies one moment of the store into a new file at `path`, for the owner alone, and gives the head of the copy; one that is there is replaced.
   * Appends go on meanwhile. Nothing of it is left when it fails or `signal` aborts; an abort takes until the thread that copies can be stopped.
   *
   * @throws RegistryError `REG_CONFLICT` when the engine has no file; `REG_STORE_FAILED`; the reason of the signal
   */
  snapshot(path: string, signal?: AbortSignal): Promise<StoreHead>

  /** Checks that the engine can write right now without changing anything. Throws as `append` does. */
  probe(): Promise<void>

  /**
   * Brings all that was acknowledged into the file, and that to the disk; from the call on writes wait, and until `thaw` nothing alters the file.
   * Reads go on. `close` fails what waits.
   *
   * @throws RegistryError `REG_BUSY` when something is in the way at present, and then nothing waits; `REG_STORE_FAILED`
   */
  freeze(): Promise<void>

  /** Lets writes go on, those first that wait. Does nothing when it is not frozen; ends a `freeze` that has not resolved yet. */
  thaw(): Promise<void>

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
  /** Names this store: 32 hex digits. A copy has those of what it was copied from until it is adopted (`store/adopt.ts`). */
  readonly iden: string
  /** Offset of the oldest entry that is kept; `nextOffset` when there is none. */
  readonly firstOffset: number
}

/** What an append gives: the offset of its first entry, and the hash of its last one. */
export type Appended = readonly [firstOffset: number, lastHash: string]

export interface StoreSize {
  /** Length of the file; 0 when there is none. */
  readonly bytes: number
  /** The part of it that holds nothing. */
  readonly freeBytes: number
  /** Whether space of entries that were cut off is still being given back. */
  readonly isFreeing: boolean
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
  | {readonly kind: 'none'}
  /** The entries after this one are kept apart from those up to it, so that these can be cut off cheaply. */
  | {readonly kind: 'rotate'}
  /** Cuts off the entries up to and including `offset`; never the entry itself that has this effect. Does nothing when they are gone already. */
  | {readonly kind: 'cull'; readonly offset: number}

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
  /** The epoch of the store from this entry on, never lower than it was. Absent: the present one. */
  readonly epoch?: number | undefined
  /** The hash that it must get; for entries that another member of the cell decided. */
  readonly hash?: string | undefined
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
