import {RegistryError} from '../base/errors.ts'
import {packageVersion, replacement} from '../base/package-root.ts'

/**
 * Loads a part of the server that few ever need, when it is needed. Says what is wrong where it is not there any more because other software was
 * installed in place of what runs.
 *
 * @throws RegistryError `REG_INTERNAL`
 */
export async function loadLate<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    const installed = replacement()
    throw installed === undefined ? cause : replaced(installed, cause)
  }
}

function replaced(installed: string | null, cause: unknown): RegistryError {
  const now = installed === null ? 'nothing is installed in its place' : `${installed} is installed in its place`
  const text = `this server runs version ${packageVersion()} and ${now}: a part that was not needed before cannot be loaded`
  return new RegistryError('REG_INTERNAL', text, {cause, info: {installed}, hints: ['start the server again']})
}
