import {elements, members} from '../../src/base/json-text.ts'

/**
 * Writes JSON text (as Python takes it) in one form that loses nothing: integers of any size in full, floats by value and told apart from
 * integers, of several members with one key the last at the place of the first. It takes the text apart by `members` and `elements`, which are
 * what is tested.
 */
export function canonical(text: string): string {
  const raw = text.trim()
  if (raw.startsWith('{')) {
    const entries = new Map(members(raw).map((member) => [member.key, canonical(member.raw)]))
    return `{${[...entries].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`
  }
  if (raw.startsWith('[')) return `[${elements(raw).map(canonical).join(',')}]`
  if (raw.startsWith('"')) return JSON.stringify(JSON.parse(raw))
  if (/^-?[0-9]+$/.test(raw)) return BigInt(raw).toString()
  if (raw === 'NaN' || /[0-9]|Infinity/.test(raw))
    return Object.is(Number(raw), -0) ? 'float -0' : `float ${Number(raw)}`
  return raw
}
