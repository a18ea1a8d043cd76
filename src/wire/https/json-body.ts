import {checkText} from '../../base/json-check.ts'
import {parseJson} from '../../base/json-parse.ts'

/** A body that is not JSON, not UTF-8, or nested too deeply. */
export class NotJson extends Error {}

/** Reads the bytes of a body; undefined when there was none. */
export function readBody(bytes: unknown, limits: {readonly bodyBytes: number; readonly bodyDepth: number}): unknown {
  if (!Buffer.isBuffer(bytes)) throw new NotJson('no body')
  const text = checkText(bytes, {maxBytes: limits.bodyBytes, maxDepth: limits.bodyDepth})
  if (typeof text !== 'string') throw new NotJson(text.error)
  try {
    return parseJson(text)
  } catch (error) {
    throw notJson(error)
  }
}

function notJson(cause: unknown): NotJson {
  return new NotJson('not JSON', {cause})
}
