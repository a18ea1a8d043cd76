/** Standard JavaScript that TypeScript's library does not describe yet. */
interface ExactJson {
  parse(text: string, reviver: (key: string, value: unknown, context: {readonly source?: string}) => unknown): unknown
  rawJSON(text: string): unknown
}

const {parse, rawJSON} = JSON as unknown as ExactJson
const STRING_OR_WORD = /"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)/g

/**
 * Parses JSON such that `JSON.stringify` writes its numbers as they stand there: 2^60+1 and 1.50 stay what they are. Such numbers are
 * not numbers but objects that only `JSON.stringify` understands. `NaN` and infinities, which Python writes and strict readers of our
 * output would choke on, become null.
 *
 * @throws SyntaxError when `text` is not JSON.
 */
export function parseExact(text: string): unknown {
  const strict =
    text.includes('NaN') || text.includes('Infinity')
      ? text.replace(STRING_OR_WORD, (found) => (found.startsWith('"') ? found : 'null'))
      : text
  return parse(strict, (_key, value, {source}) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? rawJSON(source) : value,
  )
}
