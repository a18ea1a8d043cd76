import type {CellAdmin} from '../client/admin.ts'
import type {HolderKind, LiveKind, ServiceKind} from './complete.ts'

/** What a listing gives for completion. */
export interface NamedService {
  readonly id: string
  readonly name: string
  readonly type: string | undefined
  readonly tags: readonly string[]
}

/** Gives the distinct values of a kind, sorted. */
export function liveValues(kind: ServiceKind, services: readonly NamedService[]): string[] {
  const values = services.flatMap((service) => valuesOf(kind, service))
  return [...new Set(values)].filter((value) => value !== '').toSorted()
}

function valuesOf(kind: ServiceKind, service: NamedService): readonly string[] {
  switch (kind) {
    case 'id':
      return [service.id]
    case 'name':
      return [service.name]
    case 'type':
      return service.type === undefined ? [] : [service.type]
    case 'tag':
      return service.tags
  }
}

/** Tells whether a cell is to be asked for values of this kind. */
export function isHolderKind(kind: LiveKind): kind is HolderKind {
  return kind === 'user' || kind === 'role' || kind === 'apikey'
}

/** Asks a cell for the names of a kind, sorted. API keys are those of `user`; without one, of who asks. */
export async function holderNames(kind: HolderKind, admin: CellAdmin, user: string | undefined): Promise<string[]> {
  const named = await holders(kind, admin, user)
  return [...new Set(named.map(({name}) => name))].toSorted()
}

async function holders(
  kind: HolderKind,
  admin: CellAdmin,
  user: string | undefined,
): Promise<readonly {readonly name: string}[]> {
  switch (kind) {
    case 'user':
      return await admin.users()
    case 'role':
      return await admin.roles()
    case 'apikey':
      return await admin.keys(user === undefined ? undefined : await admin.userIden(user))
  }
}

/** Finds the value of a flag among words that are still being typed. */
export function flagValue(words: readonly string[], flag: string): string | undefined {
  const last = words.findLastIndex((word) => word === `--${flag}` || word.startsWith(`--${flag}=`))
  const word = words[last]
  return word?.startsWith(`--${flag}=`) ? word.slice(flag.length + 3) : words[last + 1 || words.length]
}
