import {cpus, loadavg} from 'node:os'

/** One line of the table: what was measured, and what must be reached. */
export interface Line {
  readonly what: string
  readonly value: number
  /** `x` is a ratio. */
  readonly unit: string
  readonly limit?: {readonly atMost: number} | {readonly atLeast: number}
  /** The figures behind it, and what may have limited them. */
  readonly note: string
  /** Load average of the machine over the last minute, when it was measured. */
  readonly load: number
}

/** Makes a line of what was measured just now. */
export function line(
  what: string,
  value: number,
  unit: string,
  limit: NonNullable<Line['limit']> | undefined,
  note: string,
): Line {
  return {what, value, unit, ...(limit === undefined ? {} : {limit}), note, load: loadavg()[0] ?? Number.NaN}
}

export type Verdict = 'ok' | 'missed' | 'no limit'

export function verdictOf({value, limit}: Line): Verdict {
  if (limit === undefined) return 'no limit'
  return ('atMost' in limit ? value <= limit.atMost : value >= limit.atLeast) ? 'ok' : 'missed'
}

export const TABLE_HEAD = '| what | measured | must be | | load | of which |\n|---|---|---|---|---|---|'

/** Shows a line as a row of a Markdown table. */
export function rowOf(one: Line): string {
  const {what, value, unit, limit, note, load} = one
  const required =
    limit === undefined ? '' : 'atMost' in limit ? `at most ${limit.atMost}` : `at least ${limit.atLeast}`
  const verdict = verdictOf(one)
  const cells = [what, `${shown(value)} ${unit}`, required && `${required} ${unit}`, verdict, load.toFixed(1), note]
  return `| ${cells.join(' | ')} |`
}

/** Says on what was measured. */
export function machine(): string {
  const {version, platform, arch} = process
  const [cpu] = cpus()
  return `${new Date().toISOString().slice(0, 10)}, ${cpus().length} x ${cpu?.model.trim() ?? 'CPU'}, ${platform}-${arch}, Node ${version}`
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

/** Shows a number with three digits that count. */
export function shown(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

/** Shows the values of all rounds. */
export function rounds(values: readonly number[]): string {
  return `rounds ${values.map(shown).join(' ')}`
}
