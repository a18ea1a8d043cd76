/** The methods of AHA that keep a service from leading which was replaced by force. A real AHA has none of them. */
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import type {AhaEntry} from '../registry/aha-entry.ts'
import {ahaOf} from './aha-parts.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, method, required} from './cell-method.ts'
import {packFence} from './packed-aha.ts'

const ADMIN: Need = {kind: 'admin'}
const WRITE = {isLogged: true, isWrite: true} as const

/** Rows of the table of methods: fences. */
export const FENCE_METHODS = {
  /** Refuses a service the name of its leader, which another service of its cell has from now on. */
  fenceAhaSvc: method(
    ADMIN,
    [required('name'), required('leader')],
    async (call) => {
      const {fences} = ahaOf(call.parts)
      return packFence(await fences.set(entryOf(call, 'name'), entryOf(call, 'leader'), call.actor), undefined)
    },
    WRITE,
  ),
  /** Lets it have that name again. False when it was not refused. */
  unfenceAhaSvc: method(
    ADMIN,
    [required('name')],
    (call) => {
      const {fences, services} = ahaOf(call.parts)
      return fences.lift(services.place(call.text('name'), undefined).full, 'asked', call.actor)
    },
    WRITE,
  ),
} as const satisfies Record<string, CellMethod>

function entryOf(call: CellCall, param: 'name' | 'leader'): AhaEntry {
  const name = call.text(param)
  const entry = ahaOf(call.parts).services.standing(name)
  if (entry !== undefined) return entry
  throw new RegistryError('REG_NOT_FOUND', `no service named ${name.slice(0, 256)} is registered`, {
    telepath: 'NoSuchName',
    info: {name: name.slice(0, 256)},
  })
}
