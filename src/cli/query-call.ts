import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {printableJson} from './printable.ts'
import type {QueryOutput} from './query-output.ts'
import {jsonOf} from './query-values.ts'
import {type CallWords, withMethodHints} from './query-words.ts'

/** What `--call` gives under `--json`. */
export interface CallReport {
  readonly result: unknown
}

/** Calls a method and prints what it answers. With `isRaw` bytes and texts are printed as they are. */
export async function runCall(
  cell: Callable,
  {method, args, kwargs}: CallWords,
  isRaw: boolean,
  out: QueryOutput,
): Promise<CallReport | undefined> {
  const options = {args, kwargs, signal: out.signal}
  try {
    if (cell.info.methods.get(method)?.isGenerator === true) {
      await printItems(cell.stream(method, options), isRaw, out)
      return undefined
    }
    const value = await cell.call(method, options)
    if (!isRaw)
      return out.show({result: jsonOf(value)}, ({result}) => printableJson(JSON.stringify(result, undefined, 2)))
    await printRaw(value, out)
    return undefined
  } catch (error) {
    throw withMethodHints(error, method, cell.info.methods.keys())
  }
}

async function printItems(items: AsyncGenerator<Value, void>, isRaw: boolean, out: QueryOutput): Promise<void> {
  if (!isRaw) return await out.stream(counted(items), (item) => printableJson(JSON.stringify(item)))
  for await (const item of items) await printRaw(item, out)
}

async function printRaw(value: Value, out: QueryOutput): Promise<void> {
  if (typeof value === 'string' || value instanceof Uint8Array) await out.write(value)
  else await out.write(`${printableJson(JSON.stringify(jsonOf(value)))}\n`)
}

async function* counted(items: AsyncGenerator<Value, void>): AsyncGenerator<unknown, {items: number}> {
  let count = 0
  for await (const item of items) {
    count += 1
    yield jsonOf(item)
  }
  return {items: count}
}
