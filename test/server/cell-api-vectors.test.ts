import {readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {TestCell, type TestSession} from '../support/cell.ts'
import {DEVIATIONS} from './cell-api-deviations.ts'

interface Row {
  readonly as: string
  readonly meth: string
  readonly args: readonly Value[]
  readonly kwargs: Readonly<Record<string, Value>>
  /** Name of a random text to the path where it stands in the answer. */
  readonly save: Readonly<Record<string, readonly (string | number)[]>>
  readonly retn: readonly [boolean, unknown]
}

const [, ...LINES] = readFileSync(new URL('../vectors/cell-api.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
const ROWS = LINES.map((line) => JSON.parse(line) as Row)
/** Facts of the machine and the moment; the recorder masks them as well. */
const MASKED =
  /^(created|updated|expires|addr|commit|run|started|nexsindx|indx|.*vol(size|free)|cell(starttime|uptime|realdisk|apprdisk)|(os|py)version|(total|avail)mem|cpucount|sysctls|tmpdir)$/

function titleOf({as, meth, args, kwargs}: Row): string {
  return `${as} ${meth} ${JSON.stringify(args)} ${JSON.stringify(kwargs)}`
}

test('every call is answered as by the recorded cell, but where we deviate on purpose', async () => {
  const cell = await TestCell.open({}, {})
  await cell.users.addUser({name: 'visi', passwd: 'visipass'}, 'test')
  await cell.users.setUserPasswd(cell.users.rootIden, 'secret', 'test')
  const sessions: Record<string, TestSession> = {
    root: await cell.login('root', 'secret'),
    visi: await cell.login('visi', 'visipass'),
    root2: await cell.login('root', 'secret'),
  }
  const texts = new Map<string, string>()
  const differing: string[] = []
  for (const row of ROWS) {
    const answer = await answerOf(sessions[row.as], row, texts)
    for (const [name, path] of Object.entries(row.save)) texts.set(name, String(dig(answer[1], path)))
    if (!isAnswer(named(answer, texts), row.retn)) {
      differing.push(
        `${titleOf(row)}\n  theirs ${JSON.stringify(row.retn)}\n  ours   ${JSON.stringify(named(answer, texts))}`,
      )
    }
  }
  const known = new Set(DEVIATIONS.map(({row}) => row))
  expect(differing.filter((text) => !known.has(text.split('\n')[0] ?? ''))).toEqual([])
  expect([...known].filter((row) => !differing.some((text) => text.startsWith(`${row}\n`)))).toEqual([])
})

async function answerOf(
  session: TestSession | undefined,
  row: Row,
  texts: Map<string, string>,
): Promise<[boolean, unknown]> {
  try {
    const args = filled(row.args, texts) as readonly Value[]
    return [true, plain(await session?.call(row.meth, args, filled(row.kwargs, texts) as Record<string, Value>))]
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    return [false, [error.telepath, {mesg: error.message, ...error.info}]]
  }
}

/** Errors of ours may say more than theirs. */
function isAnswer(ours: unknown, theirs: Row['retn']): boolean {
  try {
    if (theirs[0]) expect(ours).toEqual(theirs)
    else expect(ours).toMatchObject(theirs)
    return true
  } catch {
    return false
  }
}

function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, one]) => [String(key), plain(one)]))
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]))
}

function dig(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce((at: unknown, key) => (at as Record<string | number, unknown>)[key], value)
}

function filled(value: unknown, texts: Map<string, string>): unknown {
  if (typeof value === 'string' && value.startsWith('$')) return texts.get(value.slice(1))
  if (Array.isArray(value)) return value.map((one) => filled(one, texts))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, filled(one, texts)]))
}

function named(value: unknown, texts: Map<string, string>): unknown {
  if (typeof value === 'string')
    return [...texts].reduce((text, [name, known]) => text.replaceAll(known, `$${name}`), value)
  if (Array.isArray(value)) return value.map((one) => named(one, texts))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
  return Object.fromEntries(
    entries.map(([key, one]) => [named(key, texts), MASKED.test(key) ? '$masked' : named(one, texts)]),
  )
}
