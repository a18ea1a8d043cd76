import {expect, test} from 'vitest'
import type {RegistryError} from '../../src/base/errors.ts'
import {openCell} from '../../src/cli/open-cell.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {TelepathPeer} from '../support/telepath-peer.ts'

/** Why a cell is not opened that answers the greeting with this error. */
async function refusalOf(errname: string, errinfo: Readonly<Record<string, Value>>): Promise<RegistryError> {
  const refused: Value = ['tele:syn', {vers: [3, 0], retn: [false, [errname, errinfo]]}]
  await using peer = await TelepathPeer.start((_message, link) => link.send(refused))
  const options = {signal: new AbortController().signal, onWarning: () => undefined}
  return await openCell([`tcp://127.0.0.1:${peer.port}`], options).then(
    () => expect.fail('it was opened'),
    (error: RegistryError) => error,
  )
}

test('who is unknown there is told the command that lets him in', async () => {
  const {hints} = await refusalOf('NoSuchUser', {mesg: 'who?', username: 'bob@demo.net'})
  expect(hints).toEqual(['on its machine: registry user add bob@demo.net --url cell://DIR'])
})

test.each(['a; rm -rf /', '--admin', '', 7])('what is no name becomes no part of a command: %j', async (username) => {
  const {hints} = await refusalOf('NoSuchUser', {mesg: 'who?', username})
  expect(hints).toEqual(['on its machine: registry user add NAME --url cell://DIR'])
})

test('who is refused is told who may be there', async () => {
  const {hints} = await refusalOf('AuthDeny', {mesg: 'no'})
  expect(hints).toEqual(['on its machine: registry user list --url cell://DIR'])
})
