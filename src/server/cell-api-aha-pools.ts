/** The methods of AHA for pools of services, and for the list of AHA servers. */
import type {Need} from '../auth/need.ts'
import {forUser} from '../registry/aha-entry.ts'
import {type AhaPool, readCreator} from '../registry/aha-pool.ts'
import {readAhaServer} from '../registry/aha-server.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {ahaOf} from './aha-parts.ts'
import type {Topology} from './aha-pools.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, generator, method, required} from './cell-method.ts'
import {packEntry, packPool} from './packed-aha.ts'

const ADMIN: Need = {kind: 'admin'}
const LOGIN: Need = {kind: 'login'}
const WRITE = {isLogged: true, isWrite: true} as const

const NAME = required('name')
const POOL = required('poolname')
const SERVICE = required('svcname')
const INFO = required('info')
const PLACE = [required('host'), required('port')] as const
const MAX_PORT = 65_535

/** Rows of the table of methods: pools. Who logs in may look at them, as at the peer. */
export const POOL_METHODS = {
  addAhaPool: method(
    ADMIN,
    [NAME, INFO],
    async (call) => packPool(await poolsOf(call).add(call.text('name'), authorOf(call))),
    WRITE,
  ),
  delAhaPool: method(
    ADMIN,
    [NAME],
    async (call) => orNil(await poolsOf(call).remove(call.text('name'), call.actor)),
    WRITE,
  ),
  addAhaPoolSvc: method(
    ADMIN,
    [POOL, SERVICE, INFO],
    async (call) =>
      packPool(await poolsOf(call).addMember(call.text('poolname'), call.text('svcname'), authorOf(call))),
    WRITE,
  ),
  delAhaPoolSvc: method(
    ADMIN,
    [POOL, SERVICE],
    async (call) => packPool(await poolsOf(call).removeMember(call.text('poolname'), call.text('svcname'), call.actor)),
    WRITE,
  ),
  getAhaPool: method(LOGIN, [NAME], (call) => orNil(poolsOf(call).get(call.text('name'))), {isLookup: true}),
  getAhaPools: generator(LOGIN, [], (call) => each(poolsOf(call).list().map(packPool)), {
    isBrief: true,
    isLookup: true,
  }),
  iterPoolTopo: generator(
    LOGIN,
    [NAME],
    (call) => packed(poolsOf(call).follow(call.text('name'), call.signal), call.userName),
    {isUnawaited: true, isLookup: true},
  ),
} as const satisfies Record<string, CellMethod>

/** Rows of the table of methods: the AHA servers. */
export const SERVER_METHODS = {
  getAhaServers: method(LOGIN, [], (call) => ahaOf(call.parts).servers.list().map(packServer)),
  getAhaServer: method(LOGIN, PLACE, (call) => {
    const server = ahaOf(call.parts).servers.get(placeOf(call))
    return server === undefined ? null : packServer(server)
  }),
  addAhaServer: method(
    ADMIN,
    [required('server')],
    (call) => ahaOf(call.parts).servers.add(readAhaServer(call.value('server')), call.actor),
    WRITE,
  ),
  delAhaServer: method(
    ADMIN,
    PLACE,
    async (call) => {
      const server = await ahaOf(call.parts).servers.remove(placeOf(call), call.actor)
      return server === undefined ? null : packServer(server)
    },
    WRITE,
  ),
} as const satisfies Record<string, CellMethod>

function poolsOf(call: CellCall) {
  return ahaOf(call.parts).pools
}

/** Who calls, unless he names another one, as the peer's Cortex does for its users. */
function authorOf(call: CellCall): {readonly creator: string; readonly actor: string} {
  return {creator: readCreator(call.value('info')) ?? call.user.iden, actor: call.actor}
}

function placeOf(call: CellCall): {readonly host: string; readonly port: number} {
  return {host: call.text('host'), port: call.integer('port', 0, MAX_PORT)}
}

function packServer({host, port}: {readonly host: string; readonly port: number}): Value {
  return {host, port}
}

function orNil(pool: AhaPool | undefined): Value {
  return pool === undefined ? null : packPool(pool)
}

async function* packed(topologies: AsyncIterable<Topology>, user: string): AsyncGenerator<Value, void> {
  for await (const topology of topologies) {
    if (topology.kind === 'svc:add') yield ['svc:add', packEntry(forUser(topology.entry, user))]
    else yield ['svc:del', {name: topology.service}]
  }
}

async function* each(values: readonly Value[]): AsyncGenerator<Value, void> {
  yield* values
}
