import {RegistryError} from '../base/errors.ts'
import {readGroup, type ServiceGroup} from '../client/service-group.ts'
import type {TeleEnv} from '../client/telepath/tele-env.ts'
import {type LogFacts, lateAt, readLogFacts, type TrimLimits, trimAll, trimTo} from '../client/trim.ts'
import {behindOf} from '../registry/leadership.ts'
import {
  type Absentee,
  assertNobodyIsCutOff,
  assertTrimmable,
  type Followers,
  followersOf,
  lastToGo,
} from '../registry/trim.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {parseUrl, sanitizeUrl} from '../wire/telepath/url.ts'

/** What is to be trimmed, and for whom it is waited. */
export interface TrimWish {
  /** URLs of more who follow the log. */
  readonly consumers: readonly string[]
  /** How many entries stay. */
  readonly keep: number
  /** Whoever is away or behind is cut off. */
  readonly isForced: boolean
}

/** The shape under `--json`. */
export interface TrimReport {
  readonly changed: boolean
  readonly dryRun: boolean
  /** Full name of the service in AHA, else its type and iden. */
  readonly service: string
  /** The last entry that is gone, or would be; null when all stay. */
  readonly trimmedTo: number | null
  readonly before: LogFacts
  /** Null when nothing was done. */
  readonly after: LogFacts | null
  readonly followers: readonly FollowerReport[]
  /** Who is cut off, and what is not known. */
  readonly warnings: readonly string[]
}

/** One who follows the log: a mirror, one who archives it, another one. */
export interface FollowerReport {
  /** Full name of a mirror; host and directory of an archive; the URL of another one, without a password. */
  readonly name: string
  /** Index of the next entry that it gets; null where it was not asked. */
  readonly index: number | null
  readonly behind: number | null
  /** Whether it is waited for. */
  readonly awaited: boolean
  /** Why it is not waited for, and is cut off; null when it is waited for, or has all that goes. */
  readonly why: string | null
}

export interface TrimTarget {
  readonly cell: Callable
  readonly url: string
  readonly env: TeleEnv
}

/** A service that is to be trimmed, as it was found. */
export interface TrimPlan {
  readonly group: ServiceGroup
  readonly log: LogFacts
  readonly followers: Followers
  /** The last entry that goes; undefined when all stay. */
  readonly last: number | undefined
  readonly warnings: readonly string[]
}

/**
 * Looks at a service and all who follow it, and waits until these have what its log has now.
 *
 * @throws RegistryError `REG_CONFLICT` when it does not lead; unless forced, `REG_UNREACHABLE` or `REG_TIMED_OUT` when somebody is away or behind, and
 * what AHA answers when it does not tell who follows; what the service answers
 */
export async function planTrim({cell, url, env}: TrimTarget, wish: TrimWish, limits: TrimLimits): Promise<TrimPlan> {
  const {signal} = limits
  const log = await readLogFacts(cell, url, signal)
  const group = await readGroup(cell, env, {...limits, user: userOf(url)})
  assertTrimmable(group)
  assertKnown(group, wish)
  const {present, away} = followersOf(group)
  const user = userOf(url)
  const mirrors = present.map(({name}) => ({
    name,
    url: `aha://${user === undefined ? '' : `${encodeURIComponent(user)}@`}${name}`,
  }))
  // Of others than mirrors, the service sees for itself what they have, but where a part of the log stays.
  const others = wish.keep === 0 ? [] : wish.consumers.map((one) => ({name: sanitizeUrl(one), url: one}))
  const late = await lateAt(log.index - 1, [...mirrors, ...others], env, {...limits, isLenient: wish.keep === 0})
  const cutOff = [...away, ...late]
  if (!wish.isForced) assertNobodyIsCutOff(cutOff, sanitizeUrl(url))
  const isLate = (name: string) => late.some((one) => one.name === name)
  return {
    group,
    log,
    followers: {present: present.filter(({name}) => !isLate(name)), away: cutOff},
    last: lastToGo(log, wish.keep),
    warnings: warningsOf(group, cutOff, wish),
  }
}

/** Trims, and gives the last entry that is gone. Throws as `trimAll`. */
export async function carryOut(
  {cell}: Pick<TrimTarget, 'cell'>,
  {group, followers, last}: TrimPlan,
  {consumers, keep}: TrimWish,
  limits: TrimLimits,
): Promise<number | undefined> {
  const {name} = group.me
  if (last === undefined) return undefined
  if (keep > 0) return await trimTo(cell, name, last, limits.signal)
  const mirrors = followers.present.map((mirror) => `aha://${mirror.name}`)
  return await trimAll(cell, name, [...new Set([...mirrors, ...consumers])], limits)
}

/** Makes the report; without `after`, nothing was done. */
export function trimReport(
  plan: TrimPlan,
  wish: TrimWish,
  done: {readonly after: LogFacts | null; readonly trimmedTo: number | undefined; readonly dryRun: boolean},
): TrimReport {
  const {group, log, followers, warnings} = plan
  const {after, trimmedTo = null, dryRun} = done
  const others = wish.consumers.map((url) => followerReport(sanitizeUrl(url), followers.away, null, null))
  const mirrors = group.members.flatMap((member) =>
    member === group.me
      ? []
      : [
          followerReport(
            member.name,
            followers.away,
            member.state?.nexusIndex ?? null,
            behindOf(member, group.members) ?? null,
          ),
        ],
  )
  return {
    changed: after !== null,
    dryRun,
    service: group.me.name,
    trimmedTo,
    before: log,
    after,
    followers: [...mirrors, ...others],
    warnings,
  }
}

function followerReport(
  name: string,
  away: readonly Absentee[],
  index: number | null,
  behind: number | null,
): FollowerReport {
  const why = away.find((one) => one.name === name)?.why ?? null
  return {name, index, behind, awaited: why === null, why}
}

/** Where nobody tells who follows, only force helps: a mirror that is not known would be cut off. */
function assertKnown({isNamed, error, me}: ServiceGroup, {isForced}: TrimWish): void {
  if (error === undefined || !isNamed || isForced) return
  const {code, message, info, telepath} = error
  const text = `which mirrors ${me.name} has is not known: ${message}; nothing was trimmed`
  const hints = [...error.hints, 'when it has none, or all are given with --consumer: registry trim URL --force']
  throw new RegistryError(code, text, {info, telepath, hints, cause: error})
}

function warningsOf(
  {isNamed, error, me}: ServiceGroup,
  cutOff: readonly Absentee[],
  {consumers}: TrimWish,
): readonly string[] {
  const known = consumers.length === 0 ? 'nobody is waited for' : 'only those of --consumer are waited for'
  return [
    ...(isNamed ? [] : [`${me.name} has no name in AHA, which would tell its mirrors: ${known}`]),
    ...(error === undefined || !isNamed ? [] : [`which mirrors there are is not known: ${error.message}; ${known}`]),
    ...cutOff.map(({name, why}) => `${why}; ${name} is cut off, and must be made anew`),
  ]
}

/** The others are asked as the user that is named for the first; who comes with a password has none for them. */
function userOf(url: string): string | undefined {
  if (!url.includes('://')) return undefined
  const {user, passwd} = parseUrl(url)
  return passwd === undefined ? user : undefined
}
