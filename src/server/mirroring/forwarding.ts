/** The way of changes to the leader, made of what this member knows of the others. */
import {systemClock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import type {ChangeLog} from '../../nexus/change-log.ts'
import type {Store} from '../../store/store.ts'
import {Forwarder, type OwnLog, type Uplink} from './forwarder.ts'
import type {Mirroring} from './mirroring.ts'

export interface ForwardingPorts {
  readonly mirroring: Pick<Mirroring, 'roles' | 'follower'>
  readonly changes: Pick<ChangeLog, 'written' | 'head'>
  readonly store: Pick<Store, 'read'>
}

/** Makes what has the leader do the changes that are asked for here. */
export function forwarderOf({mirroring: {roles, follower}, changes, store}: ForwardingPorts): Forwarder {
  const uplink: Uplink = {
    leaderProxy: (signal) => follower.leaderProxy(signal),
    get lostForMs() {
      const {isLinked, problem} = follower.state
      return isLinked || problem === undefined ? undefined : systemClock.wallMs() - problem.sinceMs
    },
  }
  const log: OwnLog = {
    written: (offset, signal) => changes.written(offset, signal),
    get epoch() {
      return changes.head.epoch
    },
    hashAt: async (offset) => {
      try {
        return (await store.read(offset, 1))[0]?.hash
      } catch (error) {
        if (error instanceof RegistryError && error.code === 'REG_OFFSET_CULLED') return undefined
        throw error
      }
    },
  }
  return new Forwarder({role: roles, uplink, log})
}
