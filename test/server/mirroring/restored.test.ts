// A backup that is restored, or a directory that is put back by hand, beside the members of the cell that are alive.
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {NO_PROGRESS} from '../../../src/backup/progress.ts'
import {Restoring} from '../../../src/server/restoring/restore.ts'
import {openSource} from '../../../src/server/restoring/restore-source.ts'
import {adoptStore} from '../../../src/store/adopt.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {backUp} from '../../support/cell-backup.ts'
import {copyOf, newLeader, TestMember} from '../../support/mirror-pair.ts'

const {signal} = new AbortController()
/** For who leads in the end, because nobody answers. */
const SOON = {'leader:confirm': '300ms'}
/** For who hears from somebody, however busy the machine is: it goes on as soon as it has. */
const PATIENT = {'leader:confirm': '150s'}
/** For who waits to the end though it has heard. */
const A_WHILE = {'leader:confirm': '3s'}

let one: TestMember
let two: TestMember
let backup = ''
let made = 0

/** Of two that are equal otherwise, the larger iden would win: any that is restored has one. */
const SMALLEST_IDEN = '1'.padStart(32, '0')

/** `one` leads, `two` follows; both have `later`, which the backup of `one` does not have. */
beforeEach(async () => {
  one = await newLeader()
  await one.start()
  await one.stop()
  two = await copyOf(one, '01.demo.net')
  await adoptStore(join(two.dir, 'registry.db'), SMALLEST_IDEN)
  await one.start()
  await two.start({mirror: one.url})
  await two.event('mirror.caught-up')
  await one.call('addUser', 'visi')
  await two.reach(one)
  await one.stop()
  backup = `${one.dir}.backup`
  await backUp(one.dir, backup)
  await one.start()
  await two.event('mirror.attached', 2)
  await takesChanges(one, 'later')
  await two.reach(one)
})
afterEach(async () => {
  for (const member of [two, one]) await member[Symbol.asyncDispose]()
  await rm(backup, {recursive: true})
})

/** Restores the backup of the first one; on another machine unless a directory is given. */
async function restore(dir = `${one.dir}.restored${++made}`): Promise<TestMember> {
  const readConf = () => Promise.resolve({minFreePercent: 0, isMirror: false, backupDir: null})
  const wish = {dir, progress: NO_PROGRESS, signal, wallMs: () => Date.parse('2026-11-21T12:00:00Z'), readConf}
  await using restoring = await Restoring.open({source: await openSource(backup, {signal}), ...wish})
  await restoring.prepare()
  await restoring.swap()
  return new TestMember(dir, one.name)
}

async function roleOf(member: TestMember): Promise<Value> {
  const [self] = (await member.call('getMembers')) as readonly {readonly role: Value}[]
  return self?.role
}

/** Waits until it leads, and has it take a change. */
async function takesChanges(member: TestMember, user: string): Promise<void> {
  while (!(await member.call('isCellActive'))) await member.info()
  await member.call('addUser', user)
}

async function hasUser(member: TestMember, user: string): Promise<boolean> {
  return (await member.call('getUserDefByName', user)) !== null
}

async function isReadOnly(member: TestMember): Promise<void> {
  await expect(member.call('addUser', 'wrong')).rejects.toMatchObject({telepath: expect.anything()})
}

describe('a backup that is restored while its leader lives', () => {
  test('is fenced by it, also after a restart, and says what to do; the leader goes on', async () => {
    await using restored = await restore()
    for (const run of [1, 2]) {
      await restored.start(PATIENT)
      if (run === 1) await restored.event('lead.fenced')
      else await restored.event('lead.still-fenced')
      expect(await roleOf(restored)).toBe('fenced')
      await isReadOnly(restored)
      const health = await restored.health('mirroring')
      expect(health).toMatchObject({status: 'failed', mesg: expect.stringContaining(`${one.name} leads`)})
      expect(health?.['mesg']).toMatch(/restored from a backup.+registry rejoin DIR.+registry promote .+ --failure/)
      await takesChanges(one, `after${run}`)
      await two.reach(one)
      expect(await hasUser(two, `after${run}`)).toBe(true)
      if (run === 1) await restored.stop()
    }
    // The leader and its mirror start again while the restored one is there.
    await two.stop()
    await one.stop()
    await one.start(SOON)
    await two.start()
    await two.event('mirror.attached', 3)
    await takesChanges(one, 'again')
    expect(one.logged.map(({message}) => message)).not.toContain('lead.fenced')
    expect(two.logged.map(({message}) => message)).not.toContain('lead.heard')
  })

  test('hears of it from a mirror, when the leader is somewhere else by now', async () => {
    await two.stop()
    await one.stop()
    one = new TestMember(one.dir, one.name)
    await one.start(SOON)
    await two.start({mirror: one.url})
    await two.event('mirror.attached', 3)
    await using restored = await restore()
    await restored.start(PATIENT)
    await restored.event('lead.fenced')
    await isReadOnly(restored)
    await takesChanges(one, 'after')
  })

  test('feeds nobody, and leads when the operator says that the other one is gone', async () => {
    await using restored = await restore()
    await restored.start(PATIENT)
    await restored.event('lead.fenced')
    await expect(restored.call('leadAgain', 1)).rejects.toMatchObject({telepath: expect.anything()})
    // Not at the place that is known, but followed by a member that answers.
    const place = one
    await one.stop()
    one = new TestMember(one.dir, one.name)
    await one.start(SOON)
    await two.stop()
    await two.start({mirror: one.url})
    await two.event('mirror.attached', 3)
    await expect(restored.call('leadAgain', 1)).rejects.toMatchObject({message: expect.stringContaining('answers')})
    await two.stop()
    await one.stop()
    one = place
    await restored.call('leadAgain', 1)
    await takesChanges(restored, 'wanted')
    await one.start(SOON)
    await two.start()
    await two.event('lead.heard')
    expect(await roleOf(two)).toBe('follows')
    await restored.stop()
    await restored.start(SOON)
    await takesChanges(restored, 'more')
  })
})

describe('a backup that is restored in place of its leader, which is dead', () => {
  test('leads after it has asked, for good; a mirror of the old history is refused, and the old leader is fenced', async () => {
    await one.stop()
    const kept = `${one.dir}.before-restore-20261121T120000Z`
    await restore(one.dir)
    await one.start(SOON)
    await one.event('lead.unconfirmed', 1)
    await takesChanges(one, 'mine')
    await two.event('mirror.refused')
    expect(await roleOf(two)).toBe('follows')
    expect(await hasUser(two, 'later')).toBe(true)
    await one.stop()
    await one.start(SOON)
    await takesChanges(one, 'more')
    await using old = new TestMember(kept, one.name)
    await old.start({'leader:confirm': '30s'})
    await old.event('lead.fenced')
    await takesChanges(one, 'still')
  })

  test('leads also when nobody answers', async () => {
    await two.stop()
    await one.stop()
    await restore(one.dir)
    await one.start(SOON)
    expect(await one.health('mirroring')).toMatchObject({mesg: expect.stringContaining('restored from a backup')})
    await one.event('lead.unconfirmed', 1)
    await takesChanges(one, 'mine')
    await rm(`${one.dir}.before-restore-20261121T120000Z`, {recursive: true})
  })
})

describe('a backup that is restored while a successor leads that was promoted by force', () => {
  beforeEach(async () => {
    await one.stop()
    await two.call('promote', false)
    await takesChanges(two, 'since')
  })

  test('is fenced by one of the same epoch', async () => {
    await using restored = await restore()
    await restored.start(PATIENT)
    await restored.event('lead.fenced')
    await isReadOnly(restored)
    await takesChanges(two, 'after')
  })

  test('is fenced by one of a higher epoch', async () => {
    await one.start(SOON)
    await one.event('mirror.caught-up')
    await one.call('promote')
    await using restored = await restore()
    await restored.start(PATIENT)
    await restored.event('lead.fenced')
    await isReadOnly(restored)
    await takesChanges(one, 'after')
  })

  test('loses the lead to it when they meet later, at the same epoch', async () => {
    await two.stop()
    await using restored = await restore()
    await restored.start({'leader:alone': true})
    await takesChanges(restored, 'mine')
    await two.start(SOON)
    await restored.event('lead.fenced')
    await takesChanges(two, 'after')
  })
})

describe('a directory of the leader that was put back by hand', () => {
  /** As it was before `later`. */
  let older: TestMember

  beforeEach(async () => {
    await one.stop()
    await two.stop()
    older = await copyOf(one, one.name, true)
    await one.start(SOON)
    await two.start()
    await takesChanges(one, 'newest')
    await two.reach(one)
  })
  afterEach(() => older[Symbol.asyncDispose]())

  test('takes no changes while a mirror has more of them, and follows when that one was promoted', async () => {
    await one.stop()
    await older.start(A_WHILE)
    await older.event('lead.not-confirmed')
    expect(await roleOf(older)).toBe('confirms')
    const health = await older.health('mirroring')
    expect(health?.['mesg']).toContain(`${two.name} has `)
    await two.call('promote', false)
    await older.event('mirror.caught-up')
    expect(await hasUser(older, 'newest')).toBe(true)
  })

  test('takes no changes while the leader that it was lives, though it has all that this one has', async () => {
    await two.stop()
    await one.stop()
    await using twin = await copyOf(one, one.name, true)
    await one.start(SOON)
    await two.start()
    await two.event('mirror.attached', 4)
    await twin.start(A_WHILE)
    await twin.event('lead.not-confirmed')
    expect(await roleOf(twin)).toBe('confirms')
    expect((await twin.health('mirroring'))?.['mesg']).toContain('one of the two is a copy')
    await takesChanges(one, 'after')
  })
})
