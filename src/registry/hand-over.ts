/**
 * How a leader gives the lead to a mirror, seen from both sides: states and events, nothing else.
 *
 *     leader   leads ─asked─► closing ─settled─► waiting ─reached─► giving ─stored─► given
 *                ▲               │ late, left       │ late, left       │ failed
 *                └───────────────┴──────────────────┴──────────────────┘
 *     mirror   follows ─wished─► asking ─taken─► leads
 *
 * Only `giving` and `given` leave a mark, and it is one entry of the log: `lead:take` for the mirror. A kill therefore ends in `leads` or in `given`,
 * by whether that entry is durable; the mirror leads when the same entry is durable there.
 *
 * @see docs/decisions/0006-mirrors.md
 */
import type {LeadMember} from './lead.ts'

/** Where the leader is in giving the lead away. Changes are taken in `leads` alone. */
export type GivingState =
  | {readonly kind: 'leads'}
  /** What was taken before is finished. */
  | {readonly kind: 'closing'; readonly to: LeadMember}
  /** The mirror gets the entries below `nextOffset`. */
  | {readonly kind: 'waiting'; readonly to: LeadMember; readonly nextOffset: number}
  /** The entry is being stored: from here on there is no way back but a store that refuses it. */
  | {readonly kind: 'giving'; readonly to: LeadMember}
  /** The entry is durable here. */
  | {readonly kind: 'given'; readonly to: LeadMember}
  /** Another one leads with a higher epoch. */
  | {readonly kind: 'fenced'}

/** What can happen to it. */
export type GivingEvent =
  | {readonly kind: 'asked'; readonly by: LeadMember}
  | {readonly kind: 'settled'; readonly nextOffset: number}
  /** A mirror has all entries below `nextOffset`, durable. */
  | {readonly kind: 'reached'; readonly member: string; readonly nextOffset: number}
  | {readonly kind: 'late'}
  /** Who asked is not there any more. */
  | {readonly kind: 'left'}
  | {readonly kind: 'stored'}
  /** The store refused the entry. */
  | {readonly kind: 'failed'}
  | {readonly kind: 'outranked'}

/** What the leader has to do at once: refuse changes, take them again, store the entry, follow. */
type GivingAction = 'close' | 'open' | 'append' | 'follow'

export interface GivingStep {
  readonly state: GivingState
  readonly action: GivingAction | undefined
}

/** Gives what an event makes of the state. One that means nothing in it, as a time limit when all is done, leaves it as it is. */
export function giveStep(state: GivingState, event: GivingEvent): GivingStep {
  switch (event.kind) {
    case 'asked':
      return state.kind === 'leads' ? step({kind: 'closing', to: event.by}, 'close') : step(state)
    case 'settled':
      return state.kind === 'closing' ? step({...state, kind: 'waiting', nextOffset: event.nextOffset}) : step(state)
    case 'reached':
      return hasAll(state, event) ? step({kind: 'giving', to: state.to}, 'append') : step(state)
    case 'late':
    case 'left':
      return isBefore(state) ? step({kind: 'leads'}, 'open') : step(state)
    case 'stored':
      return state.kind === 'giving' ? step({kind: 'given', to: state.to}, 'follow') : step(state)
    case 'failed':
      return state.kind === 'giving' ? step({kind: 'leads'}, 'open') : step(state)
    case 'outranked':
      return state.kind === 'given' ? step(state) : step({kind: 'fenced'})
  }
}

function step(state: GivingState, action?: GivingAction): GivingStep {
  return {state, action}
}

/** The leader can still go on as if nothing had been asked. */
function isBefore({kind}: GivingState): boolean {
  return kind === 'closing' || kind === 'waiting'
}

function hasAll(
  state: GivingState,
  {member, nextOffset}: {readonly member: string; readonly nextOffset: number},
): state is Extract<GivingState, {readonly kind: 'waiting'}> {
  return state.kind === 'waiting' && state.to.member === member && nextOffset >= state.nextOffset
}

/** Where a mirror is in taking the lead. */
export type TakingState = {readonly kind: 'follows'} | {readonly kind: 'asking'} | {readonly kind: 'leads'}

/** What can happen to it. */
export type TakingEvent =
  /** An operator wants it to lead. */
  | {readonly kind: 'wished'}
  /** The leader refused, or nothing more is heard of it. The lead may come all the same: by the entry, when the link is back. */
  | {readonly kind: 'refused'}
  /** `lead:take` for this member is durable here. */
  | {readonly kind: 'taken'}
  /** `lead:take` for another member is. */
  | {readonly kind: 'given'}

/** Gives what an event makes of the state. */
export function takeStep(state: TakingState, event: TakingEvent): TakingState {
  switch (event.kind) {
    case 'wished':
      return state.kind === 'follows' ? {kind: 'asking'} : state
    case 'refused':
      return state.kind === 'asking' ? {kind: 'follows'} : state
    case 'taken':
      return {kind: 'leads'}
    case 'given':
      return state.kind === 'leads' ? {kind: 'follows'} : state
  }
}
