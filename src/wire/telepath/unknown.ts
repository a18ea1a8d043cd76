import {RegistryError} from '../../base/errors.ts'
import type {Value} from '../msgpack/value.ts'
import type {Session} from './session.ts'
import type {Share, ShareInfo} from './share.ts'

/** Makes the error for a method that an object does not have; its share throws it too. */
export function noSuchMethod(info: ShareInfo, method: string): RegistryError {
  const [shortName] = (info.classes[0] ?? 'object').split('.').slice(-1)
  const name = method.slice(0, 200)
  return new RegistryError('REG_NOT_FOUND', `${shortName} has no method: ${name}.`, {
    telepath: 'NoSuchMeth',
    info: {name},
  })
}

/** Gives what a call goes to. @throws RegistryError `REG_NOT_FOUND` (`NoSuchObj`) */
export function shareOf(session: Session, name: Value): Share {
  const share = session.share(name)
  if (share === undefined) throw noSuchObject(name, 'the share is closed, or was never there')
  return share
}

/** Makes the error for a session or share that is not there. */
export function noSuchObject(name: Value, why: string): RegistryError {
  const shown = typeof name === 'string' ? name.slice(0, 200) : null
  return new RegistryError('REG_NOT_FOUND', why, {telepath: 'NoSuchObj', info: {name: shown}})
}
