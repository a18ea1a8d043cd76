// A cell of three members as far as the lead goes: logs on disks, changes under way, links that carry nothing while one end is down. What the
// real server does with `giveStep`, `takeStep` and `outranks`, this does too.
import {outranks} from '../../src/registry/fence.ts'
import {type GivingEvent, type GivingState, giveStep, type TakingState, takeStep} from '../../src/registry/hand-over.ts'
import type {Lead, LeadMember} from '../../src/registry/lead.ts'

interface LogEntry {
  /** Of a write; entries are the same when they are one object. */
  readonly write?: number
  readonly take?: Lead
}

/** What can be done to the world: the names of its methods, with the member it is done to and another one. */
export const MOVES = [
  'write',
  'commit',
  'feed',
  'promote',
  'settle',
  'reach',
  'late',
  'kill',
  'killAfterStore',
  'start',
] as const
export const FORCED_MOVES = [...MOVES, 'force', 'meet'] as const

export type Move = (typeof FORCED_MOVES)[number]

export class Member {
  readonly about: LeadMember
  disk: LogEntry[]
  isAlive = true
  giving: GivingState = {kind: 'leads'}
  taking: TakingState = {kind: 'follows'}
  pending: LogEntry[] = []
  fence: Lead | undefined
  /** It was refused by who leads: its log has what the other lacks. */
  isApart = false

  constructor(index: number, disk: readonly LogEntry[]) {
    this.about = {member: String(index).repeat(32), name: `0${index}`, urls: []}
    this.disk = [...disk]
  }

  /** Who leads by its log. */
  get lead(): Lead {
    return this.disk.findLast(({take}) => take !== undefined)?.take as Lead
  }

  get isLeading(): boolean {
    return this.isAlive && this.fence === undefined && this.lead.member === this.about.member
  }

  get isOpen(): boolean {
    return this.isLeading && this.giving.kind === 'leads'
  }
}

export class World {
  readonly members: readonly Member[]
  /** Writes that were answered, in order, with who answered. */
  readonly acknowledged: {readonly write: number; readonly by: Member}[] = []
  #writes = 0

  constructor(count = 3) {
    const first = new Member(1, [])
    const founded: LogEntry = {take: {...first.about, epoch: 1, how: 'founded', from: null}}
    this.members = Array.from({length: count}, (_, index) => new Member(index + 1, [founded]))
  }

  do(move: Move, one: number, two: number): void {
    const [member, other] = [this.members[one % this.members.length], this.members[two % this.members.length]]
    if (member !== undefined && other !== undefined) this[move](member, other)
  }

  /** Who takes changes now. */
  get open(): readonly Member[] {
    return this.members.filter(({isOpen}) => isOpen)
  }

  write(member: Member): void {
    if (member.isOpen) member.pending.push({write: ++this.#writes})
  }

  commit(member: Member): void {
    if (!member.isAlive) return
    const stored = member.pending.splice(0)
    member.disk.push(...stored)
    for (const {write, take} of stored) {
      // What is fenced acknowledges nothing, although it is on its disk.
      if (write !== undefined && member.fence === undefined) this.acknowledged.push({write, by: member})
      if (take !== undefined) this.#give(member, {kind: 'stored'})
    }
  }

  /** Asks another member for the next entry. */
  feed(member: Member, source: Member): void {
    if (!member.isAlive || !source.isAlive || member === source || member.isLeading) return
    this.meet(member, source)
    // Who was kept from leading follows when what was under way has ended: it may be on the disk yet.
    if (member.pending.length > 0) return
    const named = source.lead.member === member.about.member && source.fence === undefined
    if (!source.isLeading && !named) return
    // One that has heard of a better leader does not follow this one.
    if (outranks(member.fence ?? member.lead, source.lead)) return
    const at = member.disk.length
    if (source.disk[at - 1] !== member.disk[at - 1]) {
      member.isApart = source.isLeading
      return
    }
    member.isApart = false
    // Its log is a beginning of that of who leads: it follows.
    if (source.isLeading) member.fence = undefined
    const next = source.disk[at]
    if (next === undefined) return
    member.disk.push(next)
    if (next.take !== undefined) this.#told(member)
  }

  promote(member: Member): void {
    if (!member.isAlive || member.isLeading || member.fence !== undefined) return
    const leader = this.members.find(({about}) => about.member === member.lead.member)
    member.taking = takeStep(member.taking, {kind: 'wished'})
    if (leader?.isOpen === true && leader.lead === member.lead) this.#give(leader, {kind: 'asked', by: member.about})
    else member.taking = takeStep(member.taking, {kind: 'refused'})
  }

  settle(member: Member): void {
    if (!member.isLeading || member.pending.length > 0) return
    this.#give(member, {kind: 'settled', nextOffset: member.disk.length})
  }

  reach(member: Member, mirror: Member): void {
    if (!member.isLeading || !mirror.isAlive || mirror.lead !== member.lead) return
    const at = mirror.disk.length
    if (mirror.disk[at - 1] !== member.disk[at - 1]) return
    this.#give(member, {kind: 'reached', member: mirror.about.member, nextOffset: at})
  }

  late(member: Member): void {
    if (member.isLeading) this.#give(member, {kind: 'late'})
  }

  /** What was under way did not reach the disk. */
  kill(member: Member): void {
    member.isAlive = false
    member.pending = []
  }

  /** What was under way is on the disk, and nobody heard of it. */
  killAfterStore(member: Member): void {
    if (!member.isAlive) return
    member.disk.push(...member.pending)
    this.kill(member)
  }

  start(member: Member): void {
    if (member.isAlive) return
    member.isAlive = true
    member.giving = {kind: 'leads'}
    this.#told(member)
  }

  force(member: Member): void {
    if (!member.isAlive || member.isLeading || member.fence !== undefined) return
    const from = member.lead.member
    member.disk.push({take: {...member.about, epoch: member.lead.epoch + 1, how: 'forced', from}})
    this.#told(member)
  }

  /** Two members tell each other who leads. */
  meet(one: Member, other: Member): void {
    if (!one.isAlive || !other.isAlive) return
    const [here, there] = [one.fence ?? one.lead, other.fence ?? other.lead]
    if (outranks(there, here)) this.#hear(one, there)
    if (outranks(here, there)) this.#hear(other, here)
  }

  #hear(member: Member, lead: Lead): void {
    if (member.isLeading) {
      this.#give(member, {kind: 'outranked'})
      member.fence = lead
    } else if (member.fence !== undefined) member.fence = lead
  }

  #give(member: Member, event: GivingEvent): void {
    const before = member.giving
    const {state, action} = giveStep(before, event)
    member.giving = state
    if (action === 'append' && state.kind === 'giving') {
      const {epoch, member: from} = member.lead
      member.pending.push({take: {...state.to, epoch: epoch + 1, how: 'handed-over', from}})
    }
    if (action === 'follow') member.taking = takeStep(member.taking, {kind: 'given'})
  }

  #told(member: Member): void {
    const isMine = member.lead.member === member.about.member
    member.taking = takeStep(member.taking, {kind: isMine ? 'taken' : 'given'})
    if (!isMine) return
    member.giving = {kind: 'leads'}
    member.isApart = false
  }

  /** Everybody is back, meets everybody, and what can be fed is fed. */
  heal(): void {
    for (const member of this.members) this.start(member)
    for (const member of this.members) this.late(member)
    for (const member of this.members) this.commit(member)
    for (let round = 0; round < 200; round += 1) this.#meetAll()
  }

  #meetAll(): void {
    for (const one of this.members) {
      for (const other of this.members) {
        this.meet(one, other)
        this.feed(one, other)
      }
    }
  }
}
