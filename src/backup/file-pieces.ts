import {constants} from 'node:fs'
import {open} from 'node:fs/promises'

const PIECE = 256 * 1024

/**
 * Reads a regular file in pieces, the next one while the last one is worked on. A pipe in its place is not waited for; a link is followed only
 * when that is asked for. Throws what the system says.
 */
export async function* readPieces(file: string, options: {isFollowing: boolean}): AsyncGenerator<Uint8Array, void> {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (options.isFollowing ? 0 : constants.O_NOFOLLOW)
  await using handle = await open(file, flags)
  if (!(await handle.stat()).isFile()) throw new TypeError('it is no regular file')
  const read = async (position: number) => {
    const {buffer, bytesRead} = await handle.read(Buffer.allocUnsafeSlow(PIECE), 0, PIECE, position)
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
