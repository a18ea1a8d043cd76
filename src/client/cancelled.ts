import {RegistryError} from '../base/errors.ts'

/** Gives what a watch ends with when its caller is through with it: the caller's own error, or `REG_CANCELLED`. */
export function cancelled({reason}: AbortSignal): RegistryError {
  if (reason instanceof RegistryError) return reason
  return new RegistryError('REG_CANCELLED', 'the watch was cancelled', {cause: reason})
}
