import {ERRORS, type ErrorSpec} from '../../src/base/errors.ts'
import {EXIT_STATUSES} from './exit-statuses.ts'

/** Makes docs/errors.md from the table of errors. */
export function errorsPage(): string {
  const rows = Object.entries(ERRORS) as readonly (readonly [string, ErrorSpec])[]
  const statuses = Object.entries(EXIT_STATUSES).map(([status, meaning]) => `| ${status} | ${meaning} |`)
  return `<!-- Made by npm run generate from src/base/errors.ts. -->
# Errors

Every error says what happened, to what, and the next command to type. On a terminal it goes to stderr; with \`--json\` it is one line on
stdout, \`{"error": {"code", "message", "hints", "info"}}\`, where \`info\` holds the facts of the case. Codes do not change between releases.

## Exit statuses

| status | meaning |
|---|---|
${statuses.join('\n')}

## Codes

${rows.map(([code, spec]) => section(code, spec)).join('\n')}`
}

function section(code: string, spec: ErrorSpec): string {
  const hints = spec.hints.map((hint) => `* ${hint.startsWith('registry ') ? `\`${hint}\`` : hint}\n`).join('')
  return `### ${code}\n\n${spec.about} Exit status ${spec.exit}.\n${hints === '' ? '' : `\nWhat to try:\n\n${hints}`}`
}
