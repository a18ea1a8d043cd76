import type {Clock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import type {ChangeLog} from '../../nexus/change-log.ts'
import type {ChangeOwner, Replayed} from '../../nexus/replication.ts'
import {compareTexts, type KeptTexts, textsOf as mapTexts, type StateCheck} from '../../nexus/state-check.ts'
import {
  decodeLead,
  decodeLeadChange,
  decodeLeadMember,
  encodeLeadChange,
  encodeLeadRecord,
  isLeading,
  isLeadKind,
  LEAD_TABLE,
  LEADER_KEY,
  type Lead,
  type LeadChange,
  type LeadMember,
  type LeadState,
  leadAfter,
  leftBy,
} from '../../registry/lead.ts'
import type {RecordChange, Store, StoredRecord} from '../../store/store.ts'

export interface LeadLedgerPorts {
  readonly store: Pick<Store, 'records' | 'place'>
  readonly changeLog: Pick<ChangeLog, 'head' | 'assertOpen' | 'propose' | 'proposeLead' | 'join'>
  readonly clock: Pick<Clock, 'wallMs'>
}

/** Hears of a change that can be seen now, what it leaves, and where it stands in the log. */
export type OnLead = (change: LeadChange, state: LeadState, offset: number) => void

/** Who leads the cell and who belongs to it, as the log says: what is durable, and what has been decided on top of it. */
export class LeadLedger {
  /** Iden of this member: that of its store. */
  readonly member: string
  readonly #ports: LeadLedgerPorts
  readonly #listeners = new Set<OnLead>()
  #visible: LeadState
  #pending: LeadState

  private constructor(ports: LeadLedgerPorts, member: string, state: LeadState) {
    this.#ports = ports
    this.member = member
    this.#visible = state
    this.#pending = state
    const owner: ChangeOwner = {
      onReset: () => {
        this.#pending = this.#visible
      },
      replay: ({kind, change}) => (isLeadKind(kind) ? this.#replay(decodeLeadChange(change)) : undefined),
      check: () => this.#check(),
    }
    ports.changeLog.join(owner)
  }

  /**
   * Reads from the store who leads. `member` is the iden of the store.
   *
   * @throws RegistryError `REG_STORE_DAMAGED`, `REG_STORE_FAILED`
   */
  static async open(ports: LeadLedgerPorts, member: string): Promise<LeadLedger> {
    return new LeadLedger(ports, member, await readLeadState(ports.store))
  }

  get visible(): LeadState {
    return this.#visible
  }

  /** As it will be when all that is under way has been committed. */
  get pending(): LeadState {
    return this.#pending
  }

  /** The log names this member as the leader, or nobody. */
  get isLeading(): boolean {
    return isLeading(this.#visible, this.member)
  }

  /** The members besides this one. */
  get others(): readonly LeadMember[] {
    return [...this.#visible.members.values()].filter(({member}) => member !== this.member)
  }

  /** Has itself told of each change, own and replicated, when it can be seen. Gives what ends that. */
  onChanged(listener: OnLead): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Makes a change durable and then visible, and gives its offset. It counts in `pending` when this returns, before the promise resolves.
   * A `lead:take` is the first entry of its epoch, and all but the one that founds the cell is taken whoever's changes the log takes:
   * who hands over takes no others then, and who takes the lead took none before. To be called when the log is `settled` then.
   *
   * @throws RegistryError `REG_READ_ONLY`, `REG_NOT_LEADER`, `REG_FENCED`, `REG_BUSY`, `REG_STORE_FAILED`; the change did not happen.
   */
  async change(change: LeadChange, actor: string): Promise<number> {
    const {changeLog, clock} = this.#ports
    const isTake = change.kind === 'lead:take'
    const isMove = isTake && change.how !== 'founded'
    if (!isMove) changeLog.assertOpen()
    const epoch = isTake ? change.epoch : undefined
    const effect = {kind: 'records', records: recordsOf(this.#pending, change)} as const
    const entry = {timeMs: clock.wallMs(), actor, change: encodeLeadChange(change), effect, epoch}
    return await new Promise<number>((resolve, failed) => {
      const committed = (offset: number): void => {
        this.#show(change, offset)
        resolve(offset)
      }
      if (isMove) changeLog.proposeLead({entry, committed, failed})
      else changeLog.propose({entry, committed, failed})
      this.#pending = leadAfter(this.#pending, change)
    })
  }

  /**
   * Notes a member, where it is not noted like that already. A cell that had none until now gets a leader in its log: this member, with the
   * present epoch. Throws as `change`.
   */
  async note(self: LeadMember, other: LeadMember, actor: string): Promise<void> {
    const changes: Promise<unknown>[] = []
    if (this.#pending.lead === undefined) changes.push(this.found(self, actor))
    if (!isSame(this.#pending.members.get(other.member), other)) {
      changes.push(this.change({kind: 'lead:member', ...other}, actor))
    }
    await Promise.all(changes)
  }

  /** Writes that this member leads, with the present epoch, when the log says nothing about it. Throws as `change`. */
  async found({member, name, urls}: LeadMember, actor: string): Promise<void> {
    if (this.#pending.lead !== undefined) return
    const {epoch} = this.#ports.changeLog.head
    await this.change({kind: 'lead:take', member, name, urls, epoch, how: 'founded', from: null}, actor)
  }

  #check(): StateCheck {
    let wanted: LeadState = {lead: undefined, members: new Map()}
    return {
      take: (kind, change) => {
        if (isLeadKind(kind)) wanted = leadAfter(wanted, decodeLeadChange(change))
      },
      compare: () => compareTexts(textsOf(wanted), textsOf(this.#visible)),
    }
  }

  #replay(change: LeadChange): Replayed {
    const effect = {kind: 'records', records: recordsOf(this.#pending, change)} as const
    this.#pending = leadAfter(this.#pending, change)
    return {effect, committed: (offset) => this.#show(change, offset), failed: () => undefined}
  }

  #show(change: LeadChange, offset: number): void {
    this.#visible = leadAfter(this.#visible, change)
    for (const listener of this.#listeners) listener(change, this.#visible, offset)
  }
}

function textsOf({lead, members}: LeadState): KeptTexts {
  const kept = new Map<string, Lead | LeadMember>(members)
  if (lead !== undefined) kept.set(LEADER_KEY, lead)
  return mapTexts(LEAD_TABLE, kept, encodeLeadRecord)
}

/** Reads from a store who leads. @throws RegistryError `REG_STORE_DAMAGED`, `REG_STORE_FAILED` */
export async function readLeadState(store: Pick<Store, 'records' | 'place'>): Promise<LeadState> {
  let state: LeadState = {lead: undefined, members: new Map()}
  for await (const chunk of store.records(LEAD_TABLE)) {
    for (const record of chunk) state = withRecord(state, record, store.place)
  }
  return state
}

function recordsOf(state: LeadState, change: LeadChange): readonly RecordChange[] {
  const {member} = change
  const left = leftBy(state, change).map((key) => ({table: LEAD_TABLE, key, value: null}))
  if (change.kind === 'lead:forget') return left
  const {name, urls} = change
  const known = {table: LEAD_TABLE, key: member, value: encodeLeadRecord({member, name, urls})}
  if (change.kind === 'lead:member') return [...left, known]
  const {epoch, how, from} = change
  const lead = encodeLeadRecord({member, name, urls, epoch, how, from})
  return [...left, {table: LEAD_TABLE, key: LEADER_KEY, value: lead}, known]
}

function withRecord({lead, members}: LeadState, {key, value}: StoredRecord, place: string): LeadState {
  try {
    if (key === LEADER_KEY) return {lead: decodeLead(value), members}
    return {lead, members: new Map([...members, [key, decodeLeadMember(value)]])}
  } catch (error) {
    throw damaged(key, place, error)
  }
}

function damaged(key: string, place: string, cause: unknown): RegistryError {
  const text = `${place}: the record ${LEAD_TABLE} ${key} cannot be read`
  return new RegistryError('REG_STORE_DAMAGED', text, {info: {place, table: LEAD_TABLE}, cause})
}

function isSame(known: LeadMember | undefined, {name, urls}: LeadMember): boolean {
  return known?.name === name && JSON.stringify(known.urls) === JSON.stringify(urls)
}
