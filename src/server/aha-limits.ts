import {RegistryError} from '../base/errors.ts'

/** The error for a list of AHA that is full: `no more than 100 pools are taken`. */
export function tooMany(what: string, limit: number): RegistryError {
  return new RegistryError('REG_BUSY', `no more than ${limit} ${what} are taken`)
}
