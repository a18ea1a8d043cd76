/** Opens what power cuts leave of a recording, and compares it with what had been acknowledged. */
import type {DiskCuts, Fate} from './disk-cuts.ts'

export interface CutCheck<Found> {
  /** Where what is left is laid out. */
  readonly folder: string
  /** Opens it as its owner does, asserts that it is sound, and says how far it goes. */
  readonly look: (folder: string) => Promise<Found>
  /** Asserts that what was found holds all that had been said. */
  readonly judge: (found: Found, said: readonly string[]) => void
}

export interface CutCount {
  /** Cuts that were looked at. */
  readonly cuts: number
  /** Different disks that they left: each was opened once. */
  readonly images: number
}

/** Looks at a cut of each kind before the first call, and after each one that is chosen; after the last in any case. */
export async function openCuts<Found>(
  cuts: DiskCuts,
  fates: Readonly<Record<string, Fate>>,
  {folder, look, judge}: CutCheck<Found>,
  isChosen: (cuts: DiskCuts) => boolean = () => true,
): Promise<CutCount> {
  // What is found follows from the bytes alone: the same ones are not opened again, but compared with what was said since.
  const known = new Map<string, Found>()
  let looked = 0
  for (let isEnd = false; !isEnd; isEnd = cuts.next() === undefined) {
    if (!isChosen(cuts) && !cuts.isAtEnd) continue
    for (const [kind, fate] of Object.entries(fates)) {
      const image = cuts.cut(fate)
      const {digest} = image
      looked += 1
      try {
        const found = known.has(digest) ? known.get(digest) : await image.writeTo(folder).then(() => look(folder))
        known.set(digest, found as Found)
        judge(found as Found, cuts.said)
      } catch (error) {
        throw new Error(`a power cut after ${cuts.count} calls, ${cuts.lastCall}: ${kind}`, {cause: error})
      }
    }
  }
  return {cuts: looked, images: known.size}
}
