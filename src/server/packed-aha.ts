/** Services and pools of AHA as peers get them. */
import type {AhaEntry, JsonObject} from '../registry/aha-entry.ts'
import type {AhaFence} from '../registry/aha-fence.ts'
import type {AhaPool} from '../registry/aha-pool.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {sentOften} from '../wire/telepath/messages.ts'

/** How often a fenced service has asked for the name of the leader since the start of this server. */
export interface Refusals {
  readonly count: number
  readonly lastMs: number
}

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

/** Gives a fence as it stands in `svcinfo` of its service; times are epoch milliseconds. */
export function packFence({name, alias, leader, sinceMs, back}: AhaFence, refusals: Refusals | undefined): JsonObject {
  const last = refusals?.lastMs ?? back?.atMs ?? null
  return {name, alias, leader, since: sinceMs, refused: refusals?.count ?? 0, last, from: back?.from ?? null}
}

const listed = new WeakMap<AhaEntry, Packed>()

/** Gives a service as lists show it: the same object as long as nothing changes of it. */
export function packListed(entry: AhaEntry): Packed {
  const known = listed.get(entry)
  if (known !== undefined) return known
  const packed = sentOften(packEntry(entry))
  listed.set(entry, packed)
  return packed
}
