/**
 * THE table of methods: what can be called, on which listener, and what the caller must be. A listener calls nothing that has no row here,
 * and calls what has one only after `authorize` (auth/door.ts) let the caller in.
 *
 * Rows of Telepath also hold their parameters and what they do; they stand beside their code, by subject (`cell-api-*.ts`).
 */
import type {Need} from '../auth/need.ts'
import {AHA_METHODS} from './cell-api-aha.ts'
import {POOL_METHODS, SERVER_METHODS} from './cell-api-aha-pools.ts'
import {BACKUP_METHODS} from './cell-api-backup.ts'
import {CA_METHODS} from './cell-api-ca.ts'
import {COPY_METHODS} from './cell-api-copy.ts'
import {FENCE_METHODS} from './cell-api-fences.ts'
import {FORWARD_METHODS, REDEEM_METHODS} from './cell-api-forward.ts'
import {FREEZE_METHODS} from './cell-api-freeze.ts'
import {HISTORY_METHODS} from './cell-api-history.ts'
import {LEAD_METHODS} from './cell-api-lead.ts'
import {LEADERSHIP_METHODS} from './cell-api-leadership.ts'
import {LOG_METHODS} from './cell-api-log.ts'
import {MIRRORING_METHODS} from './cell-api-mirroring.ts'
import {PEER_METHODS} from './cell-api-peers.ts'
import {PROVISION_METHODS} from './cell-api-provision.ts'
import {KEY_METHODS, ROLE_METHODS} from './cell-api-roles.ts'
import {CELL_METHODS, SESSION_METHODS} from './cell-api-self.ts'
import {SERVICE_METHODS} from './cell-api-services.ts'
import {OLD_METHODS, TASK_METHODS} from './cell-api-tasks.ts'
import {PASSWORD_METHODS, USER_METHODS, USER_RULE_METHODS} from './cell-api-users.ts'
import type {CellMethod} from './cell-method.ts'

/** Who connects to the plain ZeroMQ ports does not say who he is: these are for anyone. */
const ANYONE: Need = {kind: 'anyone'}

/** Actions of the ZeroMQ ports; `heartbeat` is what the heartbeat port takes. */
export const ZEROMQ_METHODS = {
  register: ANYONE,
  deregister: ANYONE,
  renew: ANYONE,
  get: ANYONE,
  list: ANYONE,
  discover: ANYONE,
  health: ANYONE,
  info: ANYONE,
  events: ANYONE, // what the event port publishes, from the log; nothing of who did it
  terminate: ANYONE, // and only with zmq:allow:terminate
  heartbeat: ANYONE,
} as const satisfies Record<string, Need>

export type ZeromqMethod = keyof typeof ZEROMQ_METHODS

/** Those that alter the state of the cell: a mirror passes them on to the leader. A renewal alters nothing that lasts. */
export const ZEROMQ_WRITES: ReadonlySet<string> = new Set<ZeromqMethod>(['register', 'deregister'])

/** Methods that every cell has over Telepath. */
const CELL_TABLE: ReadonlyMap<string, CellMethod> = new Map<string, CellMethod>(
  Object.entries({
    ...CELL_METHODS,
    ...SESSION_METHODS,
    ...LEADERSHIP_METHODS,
    ...LEAD_METHODS,
    ...MIRRORING_METHODS,
    ...COPY_METHODS,
    ...BACKUP_METHODS,
    ...USER_METHODS,
    ...PASSWORD_METHODS,
    ...USER_RULE_METHODS,
    ...ROLE_METHODS,
    ...KEY_METHODS,
    ...SERVICE_METHODS,
    ...FREEZE_METHODS,
    ...HISTORY_METHODS,
    ...LOG_METHODS,
    ...TASK_METHODS,
    ...OLD_METHODS,
    ...FORWARD_METHODS,
  }),
)

/** Methods that an AHA has besides. A cell that is none does not show them, so that the peers' tools know what it is. */
const AHA_TABLE: ReadonlyMap<string, CellMethod> = new Map<string, CellMethod>(
  Object.entries({
    ...AHA_METHODS,
    ...FENCE_METHODS,
    ...POOL_METHODS,
    ...SERVER_METHODS,
    ...PROVISION_METHODS,
    ...CA_METHODS,
    ...PEER_METHODS,
    ...REDEEM_METHODS,
  }),
)

/** All methods of Telepath. */
export const TELEPATH_METHODS: ReadonlyMap<string, CellMethod> = new Map([...CELL_TABLE, ...AHA_TABLE])

/** Gives the methods of a cell. */
export function methodsOf({aha}: {readonly aha?: unknown}): ReadonlyMap<string, CellMethod> {
  return aha === undefined ? CELL_TABLE : TELEPATH_METHODS
}
