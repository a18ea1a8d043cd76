import {constants} from 'node:fs'
import {open} from 'node:fs/promises'

const PIECE = 256 * 1024
/** Beyond the end that a file had at first. */
const LEAST = 512

/**
 * Reads a regular file in pieces, the next one while the last one is worked on. A pipe in its place is not waited for; a link is followed only
 * when that is asked for. Throws what the system says.
 */
export async function* readPieces(file: string, options: {isFollowing: boolean}): AsyncGenerator<Uint8Array, void> {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (options.isFollowing ? 0 : constants.O_NOFOLLOW)
  await using handle = await open(file, flags)
  const facts = await handle.stat()
  if (!facts.isFile()) throw new TypeError('it is no regular file')
  const read = async (position: number) => {
    const length = Math.min(PIECE, Math.max(LEAST, facts.size - position))
    const {buffer, bytesRead} = await handle.read(Buffer.allocUnsafeSlow(length), 0, length, position)
    return buffer.subarray(0, bytesRead)
  }
  let position = 0
  let next = read(position)
  try {
    for (let piece = await next; piece.length > 0; piece = await next) {
      position += piece.length
      next = read(position)
      yield piece
    }
  } finally {
    await next.catch(() => {}) // the file is closed when nobody reads it any more
  }
}
