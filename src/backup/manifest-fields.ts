/** What the fields of a manifest may be. */

/** No list is longer. */
export const ITEMS_MAX = 1_000_000

/** @throws TypeError which says where */
export function objectAt(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${where} is no object`)
  return {...value}
}

/** @throws TypeError which says where */
export function listAt(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${where} is no list`)
  if (value.length > ITEMS_MAX) throw new TypeError(`${where} has more than ${ITEMS_MAX} items`)
  return value
}

/** @throws TypeError which says where */
export function textAt(value: unknown, where: string, form = /^[^\0]{0,4096}$/): string {
  if (typeof value !== 'string' || !form.test(value)) throw new TypeError(`${where} is not what it should be`)
  return value
}

/** @throws TypeError which says where */
export function textOrNull(value: unknown, where: string): string | null {
  return value === null ? null : textAt(value, where)
}

/** @throws TypeError which says where */
export function countAt(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new TypeError(`${where} is no whole number`)
  return value
}

/** @throws TypeError which says where */
export function oneOf<T extends string>(value: unknown, where: string, known: readonly T[]): T {
  const found = known.find((one) => one === value)
  if (found === undefined) throw new TypeError(`${where} is none of ${known.join(', ')}`)
  return found
}
