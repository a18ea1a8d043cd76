import {RegistryError} from '../base/errors.ts'

/** Longest full name of a service; those that are provisioned have at most 64, as certificates do. */
const MAX_NAME = 256
/** A store takes no NUL in a key: one such name would fail the changes of all others with it. */
const CONTROL = /\p{Cc}/u

/** Where a service stands in AHA: `00.axon` in `loop.vertex.link` is `00.axon.loop.vertex.link` in full. */
export interface AhaName {
  readonly full: string
  readonly name: string
  readonly network: string
}

/** Completes a name that ends in three dots, which stand for the own network: `axon...`. Others are as they are. */
export function expandName(name: string, ownNetwork: string): string {
  return name.endsWith('...') ? `${name.slice(0, -2)}${ownNetwork}` : name
}

/**
 * Takes the name of a service, relative to a network or in full, apart. What ends in the own network is a name in it, however it was given;
 * else the network is the one given, or what follows the first dot. So a full name has one place in the own network and one permission:
 * the peer keeps `00` of `axon.loop.vertex.link` and `00.axon` of `loop.vertex.link` as two services of one full name.
 *
 * @throws RegistryError `REG_BAD_REQUEST`
 */
export function placeName(name: string, network: string | undefined, ownNetwork: string): AhaName {
  const full = network === undefined ? expandName(name, ownNetwork) : `${name}.${network}`
  const dot = full.indexOf('.')
  if (dot === -1) throw badName(name, 'Name must contain at least one "."')
  if (full.length > MAX_NAME) throw badName(name.slice(0, MAX_NAME), `Name must not exceed ${MAX_NAME} characters`)
  if (full.split('.').includes('')) throw badName(name, 'Name must not have empty parts between its dots')
  if (CONTROL.test(full)) throw badName(name, 'Name must not hold control characters')
  if (full.endsWith(`.${ownNetwork}`)) {
    return {full, name: full.slice(0, -ownNetwork.length - 1), network: ownNetwork}
  }
  if (network === undefined) return {full, name: full.slice(0, dot), network: full.slice(dot + 1)}
  return {full, name, network}
}

function badName(name: string, text: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', text, {info: {name, arg: 'name'}})
}
