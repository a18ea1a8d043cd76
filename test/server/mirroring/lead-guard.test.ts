import {mkdtemp, readFile, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {systemClock} from '../../../src/base/clock.ts'
import {createLog} from '../../../src/base/log.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../../src/nexus/change-log.ts'
import {CertDir} from '../../../src/pki/cert-dir.ts'
import type {Lead} from '../../../src/registry/lead.ts'
import {Mirroring} from '../../../src/server/mirroring/mirroring.ts'
import {MemoryStore} from '../../../src/store/memory.ts'

const OTHER = {member: 'f'.repeat(32), name: '02.demo.net', urls: [], from: null} as const
const ASKER = {actor: 'test', signal: new AbortController().signal}

let dir: string
let member: Mirroring
/** Called when the member tells of an event, in that turn. */
let onEvent: (message: string) => void

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-guard-'))
  onEvent = () => undefined
  const write = (line: string) => onEvent((JSON.parse(line) as {message: string}).message)
  const log = createLog({level: 'debug', structured: true, clock: systemClock, write})
  const store = new MemoryStore()
  const head = await store.open()
  const changes = new ChangeLog(store, {...COMMIT_LIMITS, head})
  member = await Mirroring.open(
    {
      ...{dir, store, head, changes, log, clock: systemClock, certs: new CertDir(join(dir, 'certs'))},
      ...{cellIden: 'c'.repeat(32), run: 'a'.repeat(32), version: '1.2.3'},
    },
    {
      ...{mirror: ['ssl://127.0.0.1:1'], names: {dnsName: '01.demo.net', ahaName: undefined, network: undefined}},
      ...{servers: [], lead: {confirmMs: 10_000, isAlone: false}, isSafe: false},
    },
  )
  const first = {member: '0'.repeat(32), name: '00.demo.net', urls: [], epoch: 1, how: 'rejoined', from: null} as const
  await member.ledger.change({kind: 'lead:take', ...first}, 'test')
  member.start(null)
})
afterEach(async () => {
  await member.stop()
  await rm(dir, {recursive: true, force: true})
})

/** Has the member hear of a leader in the turn in which it tells of an event. */
function hearAt(event: string, lead: Lead): Promise<unknown> {
  return new Promise((resolve) => {
    onEvent = (message) => {
      if (message === event) resolve(member.moves.hear(lead))
    }
  })
}

describe('a member that takes the lead by force', () => {
  test('and hears, while its entry is written, of one who did so before it does not lead when that one is believed', async () => {
    const heard = hearAt('lead.taking', {...OTHER, epoch: 2, how: 'forced'})
    await expect(member.moves.promotion.promote(true, ASKER)).rejects.toMatchObject({code: 'REG_FENCED'})
    await heard
    expect(member.roles.role).toMatchObject({kind: 'fenced', epoch: 2, name: '02.demo.net'})
    const kept = await readFile(join(dir, 'fence.json'), 'utf8')
    expect(JSON.parse(kept)).toMatchObject({lead: {member: OTHER.member, epoch: 2}})
    await expect(member.moves.promotion.promote(true, ASKER)).rejects.toMatchObject({code: 'REG_FENCED'})
  })

  test('leads when it is the one that is believed', async () => {
    const heard = hearAt('lead.taking', {...OTHER, epoch: 2, how: 'handed-over'})
    await member.moves.promotion.promote(true, ASKER)
    await heard
    expect(member.roles.role).toEqual({kind: 'leads'})
  })
})

describe('a member that led before', () => {
  const urls: string[] = []

  beforeEach(async () => {
    const lead = {member: member.ledger.member, name: '01.demo.net', urls, epoch: 2, how: 'forced', from: null} as const
    await member.ledger.change({kind: 'lead:take', ...lead}, 'test')
  })

  test('and hears, while it is promoted by force, of one who took the lead stays fenced: its log says nothing else', async () => {
    member.roles.set({kind: 'confirms', reason: 'it starts'})
    const promoted = member.moves.promotion.promote(true, ASKER)
    const heard = member.moves.hear({...OTHER, epoch: 5, how: 'forced'})
    await expect(promoted).rejects.toMatchObject({code: 'REG_FENCED'})
    await heard
    expect(member.ledger.visible.lead?.epoch).toBe(2)
    expect(JSON.parse(await readFile(join(dir, 'fence.json'), 'utf8'))).toMatchObject({lead: {epoch: 5}})
  })

  test('does not lead again when it follows by the time at which it has asked', async () => {
    await member.moves.hear({...OTHER, epoch: 5, how: 'forced'})
    const again = member.moves.promotion.leadAgain(5, ASKER)
    member.roles.set({kind: 'follows', lead: {...OTHER, epoch: 5, how: 'forced'}})
    await expect(again).rejects.toMatchObject({code: 'REG_CONFLICT'})
    expect(member.ledger.visible.lead?.epoch).toBe(2)
  })

  test('forgets nobody who comes back while it is about to', async () => {
    const mirror = {member: '0'.repeat(32), name: '00.demo.net', urls}
    const facts = {run: 'b'.repeat(32), version: '1.2.3', epoch: 2, nextOffset: 0, lastHash: ''}
    member.on({
      onForgotten: () => {
        const place = {sessionId: 'e'.repeat(32), address: '127.0.0.1'}
        member.mirrors.attach({...mirror, ...facts}, place, 0, () => undefined)
        return Promise.resolve()
      },
    })
    await expect(member.forget(mirror.name, 'test')).rejects.toMatchObject({code: 'REG_CONFLICT'})
    expect(member.ledger.visible.members.has(mirror.member)).toBe(true)
  })
})
