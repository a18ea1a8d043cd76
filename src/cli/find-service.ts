import {RegistryError} from '../base/errors.ts'
import type {RegistryClient} from '../client/registry-client.ts'

/**
 * Does something with the service that a person named: by its id, or by a name that only one has. Nothing is done for a name that several
 * have.
 */
export async function withService<T>(
  client: RegistryClient,
  idOrName: string,
  act: (id: string) => Promise<T>,
): Promise<T> {
  try {
    return await act(idOrName)
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'REG_NOT_FOUND') throw error
    const [only, ...others] = await client.list({name: idOrName})
    if (only === undefined) throw unknown(client.url, idOrName, error)
    if (others.length > 0) throw ambiguous(idOrName, [only.id, ...others.map(({id}) => id)])
    return await act(only.id)
  }
}

function unknown(url: string, idOrName: string, cause: unknown): RegistryError {
  const text = `the registry at ${url} has no service with the id or the name "${idOrName}"`
  return new RegistryError('REG_NOT_FOUND', text, {info: {id: idOrName}, cause})
}

function ambiguous(name: string, ids: readonly string[]): RegistryError {
  return new RegistryError('REG_CONFLICT', `${ids.length} services have the name "${name}": give an id`, {
    info: {name, ids},
    hints: [`registry service list --name ${name}`],
  })
}
