import type {LiveKind} from './complete.ts'

/** What a listing gives for completion. */
export interface NamedService {
  readonly id: string
  readonly name: string
  readonly type: string | undefined
  readonly tags: readonly string[]
}

/** Gives the distinct values of a kind, sorted. */
export function liveValues(kind: LiveKind, services: readonly NamedService[]): string[] {
  const values = services.flatMap((service) => valuesOf(kind, service))
  return [...new Set(values)].filter((value) => value !== '').toSorted()
}

function valuesOf(kind: LiveKind, service: NamedService): readonly string[] {
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

/** Finds the value of a flag among words that are still being typed. */
export function flagValue(words: readonly string[], flag: string): string | undefined {
  const last = words.findLastIndex((word) => word === `--${flag}` || word.startsWith(`--${flag}=`))
  const word = words[last]
  return word?.startsWith(`--${flag}=`) ? word.slice(flag.length + 3) : words[last + 1 || words.length]
}
