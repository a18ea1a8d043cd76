import {checkText} from '../../base/json-check.ts'
import {parseJson} from '../../base/json-parse.ts'

/** A body that is not JSON, not UTF-8, or nested too deeply. */
export class NotJson extends Error {}

/** Reads a body, whatever it says that it is: clients of the peers send JSON as forms and as text. */
export function readBody(bytes: Buffer, limits: {readonly bodyBytes: number; readonly bodyDepth: number}): unknown {
  const text = checkText(bytes, {maxBytes: limits.bodyBytes, maxDepth: limits.bodyDepth})
  if (typeof text !== 'string') throw new NotJson(text.error)
  try {
    return parseJson(text)
  } catch (error) {
    throw new NotJson('not JSON', {cause: error})
  }
}
