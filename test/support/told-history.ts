// What writers were told, and what of it must be in the log: the model of the acknowledged history.
import {expect} from 'vitest'
import {verifyStoreFile} from '../../src/store/adopt.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import type {Entry} from '../../src/store/store.ts'
import {callAsRoot, type Member, type MemberCell} from './member-cell.ts'
import {RawClient} from './raw-client.ts'

/** Each change that is asked for has a mark of its own, and leaves it in its entry. */
const MARK = /\bmark-[a-z0-9]+-\d+\b/g

/** Gives the marks in a text, each once. */
export function marksIn(text: string): readonly string[] {
  return [...new Set(text.match(MARK))]
}

export interface Told {
  /** Writes one after the other. */
  readonly lane: string
  readonly mark: string
  outcome: 'open' | 'done' | 'not done'
  /** What was said instead of `done`. */
  why: string
}

/** All that was asked for in a test, in order. */
export class ToldHistory {
  readonly all: Told[] = []
  /** Marks by offset, of what was read so far: it may be trimmed away later. */
  readonly #read = new Map<number, {readonly hash: string; readonly marks: readonly string[]}>()

  ask(lane: string): Told {
    const told: Told = {lane, mark: `mark-${lane}-${this.all.length}`, outcome: 'open', why: ''}
    this.all.push(told)
    return told
  }

  get done(): readonly Told[] {
    return this.all.filter(({outcome}) => outcome === 'done')
  }

  /** What the log leaves: the newest mark of each lane of services, and those of all roles. */
  get left(): Served {
    const marks = this.#marks()
    const services = new Map(
      marks.filter((mark) => mark.startsWith('mark-z')).map((mark) => [mark.split('-')[1], mark]),
    )
    return {services: [...services.values()].sort(), roles: marks.filter((mark) => mark.startsWith('mark-t')).sort()}
  }

  /** Asserts that a log has each change that was acknowledged once, in the order in which each writer asked, and no change twice. */
  check(entries: readonly Entry[], excused: ReadonlySet<string> = new Set()): void {
    for (const {offset, hash, change} of entries) {
      const known = this.#read.get(offset)
      expect(known?.hash ?? hash, `entry ${offset} is another one than before`).toBe(hash)
      this.#read.set(offset, {hash, marks: marksIn(change)})
    }
    const found = this.#marks()
    const places = new Map(found.map((mark, place) => [mark, place]))
    expect(found.length - places.size, 'changes that were applied twice').toBe(0)
    const done = this.done.filter(({mark}) => !excused.has(mark))
    expect(
      done.filter(({mark}) => !places.has(mark)),
      'acknowledged, and not in the log',
    ).toEqual([])
    const lanes = Map.groupBy(done, ({lane}) => lane)
    for (const [lane, told] of lanes) {
      const order = told.map(({mark}) => places.get(mark) ?? -1)
      expect(order, `the order of ${lane}`).toEqual(order.toSorted((one, other) => one - other))
    }
  }

  #marks(): readonly string[] {
    const offsets = [...this.#read.keys()].sort((one, other) => one - other)
    return offsets.flatMap((at) => this.#read.get(at)?.marks ?? [])
  }
}

/** Reads the log of a directory whose server does not run; the chain is whole. */
async function readLog(dir: string): Promise<readonly Entry[]> {
  const path = `${dir}/registry.db`
  await using store = new SqliteStore(path)
  const {nextOffset, firstOffset, lastHash} = await store.open()
  await verifyStoreFile(path, {nextOffset, lastHash})
  const entries: Entry[] = []
  for (let at = firstOffset; at < nextOffset; at = (entries.at(-1)?.offset ?? nextOffset) + 1) {
    entries.push(...(await store.read(at, 1000)))
  }
  return entries
}

interface Served {
  readonly services: readonly string[]
  readonly roles: readonly string[]
}

/** What a member serves: the newest mark of each lane of services, and those of all roles. */
async function servedBy(member: Member): Promise<Served> {
  using client = new RawClient(member.ports.req)
  const {services} = await client.ask({action: 'list'})
  const marks = (services as {readonly metadata: {readonly mark: string}}[]).map(({metadata}) => metadata.mark)
  const roles = (await callAsRoot(member, 'getRoleDefs')) as unknown as readonly {readonly name: string}[]
  return {
    services: marks.sort(),
    roles: roles
      .map(({name}) => name)
      .filter((name) => name.startsWith('mark-'))
      .sort(),
  }
}

/** Asserts that both members serve what their logs say, that these are the same, and that they agree with what writers were told. */
export async function verifyCell(
  cell: MemberCell,
  history: ToldHistory,
  excused?: ReadonlySet<string>,
): Promise<readonly Entry[]> {
  const [leader, mirror] = await cell.settled()
  const [served, servedByMirror] = [await servedBy(leader), await servedBy(mirror)]
  expect(servedByMirror).toEqual(served)
  await cell.stop()
  const [entries, copied] = [await readLog(leader.dir), await readLog(mirror.dir)]
  const first = Math.max(entries[0]?.offset ?? 0, copied[0]?.offset ?? 0)
  const hashes = (all: readonly Entry[]) =>
    all.filter(({offset}) => offset >= first).map(({offset, hash}) => `${offset} ${hash}`)
  expect(hashes(copied)).toEqual(hashes(entries))
  history.check(entries, excused)
  expect(served).toEqual(history.left)
  return entries
}
