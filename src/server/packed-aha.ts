/** Services and pools of AHA as peers get them. */
import type {AhaEntry} from '../registry/aha-entry.ts'
import type {AhaPool} from '../registry/aha-pool.ts'
import type {Value} from '../wire/msgpack/value.ts'

type Packed = Readonly<Record<string, Value>>

export function packEntry({full, name, network, info}: AhaEntry): Packed {
  return {name: full, svcname: name, svcnetw: network, svcinfo: info}
}

export function packPool({name, createdMs, creator, members}: AhaPool): Packed {
  const services = Object.fromEntries(
    members.map((member) => [member.service, {created: member.createdMs, creator: member.creator}]),
  )
  return {name, created: createdMs, services, creator}
}
