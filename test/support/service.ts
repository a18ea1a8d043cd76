import {readService, type Service} from '../../src/registry/service.ts'

/** Makes a service as a request would, with defaults for what does not matter. */
export function makeService(info: Record<string, unknown> = {}, ttl: unknown = 30): Service {
  const value = {name: 'cam', host: '127.0.0.1', port: 5000, ...info}
  const service = readService({value, text: JSON.stringify(value), ttl}, (name) => `${name}-generated`)
  if ('error' in service) throw new Error(service.error)
  return service
}
