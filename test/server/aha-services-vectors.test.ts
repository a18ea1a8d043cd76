import {readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {AHA_NETWORK} from '../support/aha.ts'
import {settle} from '../support/api.ts'
import {TestCell, type TestSession} from '../support/cell.ts'

interface CallRow {
  readonly as: string
  readonly meth: string
  readonly args: readonly Value[]
  readonly kwargs: Readonly<Record<string, Value>>
  readonly retn: readonly [boolean, unknown]
}
type Row = CallRow | {readonly close: string}

const [, ...LINES] = readFileSync(new URL('../vectors/aha-services.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
const ROWS = LINES.map((line) => JSON.parse(line) as Row)

/** Where ours answers otherwise on purpose: the call, how often, and why. */
const DEVIATIONS: readonly {readonly row: string; readonly times: number; readonly why: string}[] = [
  {row: 'root getAhaSvcMirrors ["cryo..."] {}', times: 1, why: 'the peer fails with a KeyError of Python'},
]

const RULES: Readonly<Record<string, readonly (readonly string[])[]>> = {
  nobody: [],
  [`visi@${AHA_NETWORK}`]: [['get', AHA_NETWORK]],
  axsvc: [
    ['get', AHA_NETWORK],
    ['add', AHA_NETWORK, '05.axon'],
  ],
}

test('services come, go and are found as at the recorded AHA, but where we deviate on purpose', async () => {
  const cell = await TestCell.open({network: AHA_NETWORK})
  await cell.users.setUserPasswd(cell.users.rootIden, 'secret', 'test')
  for (const [name, paths] of Object.entries(RULES)) {
    const {iden} = await cell.users.addUser({name, passwd: 'secret'}, 'test')
    for (const path of paths) {
      await cell.users.addUserRule(iden, [true, ['aha', 'service', ...path]], undefined, undefined, 'test')
    }
  }
  const sessions = new Map<string, TestSession>()
  for (const who of ['root', 'nobody', 'axsvc']) sessions.set(who, await cell.login(who, 'secret'))
  sessions.set('visi', await cell.login(`visi@${AHA_NETWORK}`, 'secret'))
  for (const who of ['s0', 's1', 's2', 's3']) sessions.set(who, await cell.login('root', 'secret'))

  const tokens = new Map<string, string>()
  const differing: {readonly row: string; readonly theirs: unknown; readonly ours: unknown}[] = []
  for (const row of ROWS) {
    if ('close' in row) {
      sessions.get(row.close)?.close()
      await cell.changeLog.settled()
      await settle()
      continue
    }
    const ours = masked(await answerOf(sessions.get(row.as), row), tokens)
    if (!isAnswer(ours, row.retn)) differing.push({row: titleOf(row), theirs: row.retn, ours})
  }
  const known = (title: string) => DEVIATIONS.some(({row}) => row === title)
  expect(differing.filter(({row}) => !known(row))).toEqual([])
  for (const {row, times} of DEVIATIONS) expect(differing.filter((one) => one.row === row)).toHaveLength(times)
})

function titleOf({as, meth, args, kwargs}: CallRow): string {
  return `${as} ${meth} ${JSON.stringify(args)} ${JSON.stringify(kwargs)}`
}

async function answerOf(session: TestSession | undefined, {meth, args, kwargs}: CallRow): Promise<unknown> {
  try {
    return [true, await session?.call(meth, args, kwargs)]
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    return [false, [error.telepath, {mesg: error.message, ...error.info}]]
  }
}

/** Tokens get numbers in the order in which they show, as in the recording. */
function masked(value: unknown, tokens: Map<string, string>): unknown {
  if (Array.isArray(value)) return value.map((one) => masked(one, tokens))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => {
      if (key === 'online') {
        const token = tokens.get(String(one)) ?? `token-${tokens.size}`
        tokens.set(String(one), token)
        return [key, token]
      }
      return [key, key === 'user' && String(one).length === 32 ? '$user' : masked(one, tokens)]
    }),
  )
}

/** Errors of ours may say more than theirs. */
function isAnswer(ours: unknown, theirs: CallRow['retn']): boolean {
  try {
    if (theirs[0]) expect(ours).toStrictEqual(theirs)
    else expect(ours).toMatchObject(theirs)
    return true
  } catch {
    return false
  }
}
