/**
 * Trimming a change log: its oldest entries go, once everybody who follows it has them. Who follows and has not is cut off: it must be made anew.
 *
 * @see docs/operations/trim.md
 */
import {type ErrorCode, RegistryError} from '../base/errors.ts'
import {leadersOf, type Member, roleOf, type Situation} from './leadership.ts'

/** Who follows the log and is not there, and why that is so, for people. */
export interface Absentee {
  readonly name: string
  readonly why: string
  readonly code: ErrorCode
}

/** The mirrors of a leader: those that can be waited for, and the others. */
export interface Followers {
  readonly present: readonly Member[]
  readonly away: readonly Absentee[]
}

/**
 * Refuses to trim where the service does not lead.
 *
 * @throws RegistryError `REG_CONFLICT`
 */
export function assertTrimmable({me, members}: Situation): void {
  if (roleOf(me) !== 'leader') {
    const hints = leadersOf(members).map(({name}) => `registry trim aha://${name}`)
    const text = `${me.name} does not lead: the leader trims its log, and its mirrors do the same`
    throw new RegistryError('REG_CONFLICT', text, {telepath: 'BadState', info: {name: me.name}, hints})
  }
  const [rival] = leadersOf(members).filter((member) => member !== me)
  if (rival === undefined) return
  const text = `${me.name} and ${rival.name} lead at the same time: which of the two logs is right is to be decided first`
  const hints = [`registry status aha://${me.name}`]
  throw new RegistryError('REG_CONFLICT', text, {telepath: 'BadState', info: {name: rival.name}, hints})
}

/** Tells who of the cell can be waited for. What may not be asked by the caller can be by its leader. */
export function followersOf({me, members}: Situation): Followers {
  const others = members.filter((member) => member !== me)
  const away = others.flatMap((member) => absenceOf(member) ?? [])
  return {present: others.filter(({name}) => !away.some((one) => one.name === name)), away}
}

function absenceOf({name, isOnline, state, error}: Member): Absentee | undefined {
  if (!isOnline) return {name, why: `${name} is offline`, code: 'REG_UNREACHABLE'}
  if (error !== undefined && !isRefusal(error)) {
    return {name, why: `${name} does not answer: ${error.message}`, code: 'REG_UNREACHABLE'}
  }
  if (state !== undefined && !state.hasUplink) {
    return {name, why: `${name} has no connection to its leader`, code: 'REG_UNREACHABLE'}
  }
  return undefined
}

/** True for the error of somebody who answers, but not this caller. */
export function isRefusal({code, telepath}: RegistryError): boolean {
  return code === 'REG_DENIED' || telepath === 'NoSuchUser'
}

/**
 * Refuses to trim while somebody would be cut off.
 *
 * @throws RegistryError the code of the first that is away: `REG_UNREACHABLE`, or `REG_TIMED_OUT` for one that is behind
 */
export function assertNobodyIsCutOff(away: readonly Absentee[], url: string): void {
  const [first] = away
  if (first === undefined) return
  const text = `${away.map(({why}) => why).join('; ')}: what is trimmed now would be missing there, so nothing was trimmed`
  const hints = [
    `registry status ${url}`,
    `when it is gone for good, or is to be made anew: registry trim ${url} --force`,
  ]
  throw new RegistryError(first.code, text, {info: {away: away.map(({name}) => name)}, hints})
}

/** Which entries there are: from `oldest` up to the one before `index`. */
export interface LogRange {
  readonly index: number
  /** Null where there is none, or it cannot be known. */
  readonly oldest: number | null
}

/**
 * Gives the last entry that goes when `keep` of those that there are stay; undefined when none goes. One always stays, so that offsets never go back.
 */
export function lastToGo({index, oldest}: LogRange, keep: number): number | undefined {
  const last = index - 1 - keep
  return oldest === null || last < oldest ? undefined : last
}
