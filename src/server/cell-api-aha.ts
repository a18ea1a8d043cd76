/** The methods of AHA for services: they register, say whether they are ready, and are found. */
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import {type AhaEntry, forUser} from '../registry/aha-entry.ts'
import type {AhaName} from '../registry/aha-name.ts'
import type {AhaPool} from '../registry/aha-pool.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {ahaOf} from './aha-parts.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, generator, method, optional, required} from './cell-method.ts'
import {packEntry, packListed, packPool} from './packed-aha.ts'

const LOGIN: Need = {kind: 'login'}

/** Rows of the table of methods: the services of AHA. What is unknown is nobody's, so that its absence is told to all, as the peer does. */
export const AHA_METHODS = {
  addAhaSvc: method(
    (call) => ofPlace('add', placeOf(call)),
    [required('name'), required('info'), optional('network')],
    async (call) => {
      const {services} = ahaOf(call.parts)
      await services.add(placeOf(call), call.value('info'), call.session, call.actor)
      return null
    },
    {
      isWrite: true,
      onMirror: (call, pass) => ahaOf(call.parts).services.addThrough(placeOf(call).full, call.session, pass),
    },
  ),
  modAhaSvcInfo: method(
    (call) => {
      readyOf(call)
      const entry = ahaOf(call.parts).services.standing(call.text('name'))
      return entry === undefined ? LOGIN : ofPlace('add', entry)
    },
    [required('name'), required('svcinfo')],
    (call) => {
      const {services} = ahaOf(call.parts)
      const isReady = readyOf(call)
      const name = call.text('name')
      if (isReady === undefined) return services.standing(name) !== undefined
      return services.setReady(name, isReady, call.actor)
    },
    {isWrite: true},
  ),
  getAhaSvc: method(
    needToGet,
    [required('name'), optional('filters')],
    (call) => {
      const place = found(call)
      if (place === undefined) return null
      const {services, pools} = ahaOf(call.parts)
      if (place.kind === 'service') {
        const wanted = wantsMirror(call.value('filters')) ? services.mirrorOf(place.entry) : place.entry
        return packEntry(forUser(wanted, call.userName))
      }
      const member = pools.pick(place.members) ?? place.entry
      return {...packEntry(forUser(member, call.userName)), ...packPool(place.pool)}
    },
    {isLookup: true},
  ),
  getAhaSvcMirrors: method(
    needToGet,
    [required('name')],
    (call) => {
      const place = found(call)
      return place === undefined ? null : ahaOf(call.parts).services.mirrors(place.entry).map(packEntry)
    },
    {isLookup: true},
  ),
  getAhaSvcs: generator(
    (call) => {
      const network = call.optionalText('network')
      return toGet(...(network === undefined ? [] : [network]))
    },
    [optional('network')],
    (call) => each(ahaOf(call.parts).services.list(call.optionalText('network'))),
    {isBrief: true, isLookup: true},
  ),
  getAhaSvcsByIden: generator(
    LOGIN,
    [required('iden'), optional('online', true), optional('skiprun')],
    (call) => {
      const {services} = ahaOf(call.parts)
      return each(services.byIden(call.text('iden'), call.boolean('online'), call.optionalText('skiprun')))
    },
    {isBrief: true, isLookup: true},
  ),
  delAhaSvc: method(
    (call) => ofPlace('del', placeOf(call)),
    [required('name'), optional('network')],
    async (call) => {
      await ahaOf(call.parts).services.remove(placeOf(call).full, call.actor)
      return null
    },
    {isLogged: true, isWrite: true},
  ),
  getAhaUrls: method(LOGIN, [optional('user', 'root')], (call) => ahaOf(call.parts).urls(call.text('user'))),
} as const satisfies Record<string, CellMethod>

function placeOf(call: CellCall): AhaName {
  return ahaOf(call.parts).services.place(call.text('name'), call.optionalText('network'))
}

/** What a name stands for; of a pool, `entry` is one of its members. */
type Found =
  | {readonly kind: 'service'; readonly entry: AhaEntry}
  | {
      readonly kind: 'pool'
      readonly pool: AhaPool
      readonly entry: AhaEntry
      /** In the network of `entry`: the permission is for it alone. */
      readonly members: readonly AhaEntry[]
    }

/** A service has its name before a pool does. */
function found(call: CellCall): Found | undefined {
  const {services, pools} = ahaOf(call.parts)
  const name = call.text('name')
  const entry = services.get(name)
  if (entry !== undefined) return {kind: 'service', entry}
  const pool = pools.get(name)
  if (pool === undefined) return undefined
  const [first, ...others] = pools.members(pool)
  if (first === undefined) throw emptyPool(pool)
  const members = [first, ...others.filter(({network}) => network === first.network)]
  return {kind: 'pool', pool, entry: first, members}
}

function emptyPool({name, members}: AhaPool): RegistryError {
  const text = `No services configured for pool: ${name}`
  const about = members.length === 0 ? text : `${text} (none of its ${members.length} services is registered)`
  return new RegistryError('REG_BAD_REQUEST', about, {info: {name}, hints: [`registry pool show ${name}`]})
}

function needToGet(call: CellCall): Need {
  const place = found(call)
  return place === undefined ? LOGIN : toGet(place.entry.network)
}

function toGet(...network: readonly string[]): Need {
  return {kind: 'permission', path: ['aha', 'service', 'get', ...network]}
}

/** The name counts as one element; a rule for a network covers all of its names. */
function ofPlace(verb: 'add' | 'del', {network, name}: AhaName): Need {
  return {kind: 'permission', path: ['aha', 'service', verb, network, name]}
}

/** Undefined when nothing is to be changed. */
function readyOf(call: CellCall): boolean | undefined {
  const info = call.value('svcinfo')
  if (!isRecord(info)) throw new RegistryError('REG_BAD_REQUEST', 'svcinfo must be a map')
  for (const name of Object.keys(info)) {
    if (name === 'ready') continue
    const text = `Editing AHA service info property (${name.slice(0, 100)}) is not supported!`
    throw new RegistryError('REG_BAD_REQUEST', text)
  }
  const {ready} = info
  if (ready === undefined || typeof ready === 'boolean') return ready
  throw new RegistryError('REG_BAD_REQUEST', 'svcinfo.ready must be true or false')
}

function wantsMirror(filters: Value): boolean {
  return isRecord(filters) && filters['mirror'] === true
}

function isRecord(value: Value): value is {readonly [key: string]: Value} {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

async function* each(entries: readonly AhaEntry[]): AsyncGenerator<Value, void> {
  for (const entry of entries) yield packListed(entry)
}
