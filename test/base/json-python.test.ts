import {readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {checkText} from '../../src/base/json-check.ts'
import {parseJson} from '../../src/base/json-parse.ts'
import {canonical} from '../support/json-canon.ts'

/** What Python's json did with some bytes; recorded by test/vectors/make-json-vectors.py. */
interface Recorded {
  readonly case: string
  readonly hex: string
  readonly dumps?: string
  readonly error?: string
}

const RECORDED: Recorded[] = readFileSync(new URL('../vectors/json-python.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line))

/** Where we differ on purpose: the case, what Python says, what we say, and why. */
const DEVIATIONS = [
  {case: 'depth-65', python: 'taken', ours: 'refused', why: 'messages nest at most 64 deep'},
  {case: 'depth-200', python: 'taken', ours: 'refused', why: 'messages nest at most 64 deep'},
  {
    case: 'digits',
    python: 'ValueError',
    ours: 'taken',
    why: 'text is kept, so an integer of more than 4300 digits costs nothing',
  },
]

function read(hex: string): {text: string; value: unknown} | undefined {
  const text = checkText(Buffer.from(hex, 'hex'), {maxBytes: 1 << 20, maxDepth: 64})
  if (typeof text !== 'string') return undefined
  try {
    return {text, value: parseJson(text)}
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Values are compared as JSON text; what JSON lacks is spelled out, and -0 is 0 because Python's integers have no other. */
function spelled(value: unknown): string {
  return JSON.stringify(value, (_key, one) =>
    typeof one === 'number' ? (Number.isFinite(one) ? one + 0 : `number ${one}`) : one,
  )
}

describe('JSON as Python takes it', () => {
  test('what Python takes is taken, what it refuses is refused, but for the listed deviations', () => {
    const differing = RECORDED.flatMap((row) => {
      const python = row.error ?? 'taken'
      const ours = read(row.hex) === undefined ? 'refused' : 'taken'
      return (python === 'taken') === (ours === 'taken') ? [] : [{case: row.case, python, ours, hex: row.hex}]
    })
    const unexpected = differing.filter(
      (one) => !DEVIATIONS.some((d) => d.case === one.case && d.python === one.python && d.ours === one.ours),
    )
    expect(unexpected).toEqual([])
    expect(DEVIATIONS.filter((d) => !differing.some((one) => one.case === d.case))).toEqual([])
    expect(RECORDED.length).toBeGreaterThan(900)
  })

  test('the text kept means exactly what Python would have sent back', () => {
    const wrong = RECORDED.flatMap(({hex, dumps}) => {
      const taken = dumps === undefined ? undefined : read(hex)
      if (taken === undefined || dumps === undefined) return []
      return canonical(taken.text) === canonical(dumps) ? [] : [{text: taken.text, dumps}]
    })
    expect(wrong).toEqual([])
  })

  test('the parsed value is the one that Python parsed, as far as doubles can tell', () => {
    const wrong = RECORDED.flatMap(({hex, dumps}) => {
      const taken = dumps === undefined ? undefined : read(hex)
      if (taken === undefined || dumps === undefined) return []
      return spelled(taken.value) === spelled(parseJson(dumps)) ? [] : [{text: taken.text, dumps}]
    })
    expect(wrong).toEqual([])
  })
})
