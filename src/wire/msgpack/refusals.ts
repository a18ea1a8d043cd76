import {RegistryError} from '../../base/errors.ts'

const FORMAT = {telepath: 'BadMesgFormat'}

/** The message is not one. */
export function unreadable(why: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', `the message is not readable: ${why}`, FORMAT)
}

/** The message has, or says that it will have, more bytes than it may. */
export function tooLarge(maxBytes: number): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', `the message has more than ${maxBytes} bytes`, FORMAT)
}
