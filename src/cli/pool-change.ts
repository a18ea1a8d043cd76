import {RegistryError} from '../base/errors.ts'
import {nearestName} from '../base/nearest.ts'
import type {Pool, PoolAdmin} from '../client/pools.ts'

/** What is to become of the members of a pool; names as they were given. */
export interface PoolWish {
  readonly add: readonly string[]
  readonly remove: readonly string[]
}

/** A change of members, by their full names. */
interface Step {
  readonly kind: 'add' | 'remove'
  readonly service: string
}

/**
 * Gives the changes that a wish comes to; those that make no difference are left out.
 *
 * @throws RegistryError `REG_NOT_FOUND` for a service that AHA does not know, or that is to be removed and is not in; `REG_USAGE` for one that is to
 * be added and removed
 */
export async function poolSteps(admin: PoolAdmin, pool: Pool | undefined, wish: PoolWish): Promise<readonly Step[]> {
  const {services = []} = pool ?? {}
  const removed = wish.remove.map((name) => memberOf(pool, name))
  const added: string[] = []
  for (const name of wish.add) added.push(await admin.service(name))
  for (const service of added) {
    if (removed.includes(service)) throw new RegistryError('REG_USAGE', `${service} is to be added and removed`)
  }
  return [
    ...[...new Set(removed)].map((service) => ({kind: 'remove', service}) as const),
    ...[...new Set(added)].flatMap((service) => (services.includes(service) ? [] : [{kind: 'add', service} as const])),
  ]
}

/** Gives the pool as it is after some changes. */
export function poolAfterSteps(pool: Pool, steps: readonly Step[]): Pool {
  const removed = new Set(steps.flatMap(({kind, service}) => (kind === 'remove' ? [service] : [])))
  const added = steps.flatMap(({kind, service}) => (kind === 'add' ? [service] : []))
  return {...pool, services: [...pool.services.filter((service) => !removed.has(service)), ...added]}
}

/**
 * Does the changes one by one.
 *
 * @throws RegistryError what AHA answered; when changes before it were done, the text names them
 */
export async function doPoolSteps(admin: PoolAdmin, pool: Pool, steps: readonly Step[]): Promise<void> {
  const done: string[] = []
  for (const {kind, service} of steps) {
    const doing = kind === 'add' ? admin.addMember(pool.name, service) : admin.removeMember(pool.name, service)
    await doing.catch((error: unknown) => {
      throw done.length === 0 || !(error instanceof RegistryError) ? error : partly(error, done)
    })
    done.push(`${kind} ${service}`)
  }
}

/** A member may be removed although AHA knows no service of the name any more, so its name is looked for among the members alone. */
function memberOf(pool: Pool | undefined, name: string): string {
  const {services = []} = pool ?? {}
  const stem = name.endsWith('...') ? name.slice(0, -2) : `${name}.`
  const found =
    services.find((service) => service === name) ?? services.find((service) => isBelow(service, stem, pool?.name ?? ''))
  if (found !== undefined) return found
  const nearest = nearestName(name, services)
  throw new RegistryError('REG_NOT_FOUND', `the service ${name} is not in the pool ${pool?.name}`, {
    info: {name, ...(nearest === undefined ? {} : {nearest})},
    hints: [`registry pool show ${pool?.name}`],
  })
}

/** Tells whether a full name is `stem` and a network: the one that the name of the pool ends with too. */
function isBelow(service: string, stem: string, pool: string): boolean {
  return service.startsWith(stem) && pool.endsWith(`.${service.slice(stem.length)}`)
}

function partly(error: RegistryError, done: readonly string[]): RegistryError {
  const {code, message, info, hints, telepath} = error
  return new RegistryError(code, `${message} (done before that: ${done.join(', ')})`, {
    info: {...info, done},
    hints,
    telepath,
    cause: error,
  })
}
