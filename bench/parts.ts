import {parseArgs} from 'node:util'
import {type Line, machine, rowOf, TABLE_HEAD, verdictOf} from './report.ts'

/** Measures something in so many rounds (or as many as it takes in any case) and gives its lines as they come. */
export type Part = (rounds: number) => AsyncGenerator<Line>

const DEFAULT_ROUNDS = 3

/**
 * Runs parts one after the other and prints their lines as a Markdown table. `--only NAME` (may be repeated) picks parts, `--rounds N`
 * sets how often ratios are taken, `--json` prints JSON at the end. The exit status is 1 when a line misses what it must reach.
 */
export async function runParts(script: string, parts: Readonly<Record<string, Part>>): Promise<void> {
  const {values} = parseArgs({
    options: {
      only: {type: 'string', multiple: true},
      rounds: {type: 'string', default: `${DEFAULT_ROUNDS}`},
      json: {type: 'boolean', default: false},
    },
  })
  const names = values.only ?? Object.keys(parts)
  const lines: Line[] = []
  const print = values.json ? () => {} : console.log
  print(`${machine()}\n\n${TABLE_HEAD}`)
  for (const name of names) {
    const part = parts[name]
    if (part === undefined) throw new Error(`${script} has no part ${name}, only ${Object.keys(parts).join(', ')}`)
    for await (const line of part(Number(values.rounds))) {
      lines.push(line)
      print(rowOf(line))
    }
  }
  const missed = lines.filter((line) => verdictOf(line) === 'missed')
  if (values.json) console.log(JSON.stringify({machine: machine(), lines: lines.map(withVerdict)}, null, 2))
  else print(`\n${lines.length - missed.length} of ${lines.length} lines reach what they must`)
  if (missed.length > 0) process.exitCode = 1
}

function withVerdict(line: Line) {
  return {...line, verdict: verdictOf(line)}
}
