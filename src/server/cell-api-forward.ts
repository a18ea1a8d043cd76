/** The methods of the cell for its mirrors: what they pass on. Ours: the peer has others. */
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import {ahaOf} from './aha-parts.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, method, opener, required} from './cell-method.ts'

const ADMIN: Need = {kind: 'admin'}

/** Rows of the table of methods: calls that come through a mirror. */
export const FORWARD_METHODS = {
  // The log tells of the call itself, with who asked at the mirror.
  forward: method(ADMIN, [{name: 'call', isSecret: true}], async (call) => {
    const via = assertMember(call)
    const {forwards} = call.parts
    if (forwards === undefined) throw new RegistryError('REG_NOT_LEADER', 'this cell has no members')
    return await forwards.take(call.value('call'), {name: via}, call.signal)
  }),
} as const satisfies Record<string, CellMethod>

/** Rows of the table of methods: one-time URLs that are redeemed at a mirror. */
export const REDEEM_METHODS = {
  redeem: opener(ADMIN, [{name: 'iden', isSecret: true}, required('address'), required('family')], (call) => {
    assertMember(call)
    const family = call.text('family') === 'tls' ? 'tls' : 'tcp'
    return ahaOf(call.parts).redeem(call.text('iden'), {address: call.text('address'), family})
  }),
} as const satisfies Record<string, CellMethod>

/**
 * Refuses who is no member of the cell, whatever he may do else: members say in whose name they call. Gives the name of the member, or where it is
 * when it does not follow yet.
 *
 * @throws RegistryError `REG_DENIED`
 */
export function assertMember({parts, session}: CellCall): string {
  const {peer} = session
  if (parts.memberName !== undefined && peer.certificate?.name === parts.memberName) {
    const attached = parts.mirroring.mirrors.attached.values()
    return attached.find(({sessionId}) => sessionId === session.id)?.name ?? peer.address
  }
  throw new RegistryError(
    'REG_DENIED',
    'Only members of this cell may call this, with the certificate of root of its network.',
  )
}
