/**
 * The fence at the AHA around a forced promotion: the service that led before may not take the name of the leader again. Only an AHA of this
 * software can refuse it.
 */
import {RegistryError} from '../base/errors.ts'
import {type Member, roleOf, type Situation} from '../registry/leadership.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {TelepathProxy} from '../wire/telepath/caller.ts'
import {assertAdmin} from './leadership.ts'
import type {TeleEnv} from './telepath/tele-env.ts'

type Asks = Pick<TeleEnv, 'askAha'>

/** The services that were fenced; `why` says why none could be. */
export interface Fenced {
  readonly names: readonly string[]
  readonly why?: string
}

/** Whose name of the leader is at stake. */
export type FencedGroup = Situation & {readonly leaderAlias: string | null}

/**
 * Keeps those from leading that led before, or say that they do; with `isDry` it only finds out who would be, and whether the caller may.
 *
 * @throws RegistryError `REG_DENIED` when the caller is no administrator of the AHA; `REG_UNREACHABLE` when no AHA answers; else what it answered
 */
export async function fenceOldLeaders(
  env: Asks,
  group: FencedGroup,
  signal: AbortSignal,
  isDry = false,
): Promise<Fenced> {
  const {me, members, leaderAlias, isNamed} = group
  if (!isNamed || leaderAlias === null) return {names: [], why: 'nobody of its cell has a name of the leader in AHA'}
  const network = me.name.slice(me.shortName.length + 1)
  return await env.askAha(async (aha) => {
    if (!canFence(aha)) return {names: [], why: 'the AHA is a real Synapse one, which refuses nobody'}
    const last = await holderOf(aha, `${leaderAlias}.${network}`, signal)
    const names = members.filter((member) => member !== me && hasLed(member, last)).map(({name}) => name)
    if (isDry && names.length > 0) await assertAdmin(aha, {signal})
    for (const name of isDry ? [] : names) await aha.call('fenceAhaSvc', {args: [name, me.name], signal})
    return {names}
  }, signal)
}

/** Lets services lead again, those that were kept from it; gives these. Throws as `fenceOldLeaders`. */
export async function liftFences(env: Asks, names: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
  return await env.askAha(async (aha) => {
    if (!canFence(aha)) throw noFences()
    const lifted: string[] = []
    for (const name of names) if ((await aha.call('unfenceAhaSvc', {args: [name], signal})) === true) lifted.push(name)
    return lifted
  }, signal)
}

/** Refuses a caller whom the AHA will refuse when he wants to lift a fence. Throws as `liftFences`. */
export async function assertMayLift(env: Asks, signal: AbortSignal): Promise<void> {
  await env.askAha(async (aha) => {
    if (!canFence(aha)) throw noFences()
    await assertAdmin(aha, {signal})
  }, signal)
}

function canFence(aha: TelepathProxy): boolean {
  return aha.info.methods.has('fenceAhaSvc')
}

/** Who had the name of the leader last: which start of it, and under which own name. */
interface Holder {
  readonly run: Value
  readonly name: Value
}

async function holderOf(aha: TelepathProxy, alias: string, signal: AbortSignal): Promise<Holder | undefined> {
  const {svcinfo} = fieldsOf(await aha.call('getAhaSvc', {args: [alias], signal}))
  if (svcinfo === undefined) return undefined
  const {run, urlinfo} = fieldsOf(svcinfo)
  return {run, name: fieldsOf(urlinfo)['hostname']}
}

/** Who mirrored does so again when it comes back, and may be promoted later. Where nobody knows who led, all that are not there may have. */
function hasLed(member: Member, last: Holder | undefined): boolean {
  const role = roleOf(member)
  if (role !== 'unknown') return role === 'leader'
  if (last === undefined) return true
  return last.name === member.name || (member.runId !== null && last.run === member.runId)
}

function fieldsOf(value: Value): Readonly<Record<string, Value>> {
  const isMap = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  return isMap ? (value as Readonly<Record<string, Value>>) : {}
}

function noFences(): RegistryError {
  return new RegistryError('REG_CONFLICT', 'the AHA is a real Synapse one: it keeps nobody from leading', {
    hints: ['registry status aha://NAME'],
  })
}
