/** What parts of the server need of the leader by themselves, without a call of a client. */
import type {LoginsElsewhere} from '../../cell/logins.ts'
import type {Users} from '../../cell/users.ts'
import type {AhaServices} from '../aha-services.ts'
import type {OfflineElsewhere} from '../offline-writer.ts'
import type {Forwarder} from './forwarder.ts'

type Way = Pick<Forwarder, 'isNeeded' | 'run'>

/** Logins at a mirror: a password that works once is used up at the leader, and who guessed too often is locked there. */
export function loginsThrough(forwarder: Way, users: Pick<Users, 'useOnepass' | 'setUserLocked'>): LoginsElsewhere {
  return {
    get isNeeded() {
      return forwarder.isNeeded
    },
    useOnepass: async (user, passwd, actor) => {
      const here = () => users.useOnepass(user, passwd, actor)
      return (await forwarder.run({via: 'login', user, passwd, actor}, here)) === true
    },
    lock: async (user, actor) => {
      await forwarder.run({via: 'lock', user, actor}, () => users.setUserLocked(user, true, actor))
    },
  }
}

/** Sessions of services that end at a mirror. */
export function offlineThrough(forwarder: Way, services: Pick<AhaServices, 'takeOffline'>): OfflineElsewhere {
  return {
    get isNeeded() {
      return forwarder.isNeeded
    },
    takeOffline: async (gone) => {
      await forwarder.run({via: 'offline', services: gone}, () => services.takeOffline(gone))
    },
  }
}
