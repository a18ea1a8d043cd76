/** What the methods of AHA work with. Only there while AHA is on: `aha:network` and `dns:name` are set. */
import {RegistryError} from '../base/errors.ts'
import type {CellParts} from './cell-parts.ts'

export interface AhaParts {
  /** `aha:network` */
  readonly network: string
  /** URLs of the AHA servers for a service or a user of that name, as `getAhaUrls` answers. */
  readonly urls: (user: string) => readonly string[]
}

/**
 * Gives the parts of AHA.
 *
 * @throws RegistryError `REG_CONFLICT` (`NeedConfValu`) when AHA is off
 */
export function ahaOf({aha}: CellParts): AhaParts {
  if (aha !== undefined) return aha
  throw new RegistryError('REG_CONFLICT', 'this service is no AHA: aha:network and dns:name are not set', {
    telepath: 'NeedConfValu',
    hints: ['registry config explain dns:name'],
  })
}
