import {RegistryError} from '../base/errors.ts'

/**
 * Waits for a part that an option asks for. An error says which option that is, and what can be done about it.
 *
 * @throws what `opening` is rejected with
 */
export async function forOption<T>(option: string, hints: readonly string[], opening: Promise<T>): Promise<T> {
  return opening.catch((error: unknown) => {
    throw error instanceof RegistryError ? about(option, hints, error) : error
  })
}

function about(option: string, hints: readonly string[], error: RegistryError): RegistryError {
  return new RegistryError(error.code, `${option}: ${error.message}`, {
    info: {...error.info, option},
    hints: [...hints, `registry config explain ${option}`],
    telepath: error.telepath,
    cause: error,
  })
}
