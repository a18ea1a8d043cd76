/**
 * What makes a restored store one of its own: a new member iden, so that nobody takes it for the directory that it was copied from, and for a leader
 * a new epoch, so that mirrors of the history that went on elsewhere notice instead of mixing the two.
 */
import {systemClock} from '../base/clock.ts'
import {ChangeLog, COMMIT_LIMITS} from '../nexus/change-log.ts'
import {isLeading, type LeadMember, type LeadState} from '../registry/lead.ts'
import {adoptStore} from '../store/adopt.ts'
import {SqliteStore} from '../store/sqlite.ts'
import type {StoreHead} from '../store/store.ts'
import {LeadLedger, readLeadState} from './mirroring/lead-ledger.ts'

/** What a store says of the member whose it is. */
export interface StoreMember {
  readonly head: StoreHead
  readonly state: LeadState
  /** Its log names it as the leader, or nobody. */
  readonly isLeading: boolean
  /** The other members. */
  readonly others: readonly LeadMember[]
}

/** Reads whose store it is. It must not be in use. @throws RegistryError `REG_STORE_FAILED`, `REG_STORE_DAMAGED`, `REG_STORE_NEWER` */
export async function readStoreMember(storePath: string): Promise<StoreMember> {
  await using store = new SqliteStore(storePath)
  const head = await store.open()
  const state = await readLeadState(store)
  const others = [...state.members.values()].filter(({member}) => member !== head.iden)
  return {head, state, isLeading: isLeading(state, head.iden), others}
}

export interface NewEpochOptions {
  /** Iden of the member whose store was copied: the new one takes its place and its name. */
  readonly heirOf: string
  /** The new epoch is higher than this one too: that of a history that is given up. */
  readonly above: number
}

/**
 * Gives the store at `storePath` a new member iden, and has it lead from a new epoch on: the last entry of its log says so. It must not be in use.
 *
 * @throws RegistryError `REG_STORE_FAILED`, `REG_STORE_DAMAGED`, `REG_STORE_NEWER`
 */
export async function beginNewEpoch(storePath: string, {heirOf, above}: NewEpochOptions): Promise<StoreHead> {
  const {iden: member} = await adoptStore(storePath)
  await using store = new SqliteStore(storePath)
  const head = await store.open()
  const changeLog = new ChangeLog(store, {...COMMIT_LIMITS, head})
  const ledger = await LeadLedger.open({store, changeLog, clock: systemClock}, member)
  const {lead, members} = ledger.visible
  const {name, urls} = members.get(heirOf) ?? {name: `member ${member.slice(0, 8)}`, urls: []}
  const epoch = Math.max(head.epoch, above) + 1
  const from = lead?.member ?? heirOf
  try {
    await ledger.change({kind: 'lead:take', member, name, urls, epoch, how: 'restored', from}, 'restore')
    return {...head, ...changeLog.head}
  } finally {
    changeLog.close()
  }
}
