/**
 * Makes what came over a network safe for a terminal: control characters (which could move the cursor or rename the window) and those
 * that reverse the direction of writing are shown as escapes.
 */
export function printable(text: string, keepLines = false): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    if (character === '\n' && keepLines) return character
    const code = character.codePointAt(0) ?? 0
    if (character === '\n') return '\\n'
    if (character === '\t') return '\\t'
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}
