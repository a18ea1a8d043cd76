import {createHash, type Hash} from 'node:crypto'
import type {Value} from '../../wire/msgpack/value.ts'
import {ANSWER_MS, type Ask} from './asking.ts'
import {compare} from './checks.ts'

/** Every item of every tank is read, as the bytes that it is kept in, and hashed as the census of the files is. */
export const askCryotank: Ask = async (cell, {before}, signal) => {
  const options = {signal, timeoutMs: ANSWER_MS}
  const names = namesIn(await cell.call('list', options))
  const hash = createHash('sha256')
  let items = 0
  for (const name of names) {
    hash.update(name)
    for await (const row of cell.stream('rows', {...options, args: [name, 0, null]})) {
      items += 1
      addRow(hash, row)
    }
  }
  return [
    compare('service: tanks', before['tanks'] ?? null, names.length),
    compare('service: items', before['items'] ?? null, items),
    compare('service: items.sha256', before['items.sha256'] ?? null, hash.digest('hex')),
  ]
}

/** In the order of their bytes. */
function namesIn(list: Value): readonly string[] {
  const names = (Array.isArray(list) ? (list as readonly Value[]) : []).map((tank) =>
    Array.isArray(tank) ? tank[0] : tank,
  )
  if (!names.every((name) => typeof name === 'string')) throw new TypeError('the Cryotank lists no names')
  return names.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
}

function addRow(hash: Hash, row: Value): void {
  const [offset, bytes] = Array.isArray(row) ? (row as readonly Value[]) : []
  if (typeof offset !== 'number' || !(bytes instanceof Uint8Array))
    throw new TypeError('the Cryotank lists no offset and bytes')
  const key = Buffer.alloc(8)
  key.writeBigUInt64BE(BigInt(offset))
  hash.update(key).update(bytes)
}
