/**
 * The methods of the cell that move the lead: those of the peer that its tools call, and our own between members. Where the peer's depend on its own
 * change log, they are refused with the reason.
 */
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {assertMember} from './cell-api-forward.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, method, optional, required} from './cell-method.ts'
import {packHeard, packPlace, unpackLead} from './mirroring/lead-messages.ts'
import {packMember} from './mirroring/member-list.ts'
import {HAND_OVER_MS} from './mirroring/promotion.ts'

const ADMIN: Need = {kind: 'admin'}
/** Longest wait that a caller may ask for. */
const MAX_WAIT_MS = 3_600_000

/** Rows of the table of methods: who leads, who belongs to the cell, and what moves the lead. */
export const LEAD_METHODS = {
  promote: method(ADMIN, [optional('graceful', false)], promote, {isLogged: true}),
  handoff: method(ADMIN, [required('turl'), optional('timeout', 30), optional('member')], handOff, {isLogged: true}),
  demote: method(ADMIN, [optional('timeout')], demote, {isLogged: true}),
  // The change log is always on.
  readyToMirror: method(ADMIN, [], () => null),
  issue: method(
    ADMIN,
    ['nexsiden', 'event', 'args', 'kwargs'].map(required).concat([optional('meta'), optional('wait', true)]),
    () => {
      throw new RegistryError('REG_BAD_REQUEST', NO_ENTRIES, {
        telepath: 'FeatureNotSupported',
        hints: ['make mirrors with: registry clone NAME'],
      })
    },
  ),
  getMembers: method(ADMIN, [], async ({parts, signal}) =>
    (await parts.mirroring.moves.allMembers(signal)).map(packMember),
  ),
  getLogPlace: method(ADMIN, [required('offset')], async (call) => {
    return packPlace(await call.parts.entries.placeAt(call.integer('offset', 0, Number.MAX_SAFE_INTEGER)))
  }),
  fence: method(ADMIN, [optional('lead')], fence),
  leadAgain: method(ADMIN, [required('epoch')], leadAgain, {isLogged: true}),
  forgetMember: method(ADMIN, [required('name')], forgetMember, {isLogged: true, isWrite: true}),
} as const satisfies Record<string, CellMethod>

const NO_ENTRIES = 'The change log of this registry holds no events of Synapse: its mirrors pass on calls.'
const NO_AHA = 'AHA is not configured on this service.'

async function promote(call: CellCall): Promise<Value> {
  const {parts, actor, signal} = call
  await parts.mirroring.moves.promotion.promote(!call.boolean('graceful'), {actor, signal})
  return null
}

async function handOff(call: CellCall): Promise<Value> {
  const {parts, signal, actor} = call
  const wish = {url: call.text('turl'), member: call.optionalText('member'), timeoutMs: waitMs(call)}
  await parts.mirroring.moves.promotion.handOff(wish, {actor, signal})
  return null
}

async function demote(call: CellCall): Promise<Value> {
  const {parts, signal, actor} = call
  const {moves} = parts.mirroring
  // What the peer says of a cell that can have no mirrors.
  if (moves.members().length === 1 && !parts.isMember) {
    throw new RegistryError('REG_CONFLICT', NO_AHA, {telepath: 'NeedConfValu', hints: ['registry status']})
  }
  return await moves.promotion.demote(waitMs(call), {actor, signal})
}

async function fence(call: CellCall): Promise<Value> {
  assertMember(call)
  const told = call.value('lead')
  return packHeard(await call.parts.mirroring.moves.hear(told === null ? undefined : unpackLead(told)))
}

async function leadAgain(call: CellCall): Promise<Value> {
  const {parts, actor, signal} = call
  const epoch = call.integer('epoch', 1, Number.MAX_SAFE_INTEGER)
  await parts.mirroring.moves.promotion.leadAgain(epoch, {actor, signal})
  return null
}

async function forgetMember(call: CellCall): Promise<Value> {
  const {member, name, urls} = await call.parts.mirroring.forget(call.text('name'), call.actor)
  return {member, name, urls: [...urls]}
}

function waitMs(call: CellCall): number {
  return Math.min(call.timeoutMs('timeout') ?? HAND_OVER_MS, MAX_WAIT_MS)
}
