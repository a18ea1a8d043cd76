import {createCipheriv, createHmac, randomBytes} from 'node:crypto'

const KEY_BYTES = 32
const BLOCK = 16
const BLOCKS_PER_PART = 2 ** 32

/**
 * Makes what lies on a disk for a while of no use to anybody but this process: AES-256 in counter mode, with a key for each file, made of one that is in the
 * memory of this process only. So what a kill leaves of it is noise. It says nothing of a file that somebody alters: whoever reads one compares its hash.
 */
export class Veil {
  readonly #key = randomBytes(KEY_BYTES)

  /** Turns bytes that stand at `at` of the file `path` into what is to be written there, and what was read there back; each file is written once. */
  turned(path: string, bytes: Uint8Array, at: number): Buffer {
    const key = createHmac('sha256', this.#key).update(path).digest()
    const block = Math.floor(at / BLOCK)
    const counter = Buffer.alloc(BLOCK)
    counter.writeUInt32BE(Math.floor(block / BLOCKS_PER_PART), BLOCK - 8)
    counter.writeUInt32BE(block % BLOCKS_PER_PART, BLOCK - 4)
    const cipher = createCipheriv('aes-256-ctr', key, counter)
    cipher.update(Buffer.alloc(at % BLOCK))
    return cipher.update(bytes)
  }

  /** Gives in clear what a veiled file has, from its beginning on. */
  async *clear(path: string, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    let at = 0
    for await (const piece of pieces) {
      yield this.turned(path, piece, at)
      at += piece.length
    }
  }
}
