/** The methods of the cell for its new members: copies of the store. Our own, which no peer has. */
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, generator, method, optional, required} from './cell-method.ts'
import {isStart, packPiece, packStart} from './mirroring/copy-messages.ts'
import {reasonOf} from './mirroring/role.ts'

const ADMIN: Need = {kind: 'admin'}
const LOGGED = {isLogged: true} as const

/** Rows of the table of methods: who copies the store. */
export const COPY_METHODS = {
  iterSnapshot: generator(ADMIN, [optional('offset', 0), optional('id')], copy, {...LOGGED, isUnawaited: true}),
  dropSnapshot: method(ADMIN, [required('id')], drop, LOGGED),
} as const satisfies Record<string, CellMethod>

async function* copy(call: CellCall): AsyncGenerator<Value, void> {
  const {snapshots, mirroring, cellIden} = call.parts
  const {role} = mirroring.roles
  if (role.kind === 'fenced') {
    const text = `a copy of this member would differ from the others: ${reasonOf(role)}`
    throw new RegistryError('REG_FENCED', text, {info: {name: role.name, urls: [...role.urls]}})
  }
  const wish = {id: call.optionalText('id'), offset: call.integer('offset', 0, Number.MAX_SAFE_INTEGER)}
  for await (const item of snapshots.read(wish, call.signal)) {
    yield isStart(item) ? packStart(item, cellIden) : packPiece(item)
  }
}

async function drop(call: CellCall): Promise<Value> {
  await call.parts.snapshots.drop(call.text('id'))
  return true
}
