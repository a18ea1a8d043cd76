/** Comparing what the parts of the server keep with what the change log leaves, read in order from the first entry ever. */

/** Something that is kept, beside what the log leaves of it. */
export interface Compared {
  readonly table: string
  readonly key: string
  readonly isSame: boolean
}

/** A part of the server, as the log makes it; begins with nothing. */
export interface StateCheck {
  /**
   * Takes a change; does nothing when it is not of this part. Throws a `TypeError` or `SyntaxError` when it cannot be read, or does not fit what
   * the changes before it left.
   */
  take(kind: string, change: string): void
  /** Compares one thing after the other. To be gone on with only while all entries of the log have been taken. Undefined tells nothing. */
  compare(): Iterable<Compared | undefined>
}

/** Something that is kept, as text. */
interface KeptText {
  readonly table: string
  readonly key: string
  readonly text: string
}

/** What a part keeps, as texts. It may change while it is gone through. */
export interface KeptTexts {
  all(): Iterable<KeptText>
  get(table: string, key: string): string | undefined
}

/** Compares what is kept with what should be. */
export function* compareTexts(wanted: KeptTexts, kept: KeptTexts): Iterable<Compared | undefined> {
  for (const {table, key, text} of wanted.all()) yield {table, key, isSame: kept.get(table, key) === text}
  for (const {table, key} of kept.all()) {
    yield wanted.get(table, key) === undefined ? {table, key, isSame: false} : undefined
  }
}

/** Gives the values of a map as texts of a table. */
export function textsOf<V>(table: string, values: ReadonlyMap<string, V>, encode: (value: V) => string): KeptTexts {
  return {
    *all() {
      for (const [key, value] of values) yield {table, key, text: encode(value)}
    },
    get(_, key) {
      const value = values.get(key)
      return value === undefined ? undefined : encode(value)
    },
  }
}
