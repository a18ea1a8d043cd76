import type {JsonstorPart} from '../../backup/jsonstor-slab.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import {ANSWER_MS, type Ask, Wrong} from './asking.ts'
import {compare} from './checks.ts'

/**
 * Every object is read, and must be the one that the files have at its path. A list is asked for by what the paths begin with; without that it is
 * empty. It comes in the order of the files, and without the first part of each path.
 */
export const askJsonstor: Ask = async (cell, {before, objects}, signal) => {
  const options = {signal, timeoutMs: ANSWER_MS}
  const wrong = new Wrong()
  let paths = 0
  for (const part of objects?.parts ?? []) {
    let at = part.from
    for await (const item of cell.stream('getPathObjs', {...options, args: [[part.prefix]]})) {
      const [tail, object] = readItem(item)
      if (!isKept(part, at) || objects?.isSame(at, tail, object) !== true) {
        wrong.add(
          `${[`${part.prefix}…`, ...tail].join('/')} ${object === null ? 'has no object' : 'has another content'}`,
        )
      }
      at += 1
    }
    paths += at - part.from
  }
  return [compare('service: paths', before['paths'] ?? null, paths), wrong.check('service: content of every object')]
}

function isKept({from, count}: JsonstorPart, at: number): boolean {
  return at < from + count
}

function readItem(item: Value): readonly [tail: readonly string[], object: Value] {
  const [tail, object] = Array.isArray(item) ? (item as readonly Value[]) : []
  if (!Array.isArray(tail) || !tail.every((part) => typeof part === 'string')) {
    throw new TypeError('the JSONStor lists no path and object')
  }
  return [tail, object ?? null]
}
