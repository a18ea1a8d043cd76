import {mkdtemp, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {type LostHeader, readLostEntries, saveLostEntries} from '../../src/nexus/lost-entries.ts'
import {chainHash} from '../../src/store/chain.ts'
import type {Entry} from '../../src/store/store.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-lost-'))
})
afterEach(() => rm(dir, {recursive: true}))

const HEADER: LostHeader = {
  ...{cell: 'c'.repeat(32), member: 'a'.repeat(32), name: '00.aha', leader: '01.aha'},
  ...{savedMs: 1, offset: 7, count: 3, epoch: 2},
}

function entries(count: number): readonly Entry[] {
  let hash = 'f'.repeat(64)
  return Array.from({length: count}, (_, index) => {
    const [offset, change] = [7 + index, `{"v":1,"kind":"x","text":"ü\\n${index}"}`]
    hash = chainHash(hash, offset, 1, 5, 'me', change)
    return {offset, epoch: 1, hash, timeMs: 5, actor: 'me', change}
  })
}

async function* inTwo(all: readonly Entry[]): AsyncGenerator<readonly Entry[]> {
  yield all.slice(0, 1)
  yield all.slice(1)
}

async function readAll(path: string): Promise<{readonly found: readonly Entry[]; readonly header: LostHeader}> {
  const found: Entry[] = []
  const reading = readLostEntries(path)
  for (;;) {
    const {value, done} = await reading.next()
    if (done === true) return {found, header: value}
    found.push(value)
  }
}

test('entries are read as they were saved, in a file for its owner alone', async () => {
  const path = join(dir, 'lost.jsonl')
  await saveLostEntries(path, HEADER, inTwo(entries(3)))
  expect(await readAll(path)).toEqual({found: entries(3), header: HEADER})
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  await expect(saveLostEntries(path, HEADER, inTwo(entries(3)))).rejects.toThrow('EEXIST')
})

test.each<[string, (lines: readonly string[]) => readonly string[]]>([
  ['an entry that is missing', (lines) => lines.toSpliced(2, 1)],
  ['the last entry missing', (lines) => lines.toSpliced(3, 1)],
  ['an entry that was altered', (lines) => lines.with(2, lines[2]?.replace('"me"', '"you"') ?? '')],
  ['the first entry missing', (lines) => lines.toSpliced(1, 1)],
  ['no head', (lines) => lines.slice(1)],
  ['no JSON', (lines) => lines.with(2, 'x')],
  ['nothing', () => []],
])('a file with %s is refused', async (_, change) => {
  const path = join(dir, 'lost.jsonl')
  await saveLostEntries(path, HEADER, inTwo(entries(3)))
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  await writeFile(path, change(lines).join('\n'))
  await expect(readAll(path)).rejects.toMatchObject({code: 'REG_STORE_DAMAGED'})
})

test('a file that is not there is named', async () => {
  await expect(readAll(join(dir, 'none'))).rejects.toMatchObject({code: 'REG_DIR_UNUSABLE'})
})
