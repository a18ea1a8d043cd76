/** Takes what comes in pieces of any length apart into pieces of a wanted length, without gathering more than that. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)
  #isDone = false

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Gives the next bytes: at least one and at most `max`; none at the end. */
  async some(max: number): Promise<Uint8Array> {
    while (this.#rest.length === 0 && !this.#isDone) {
      const step = await this.#chunks.next()
      if (step.done) this.#isDone = true
      else this.#rest = step.value
    }
    const piece = this.#rest.subarray(0, max)
    this.#rest = this.#rest.subarray(piece.length)
    return piece
  }

  /** Gives the next `length` bytes, in one piece; fewer only when no more come. `length` is what may stand in memory. */
  async take(length: number): Promise<Uint8Array> {
    const first = await this.some(length)
    if (first.length === length || first.length === 0) return first
    const pieces = [first]
    let got = first.length
    while (got < length) {
      const piece = await this.some(length - got)
      if (piece.length === 0) break
      pieces.push(piece)
      got += piece.length
    }
    return Buffer.concat(pieces, got)
  }

  /** Gives bytes back, to be read again. */
  putBack(bytes: Uint8Array): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([bytes, this.#rest])
  }

  /** Gives all that is left, as it comes. */
  async *all(): AsyncGenerator<Uint8Array, void> {
    for (let piece = await this.some(PIECE); piece.length > 0; piece = await this.some(PIECE)) yield piece
  }

  /** Says to the one who makes the chunks that no more are wanted. */
  async close(): Promise<void> {
    this.#isDone = true
    await this.#chunks.return?.()
  }
}

const PIECE = 1 << 20
