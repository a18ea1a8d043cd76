/** Counts the insertions, deletions, replacements and swaps of neighbours that make `a` into `b`. */
function editDistance(a: string, b: string): number {
  let twoBack: number[] = []
  let previous = Array.from({length: b.length + 1}, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let best = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      )
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) best = Math.min(best, (twoBack[column - 2] ?? 0) + 1)
      current.push(best)
    }
    twoBack = previous
    previous = current
  }
  return previous[b.length] ?? 0
}

/** Gives the known name that `word` most likely was meant to be, or undefined when none is near (a third of its letters may differ). */
export function nearestName(word: string, known: Iterable<string>): string | undefined {
  let best: {name: string; distance: number} | undefined
  for (const name of known) {
    const allowed = Math.max(1, Math.floor(Math.max(word.length, name.length) / 3))
    if (Math.abs(name.length - word.length) > allowed) continue
    const distance = editDistance(word.toLowerCase(), name.toLowerCase())
    if (distance <= allowed && (best === undefined || distance < best.distance)) best = {name, distance}
  }
  return best?.name
}
