import type {Proof} from '../backup/proofs.ts'
import {formatDuration} from '../base/duration.ts'
import {printable} from './printable.ts'

/** What a drill found out, and where what it restored lies, when that was kept. */
export interface DrillReport extends Proof {
  readonly path: string
  readonly kept: string | null
}

/** Says what came of a drill: what was compared, what kept it from reaching anything else, and the result. */
export function drillText({path, result, reason, seconds, protections, checks, kept}: DrillReport): string {
  const shown = checks.filter(({what, isRight}) => !isRight || isOfInterest(what))
  const lines = [
    ...shown.map(({what, expected, found, isRight}) => {
      return isRight ? `right   ${what}: ${short(found)}` : `WRONG   ${what}: ${found}, expected ${expected}`
    }),
    ...(shown.length < checks.length ? [`right   ${checks.length - shown.length} more counts and hashes`] : []),
    ...protections.map((text) => `guard   ${text}`),
    `${result}: ${reason} (${path}, ${formatDuration(seconds * 1000)})`,
    ...(kept === null ? [] : [`What it restored lies in ${kept}.`]),
  ]
  return lines.map((line) => printable(line)).join('\n')
}

/** Hashes and the counts of single tables and forms are for who looks for them: all are in --json. */
function isOfInterest(what: string): boolean {
  return !/sha256|: (?:records|forms)\./.test(what)
}

function short(text: string): string {
  return /^[0-9a-f]{64}$/.test(text) ? `${text.slice(0, 12)}…` : text
}
