/** The methods of AHA for who wants certificates by hand: its authorities, and what they sign. PEM goes as text here, in both directions. */
import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import {ahaOf} from './aha-parts.ts'
import type {Asker} from './authorities.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, method, optional, required} from './cell-method.ts'

/** Requests have some 2 KB. */
const MAX_CSR = 64 * 1024
const CSR = required('csrtext')
const NETWORK = required('network')

/** Rows of the table of methods: the authorities of AHA. */
export const CA_METHODS = {
  getCaCert: method(needed('ca', 'get'), [NETWORK], async (call) => {
    const network = call.value('network')
    if (typeof network !== 'string') return null
    return (await ahaOf(call.parts).authorities.pem(network)) ?? null
  }),
  genCaCert: method(
    needed('ca', 'gen'),
    [NETWORK],
    (call) => ahaOf(call.parts).authorities.ensure(call.text('network'), askerOf(call)),
    {isLogged: true, isWrite: true},
  ),
  signHostCsr: method(
    needed('csr', 'host'),
    [CSR, optional('signas'), optional('sans')],
    (call) =>
      ahaOf(call.parts).authorities.sign(
        {purpose: 'host', csr: csrOf(call), signAs: call.optionalText('signas'), sans: call.optionalText('sans')},
        askerOf(call),
      ),
    {isWrite: true},
  ),
  signUserCsr: method(
    needed('csr', 'user'),
    [CSR, optional('signas')],
    (call) =>
      ahaOf(call.parts).authorities.sign(
        {purpose: 'user', csr: csrOf(call), signAs: call.optionalText('signas')},
        askerOf(call),
      ),
    {isWrite: true},
  ),
} as const satisfies Record<string, CellMethod>

function needed(...path: readonly string[]): Need {
  return {kind: 'permission', path: ['aha', ...path]}
}

function csrOf(call: CellCall): string {
  const csr = call.value('csrtext')
  if (typeof csr !== 'string') throw new RegistryError('REG_BAD_REQUEST', 'a certificate request must be a text')
  if (csr.length <= MAX_CSR) return csr
  throw new RegistryError('REG_BAD_REQUEST', `a certificate request must not exceed ${MAX_CSR} characters`)
}

function askerOf({actor, user, session}: CellCall): Asker {
  return {actor, isAdmin: user.isAdmin, from: session.peer.address}
}
