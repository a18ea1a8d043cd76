/** V8 lets some 64 MB of buffers that nobody holds any more lie about. This is how many are handed out from one look to the next. */
const LOOK_EVERY = 8 * 1024 * 1024
/** More bytes than this in buffers are such that became old before they were let go. */
const OLD_BYTES = 24 * 1024 * 1024

export interface CollectOptions {
  /** Nobody waits for anything else in this process. */
  readonly isAlone?: boolean | undefined
}

/**
 * Gives chunks as they come, and has the young ones collected that were let go, which takes half a millisecond: so the memory of long work does
 * not depend on how much goes through. Only where Node was started with `--expose-gc`, as `bin/registry` does.
 *
 * A chunk of which very many small files are made is not young when it is let go. With `isAlone` those are collected too when they are many: that
 * takes some 50 ms.
 */
export async function* collecting(
  chunks: AsyncIterable<Uint8Array>,
  {isAlone = false}: CollectOptions = {},
): AsyncGenerator<Uint8Array, void> {
  let bytes = 0
  for await (const chunk of chunks) {
    yield chunk
    bytes += chunk.length
    if (bytes < LOOK_EVERY) continue
    bytes = 0
    globalThis.gc?.({type: 'minor'})
    if (isAlone && process.memoryUsage().arrayBuffers > OLD_BYTES) globalThis.gc?.()
  }
}
