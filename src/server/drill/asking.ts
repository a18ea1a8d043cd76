/** What all have that ask a restored Synapse service for what it holds. */
import type {JsonstorObjects} from '../../backup/jsonstor-slab.ts'
import type {ProofCheck} from '../../backup/proofs.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import type {Callable} from '../../wire/telepath/caller.ts'

/** What the files say. */
interface Known {
  readonly before: Readonly<Record<string, number | string>>
  /** Of a JSONStor. */
  readonly objects: JsonstorObjects | undefined
}

/** Asks a service and compares. Throws what the calls throw. */
export type Ask = (cell: Callable, known: Known, signal: AbortSignal) => Promise<readonly ProofCheck[]>

/** Longest wait for an answer, and for the next piece of one. */
export const ANSWER_MS = 120_000
/** So many blobs or objects that are not right are named. */
const NAMED = 5

/** Collects what is not right: all of it is counted, some is named. */
export class Wrong {
  readonly #named: string[] = []
  #count = 0

  /** Adds one. */
  add(text: string): void {
    this.#count += 1
    if (this.#named.length < NAMED) this.#named.push(text)
  }

  /** Says what came of it. */
  check(what: string): ProofCheck {
    const more = this.#count > this.#named.length ? [`and ${this.#count - this.#named.length} more`] : []
    const found = this.#count === 0 ? 'all right' : [...this.#named, ...more].join('; ')
    return {what, expected: 'all right', found, isRight: this.#count === 0}
  }
}

/** The text of a value, for people. */
export function textOf(value: Value | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null)
}
