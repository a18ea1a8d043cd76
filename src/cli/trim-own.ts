import type {LogFacts} from '../client/trim.ts'
import type {OwnArchiver, OwnLog, OwnTrim} from '../client/trim-own.ts'
import type {Absentee} from '../registry/trim.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'
import type {FollowerReport, TrimReport, TrimWish} from './trim-run.ts'

/** Makes the report of what a server of ours answered. */
export function ownReport(service: string, trim: OwnTrim, wish: TrimWish, dryRun: boolean): TrimReport {
  const {trimmedTo, before, after, followers} = trim
  const archivers = trim.archivers.map((one) => archiverReport(one, before.index))
  const members = followers.map(({name, index}) => {
    const isAway = index === null
    const behind = isAway ? null : Math.max(0, before.index - index)
    return {name, index, behind, awaited: !isAway, why: isAway ? `${name} is away` : null}
  })
  const others = wish.consumers.map((url) => ({
    ...{name: sanitizeUrl(url), index: null, behind: null, awaited: true, why: null},
  }))
  const warnings = [
    ...members.flatMap(({name, why}) =>
      why === null ? [] : [`${why}; ${name} is cut off, and copies all again when it is back`],
    ),
    ...archivers.flatMap(({name, why}) =>
      why === null ? [] : [`${why}; ${name} is cut off, and begins anew with another base when it is back`],
    ),
  ]
  return {
    changed: after !== null,
    dryRun,
    service,
    trimmedTo,
    before: factsOf(before),
    after: after === null ? null : factsOf(after),
    followers: [...members, ...archivers, ...others],
    warnings,
  }
}

function archiverReport({name, index, isAttached, seenMs, lacks}: OwnArchiver, next: number): FollowerReport {
  const since = new Date(seenMs).toISOString()
  const why = `${name}, which archives the log, is away since ${since} and has the entries below ${index}`
  const isCut = lacks && !isAttached
  return {name, index, behind: Math.max(0, next - index), awaited: lacks && isAttached, why: isCut ? why : null}
}

/** Gives those who follow and are away. */
export function absentIn({followers}: TrimReport): readonly Absentee[] {
  return followers.flatMap(({name, why}) => (why === null ? [] : [{name, why, code: 'REG_UNREACHABLE'} as const]))
}

function factsOf({index, oldest, bytes}: OwnLog): LogFacts {
  return {index, oldest, bytes, bytesOf: 'database'}
}
