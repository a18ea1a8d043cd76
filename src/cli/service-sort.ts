import type {ServiceEntry} from '../client/service-entry.ts'

type Value = string | number

const KEYS = {
  name: ({name}) => name,
  type: ({type}) => type ?? '',
  host: ({host}) => host,
  port: ({port}) => port,
  health: ({health}) => health,
  renewed: ({lastHeartbeatMs}) => lastHeartbeatMs,
  ttl: ({ttlS}) => ttlS ?? 0,
  id: ({id}) => id,
} as const satisfies Record<string, (entry: ServiceEntry) => Value>

type Key = keyof typeof KEYS

/** What services can be ordered by; with a minus in front, the other way round. */
export const SORT_KEYS: readonly (Key | `-${Key}`)[] = (Object.keys(KEYS) as Key[]).flatMap((key) => [
  key,
  `-${key}` as const,
])

/** Orders services; equal ones keep their order. Without a key nothing changes. */
export function sortServices(
  entries: readonly ServiceEntry[],
  by: Key | `-${Key}` | undefined,
): readonly ServiceEntry[] {
  if (by === undefined) return entries
  const isDescending = by.startsWith('-')
  const read: (entry: ServiceEntry) => Value = KEYS[(isDescending ? by.slice(1) : by) as Key]
  const sign = isDescending ? -1 : 1
  return entries.toSorted((one, other) => sign * compare(read(one), read(other)))
}

function compare(one: Value, other: Value): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}
