import {appendMember, withoutMembers} from '../base/json-text.ts'
import {encodeMaintenance, type Maintenance} from './maintenance.ts'
import {flat, type Service} from './service.ts'

const ONLY: ReadonlySet<string> = new Set(['maintenance'])

/** Gives the text of a service object with another maintenance, or without any. */
export function maintainedText(text: string, maintenance: Maintenance | undefined): string {
  const bare = withoutMembers(text, ONLY)
  return flat(maintenance === undefined ? bare : appendMember(bare, 'maintenance', encodeMaintenance(maintenance)))
}

/** Gives the service with another maintenance, or without any. */
export function withMaintenance(service: Service, maintenance: Maintenance | undefined): Service {
  return {...service, text: maintainedText(service.text, maintenance), maintenance}
}
