import {randomBytes, randomUUID} from 'node:crypto'

/** Makes a guid: 32 lower-case hex digits. */
export function newGuid(): string {
  return randomBytes(16).toString('hex')
}

/** Makes the id of an instance that came without one: the name in lower case, spaces to dashes, and a random UUID. */
export function newServiceId(name: string): string {
  return `${name.toLowerCase().replaceAll(' ', '-')}-${randomUUID()}`
}
