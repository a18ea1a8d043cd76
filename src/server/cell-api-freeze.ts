/** The methods of the cell that stop its changes for a snapshot of the volume. */
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, method, optional} from './cell-method.ts'

const ADMIN: Need = {kind: 'admin'}
const LOGGED = {isLogged: true} as const
/** As the peer waits. */
const WITHIN_S = 30
const MAX_S = 120
const LONGEST_MS = 3_600_000

/** Rows of the table of methods: freeze and resume. `max` is ours: after so many seconds the freeze ends by itself. */
export const FREEZE_METHODS = {
  freeze: method(
    ADMIN,
    [optional('timeout', WITHIN_S), optional('max', MAX_S)],
    async (call) => {
      await call.parts.freezer.freeze(
        {withinMs: call.timeoutMs('timeout') ?? WITHIN_S * 1000, maxMs: maxOf(call)},
        call.actor,
      )
      return null
    },
    LOGGED,
  ),
  resume: method(
    ADMIN,
    [],
    async (call) => {
      await call.parts.freezer.resume(call.actor)
      return null
    },
    LOGGED,
  ),
} as const satisfies Record<string, CellMethod>

function maxOf(call: CellCall): number {
  const maxMs = call.timeoutMs('max') ?? MAX_S * 1000
  if (maxMs >= 1000 && maxMs <= LONGEST_MS) return maxMs
  throw new RegistryError('REG_BAD_REQUEST', `max must be a number of seconds from 1 to ${LONGEST_MS / 1000}`)
}
