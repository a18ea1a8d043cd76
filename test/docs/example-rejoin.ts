// What the examples of `rejoin` and of its file need: a directory whose log went apart from that of the leader, which runs.
import {cp, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {saveLostEntries} from '../../src/nexus/lost-entries.ts'
import {copyOf, NETWORK, newLeader, type TestMember} from '../support/mirror-pair.ts'

/** Makes `lab` the directory of a member that led, and gives the one that leads now. */
export async function prepareRejoin(home: string): Promise<TestMember> {
  const one = await newLeader()
  await one.start()
  await one.stop()
  const two = await copyOf(one, `01.${NETWORK}`)
  await one.start()
  await two.start({mirror: one.url})
  await two.event('mirror.caught-up')
  await two.stop()
  await one.stop()
  await one.start({'leader:alone': true})
  await one.call('addUser', 'lost')
  await one.stop()
  await two.start()
  await two.call('promote', false)
  await two.call('addUser', 'kept')
  await rm(join(home, 'lab'), {recursive: true, force: true})
  await cp(one.dir, join(home, 'lab'), {recursive: true})
  await writeFile(join(home, 'lab', 'cell.yaml'), `"aha:network": ${NETWORK}\n"dns:name": ${one.name}\n`)
  await one[Symbol.asyncDispose]()
  return two
}

/** Makes a file as `rejoin` leaves it. */
export async function prepareLost(home: string): Promise<void> {
  const path = join(home, 'lab', 'lost-1-20261121T124500Z.jsonl')
  await rm(path, {force: true})
  const names = {cell: 'c'.repeat(32), member: 'a'.repeat(32), name: '00.demo.net', leader: '01.demo.net'}
  await saveLostEntries(path, {...names, savedMs: 1, offset: 7, count: 0, epoch: 2}, none())
}

async function* none(): AsyncGenerator<readonly never[]> {
  // no entries
}
