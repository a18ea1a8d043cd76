import {createRequire} from 'node:module'

const PLAIN = /^[\x20-\x7e]*$/
let measure: ((text: string) => number) | undefined

/** Gives how many columns a text takes on a terminal. */
export function textWidth(text: string): number {
  if (PLAIN.test(text)) return text.length
  // Its tables of characters take longer to make than most commands do, which print nothing else than the above.
  measure ??= (createRequire(import.meta.url)('string-width') as typeof import('string-width')).default
  return measure(text)
}
