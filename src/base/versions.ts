/**
 * Tells whether a version, `2.256.0`, is older than another one. Of what is no version it is not known, and so it is not. What follows the numbers, as in
 * `1.0.0-rc.1`, does not count.
 */
export function isOlder(version: string | null, than: string | null): boolean {
  const [a, b] = [numbersOf(version), numbersOf(than)]
  if (a === undefined || b === undefined) return false
  const at = a.findIndex((number, index) => number !== b[index])
  return at >= 0 && (a[at] ?? 0) < (b[at] ?? 0)
}

function numbersOf(version: string | null): readonly number[] | undefined {
  const numbers = /^v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?!\d)/.exec(version ?? '')?.slice(1)
  return numbers?.map(Number)
}
