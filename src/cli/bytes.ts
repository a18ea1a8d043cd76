const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const

/** Writes a number of bytes with at most one decimal, the way people say them: `512 B`, `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  let [value, unit] = [bytes / 1024, 0]
  for (; value >= 1023.95 && unit < UNITS.length - 1; unit++) value /= 1024
  return `${Number(value.toFixed(1))} ${UNITS[unit]}`
}
