import {fieldsOf, listOf, oddAnswer} from '../client/admin-values.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {localTime} from './render.ts'

/** What a registry that is an AHA tells of that side; the shape under `--json`. */
export interface AhaFacts {
  readonly network: string
  /** Each service counts once, whatever names it has. */
  readonly services: {readonly all: number; readonly online: number}
  readonly pools: number
  /** Services that may not take the name of their leader, as others were promoted in their place by force. */
  readonly fences: readonly AhaFenceFacts[]
  /** One-time URLs that somebody can still use, and those that are being used. */
  readonly provisions: {readonly pending: number; readonly claimed: number}
  /** Its own certificates that are due for renewal. */
  readonly ending: readonly {readonly kind: string; readonly name: string; readonly notAfter: string}[]
}

interface AhaFenceFacts {
  readonly name: string
  readonly leader: string
  readonly since: string
  /** How often it was refused since the server started, and when last. */
  readonly refused: number
  readonly lastRefused: string | null
}

/** Reads the part of `getRegistryInfo` about AHA. @throws RegistryError `REG_BAD_ANSWER` */
export function readAhaFacts(value: Value): AhaFacts {
  const {network, services, pools, provisions, fences = [], ending = []} = fieldsOf(value, 'aha')
  const {all, online} = fieldsOf(services, 'aha.services')
  const {pending, claimed} = fieldsOf(provisions, 'aha.provisions')
  return {
    network: String(network),
    services: {all: count(all), online: count(online)},
    pools: count(pools),
    provisions: {pending: count(pending), claimed: count(claimed)},
    fences: listOf(fences, 'aha.fences').map(readFence),
    ending: listOf(ending, 'aha.ending').map((one) => {
      const {kind, name, ends} = fieldsOf(one, 'a certificate')
      return {kind: String(kind), name: String(name), notAfter: time(ends)}
    }),
  }
}

/** Gives the lines about AHA; the services only where they are not listed as well. */
export function ahaPairs(
  aha: AhaFacts | undefined,
  isUnlisted: boolean,
): readonly (readonly [string, string | undefined])[] {
  if (aha === undefined) return []
  const {network, services, pools, provisions, fences, ending} = aha
  return [
    ['AHA of', network],
    ['AHA services', isUnlisted ? `${services.all}, ${services.online} of them online` : undefined],
    ['pools', String(pools)],
    [
      'URLs pending',
      `${provisions.pending}${provisions.claimed === 0 ? '' : `, and ${provisions.claimed} being used`}`,
    ],
    ...fences.map(fencePair),
    ...ending.map(endingPair),
  ]
}

function readFence(value: Value): AhaFenceFacts {
  const {name, leader, since, refused, last} = fieldsOf(value, 'a fence')
  const lastRefused = typeof last === 'number' ? time(last) : null
  return {name: String(name), leader: String(leader), since: time(since), refused: count(refused), lastRefused}
}

function fencePair({name, leader, since, refused, lastRefused}: AhaFenceFacts): readonly [string, string] {
  const last = lastRefused === null ? '' : `, last ${localTime(Date.parse(lastRefused))}`
  return ['may not lead', `${name}, for ${leader}, since ${localTime(Date.parse(since))}; refused ${refused}${last}`]
}

function endingPair({kind, name, notAfter}: AhaFacts['ending'][number]): readonly [string, string] {
  const command = `registry cert renew ${name} --kind ${kind} --dir DIR`
  return ['to renew', `${kind} ${name}, ends ${localTime(Date.parse(notAfter))}: ${command}`]
}

function count(value: Value): number {
  const number = Number(value)
  if (Number.isSafeInteger(number) && number >= 0) return number
  throw oddAnswer('getRegistryInfo', 'a count of AHA is none')
}

function time(value: Value): string {
  const date = new Date(Number(value))
  if (Number.isNaN(date.getTime())) throw oddAnswer('getRegistryInfo', 'the end of a certificate is no time')
  return date.toISOString()
}
