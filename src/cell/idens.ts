import {createHash} from 'node:crypto'
import {encode} from '../wire/msgpack/encode.ts'

/**
 * Makes the guid that Synapse makes of some texts: MD5 of their list in msgpack. The built-in users and roles of a cell, and the inaugural ones,
 * have such idens, so that all mirrors of a cell give the same.
 *
 * @see spec/telepath.md, section 2
 */
export function guidOf(...texts: readonly string[]): string {
  return createHash('md5').update(encode(texts)).digest('hex')
}
