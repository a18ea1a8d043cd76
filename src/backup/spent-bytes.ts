/** V8 lets some 64 MB of buffers that nobody holds any more lie about. This is how many are handed out from one look to the next. */
const LOOK_EVERY = 8 * 1024 * 1024

/**
 * Gives chunks as they come, and has the young ones collected that were let go, which takes half a millisecond: so the memory of long work does
 * not depend on how much goes through. Only where Node was started with `--expose-gc`, as `bin/registry` does.
 */
export async function* collecting(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let bytes = 0
  for await (const chunk of chunks) {
    yield chunk
    bytes += chunk.length
    if (bytes < LOOK_EVERY) continue
    bytes = 0
    globalThis.gc?.({type: 'minor'})
  }
}
