const UNITS_MS = {ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000} as const
const LARGEST_MS = 36_525 * UNITS_MS.d // a century; beyond it timers and dates stop making sense

/** How durations are written, for error texts and help. */
export const DURATION_FORM = 'a number with ms, s, m, h or d (a bare number is seconds)'

/** Reads `250ms`, `1.5s`, `10m`, `2h`, `7d` or a bare number of seconds. Returns milliseconds, undefined for anything else and beyond a century. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(text.trim())
  if (match?.[1] === undefined) return undefined
  const ms = Number(match[1]) * UNITS_MS[(match[2] ?? 's') as keyof typeof UNITS_MS]
  return ms <= LARGEST_MS ? ms : undefined
}

/** Writes milliseconds with at most two units, the way people say them: `850ms`, `2.5s`, `1m 30s`, `3d 4h`. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`
  if (Math.round(ms) < 1000) return `${Math.round(ms)}ms`
  if (ms < 9950) return `${Number((ms / 1000).toFixed(1))}s`
  const rest = Math.round(ms / 1000)
  const parts = [
    [Math.floor(rest / 86_400), 'd'],
    [Math.floor(rest / 3600) % 24, 'h'],
    [Math.floor(rest / 60) % 60, 'm'],
    [rest % 60, 's'],
  ] as const
  const first = parts.findIndex(([amount]) => amount > 0)
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join(' ')
}
