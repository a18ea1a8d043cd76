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
interface FollowRow {
  readonly follow: string
  readonly as: string
  readonly pool: string
}
interface HeardRow {
  readonly heard: string
  readonly items: readonly unknown[]
  readonly isOver: boolean
}
type Row = CallRow | FollowRow | HeardRow | {readonly close: string}

const [, ...LINES] = readFileSync(new URL('../vectors/aha-pools.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
const ROWS = LINES.map((line) => JSON.parse(line) as Row)

/** Where ours answers otherwise on purpose: the row, how often, and why. */
const DEVIATIONS: readonly {readonly row: string; readonly times: number; readonly why: string}[] = [
  {
    row: 'root addAhaServer [{"port":27492}] {}',
    times: 1,
    why: 'the peer takes a server without a host, and then names it in URLs',
  },
  {row: 'root addAhaServer [{"host":"odd.demo.net","port":"x"}] {}', times: 1, why: 'the same without a port'},
  {
    row: 'root addAhaPoolSvc ["newp...","00.axon...",{}] {}',
    times: 1,
    why: 'a pool that is not there is a TypeError of Python at the peer',
  },
  {
    row: 'root addAhaPoolSvc ["pool00.axon...","02.axon...",{"odd":1}] {}',
    times: 1,
    why: 'the same refusal in our words',
  },
  {
    row: 'root addAhaPoolSvc ["pool00.axon...","02.axon...",{"creator":"visi"}] {}',
    times: 1,
    why: 'the same refusal in our words',
  },
  {row: 'root addAhaPool ["pool02.axon...",{"odd":1}] {}', times: 1, why: 'the same refusal in our words'},
  {row: 'root addAhaPool ["pool02.axon...",{"creator":"visi"}] {}', times: 1, why: 'the same refusal in our words'},
  {
    row: 'heard f1',
    times: 2,
    why: 'the peer tells that a service left which was not in, and not that a member registers after all',
  },
  {row: 'heard f2', times: 2, why: 'the same; and the peer forgets to tell each second follower that the pool is gone'},
  {
    row: 'root getAhaSvc ["pool00.axon..."] {}',
    times: 1,
    why: 'a pool whose members are all unknown is an AttributeError of Python at the peer',
  },
  {row: 'heard f3', times: 1, why: 'the peer does not tell of a member that registers after all'},
  {
    row: 'root addAhaPool ["pool00.axon...",{}] {}',
    times: 1,
    why: 'the peer empties a pool that is there, and its followers do not hear of it',
  },
  {row: 'root delAhaPool ["pool00.axon..."] {}', times: 1, why: 'it has its members still, see above'},
]

class Follower {
  items: unknown[] = []
  isOver = false

  async run(session: TestSession, pool: string): Promise<void> {
    try {
      const answer = await session.answer('iterPoolTopo', [pool])
      if (answer.kind !== 'stream') throw new Error('a stream was expected')
      for await (const item of answer.items) this.items.push(item)
      this.items.push('end')
    } catch (error) {
      this.items.push(failureOf(error))
    }
    this.isOver = true
  }

  take(): unknown[] {
    return this.items.splice(0)
  }
}

class Replay {
  readonly #cell: TestCell
  readonly #sessions = new Map<string, TestSession>()
  readonly #followers = new Map<string, Follower>()

  private constructor(cell: TestCell) {
    this.#cell = cell
  }

  static async open(): Promise<Replay> {
    const cell = await TestCell.open({network: AHA_NETWORK})
    const replay = new Replay(cell)
    // The recorded one does not listen with TLS.
    await cell.parts.aha?.servers.remove({host: `aha.${AHA_NETWORK}`, port: 27_492}, 'test')
    await cell.users.setUserPasswd(cell.users.rootIden, 'secret', 'test')
    await cell.users.addUser({name: 'nobody', passwd: 'secret'}, 'test')
    const visi = await cell.users.addUser({name: `visi@${AHA_NETWORK}`, passwd: 'secret'}, 'test')
    const path = ['aha', 'service', 'get', AHA_NETWORK]
    await cell.users.addUserRule(visi.iden, [true, path], undefined, undefined, 'test')
    const names = {root: 'root', nobody: 'nobody', visi: visi.name, s0: 'root', s1: 'root'}
    for (const [who, name] of Object.entries(names)) replay.#sessions.set(who, await cell.login(name, 'secret'))
    return replay
  }

  /** Does what a row says, and gives what ours says to it; undefined for a row that expects nothing. */
  async step(row: Row): Promise<unknown> {
    if ('meth' in row) return this.#answer(row)
    if ('follow' in row) {
      const follower = new Follower()
      this.#followers.set(row.follow, follower)
      void follower.run(this.#session(row.as), row.pool)
    } else if ('close' in row) {
      this.#session(row.close).close()
      await this.#cell.changeLog.settled()
    }
    await settle()
    if (!('heard' in row)) return undefined
    const follower = this.#followers.get(row.heard)
    return {items: follower?.take(), isOver: follower?.isOver}
  }

  async #answer({as, meth, args, kwargs}: CallRow): Promise<unknown> {
    try {
      return [true, await this.#session(as).call(meth, args, kwargs)]
    } catch (error) {
      return failureOf(error)
    }
  }

  #session(name: string): TestSession {
    const session = this.#sessions.get(name)
    if (session === undefined) throw new Error(`there is no session ${name}`)
    return session
  }
}

test('pools and servers are as at the recorded AHA, but where we deviate on purpose', async () => {
  const replay = await Replay.open()
  const differing: {readonly row: string; readonly theirs: unknown; readonly ours: unknown}[] = []
  for (const row of ROWS) {
    const ours = masked(await replay.step(row))
    const theirs = expected(row)
    if (theirs !== undefined && !isAnswer(ours, theirs)) differing.push({row: titleOf(row), theirs, ours})
  }
  const known = (title: string) => DEVIATIONS.some(({row}) => row === title)
  expect(differing.filter(({row}) => !known(row))).toEqual([])
  for (const {row, times} of DEVIATIONS) {
    expect([row, differing.filter((one) => one.row === row).length]).toEqual([row, times])
  }
})

function expected(row: Row): unknown {
  if ('meth' in row) return row.retn
  return 'heard' in row ? {items: row.items, isOver: row.isOver} : undefined
}

function titleOf(row: Row): string {
  if ('meth' in row) return `${row.as} ${row.meth} ${JSON.stringify(row.args)} ${JSON.stringify(row.kwargs)}`
  return 'heard' in row ? `heard ${row.heard}` : ''
}

function failureOf(error: unknown): unknown {
  if (!(error instanceof RegistryError)) throw error
  return [false, [error.telepath, {mesg: error.message, ...error.info}]]
}

/** What differs from run to run, as the recording masks it. */
function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => {
      const isIden = (key === 'creator' || key === 'user') && String(one).length === 32 && new Set(String(one)).size > 1
      return [key, key === 'online' || key === 'created' || isIden ? '$masked' : masked(one)]
    }),
  )
}

/** Errors of ours may say more than theirs. */
function isAnswer(ours: unknown, theirs: unknown): boolean {
  try {
    if (Array.isArray(theirs) && theirs[0] === false) expect(ours).toMatchObject(theirs)
    else if (Array.isArray(theirs)) expect(ours).toStrictEqual(theirs)
    else expect(ours).toMatchObject(theirs as object)
    return true
  } catch {
    return false
  }
}
