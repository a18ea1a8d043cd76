// A registry is followed at its mirror, then at its leader, while the lead moves: it stays one history.
import {mkdtemp, readdir, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {readArchivedLog, readFollowed} from '../../src/backup/followed.ts'
import {runCli} from '../support/cli.ts'
import {callAsRoot, type Member, MemberCell} from '../support/member-cell.ts'

test('a log that is followed through promotions is one history, at whichever member', {timeout: 600_000}, async () => {
  const root = await mkdtemp(join(tmpdir(), 'registry-follow-'))
  try {
    const dir = join(root, 'kept')
    const follow = async (member: Member) => {
      const {status, stderr} = await runCli(['backup', 'follow', dir, '--once', '--url', `cell://${member.dir}`])
      expect(status, stderr).toBe(0)
    }
    await using cell = await MemberCell.start()
    const [one, two] = cell.members
    await follow(two)
    for (const [at, member] of [two, one, two].entries()) {
      await callAsRoot(member, 'promote', true)
      await callAsRoot(member, 'addRole', `role-${at}`)
      await cell.settled()
      await follow(at % 2 === 0 ? one : two)
    }
    const {bases, nextOffset} = await readFollowed(dir)
    expect(nextOffset).toBe(await callAsRoot(one, 'getNexsIndx'))
    const {index, hash} = bases[0]
    const entries = (await Array.fromAsync(readArchivedLog(dir, {offset: index, hash}))).flat()
    expect(entries.map(({offset}) => offset)).toEqual(entries.map((_, at) => index + at))
    expect(new Set(entries.map(({epoch}) => epoch)).size).toBeGreaterThanOrEqual(3)
    expect((await readdir(dir)).filter((name) => name.startsWith('history'))).toEqual(['history-1'])
  } finally {
    await rm(root, {recursive: true, force: true})
  }
})
