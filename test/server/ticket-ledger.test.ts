// Records and entries of version 1, which have the idens of one-time URLs in them, were made by the software that wrote them.
import {readFile} from 'node:fs/promises'
import {describe, expect, onTestFinished, test} from 'vitest'
import {type Ticket, ticketRecords} from '../../src/registry/ticket.ts'
import {decodeTicketChange} from '../../src/registry/ticket-text.ts'
import {ticketSecrets} from '../../src/server/ticket-secrets.ts'
import type {StoredRecord} from '../../src/store/store.ts'
import {NETWORK, newKey, TestProvision} from '../support/provision.ts'
import {openBook} from '../support/users.ts'

interface Line {
  readonly idens?: Readonly<Record<'open' | 'begun' | 'user' | 'used' | 'expired' | 'removed', string>>
  readonly nowMs?: number
  readonly entry?: {readonly timeMs: number; readonly actor: string; readonly change: string}
  readonly record?: StoredRecord
}

const url = new URL('../vectors/tickets-version-1.jsonl', import.meta.url)
const lines = (await readFile(url, 'utf8'))
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Line)
const [{idens, nowMs} = {}] = lines
if (idens === undefined || nowMs === undefined) throw new Error('the vectors do not say which idens there are')
const entries = lines.flatMap(({entry}) => entry ?? [])
const records = lines.flatMap(({record}) => record ?? [])

const NEEDLES = [...Object.values(idens), 'needle']

/** An AHA on a store that the old software left. */
async function old(): Promise<TestProvision> {
  const book = await openBook()
  onTestFinished(() => book[Symbol.dispose]())
  await book.store.append(entries.map((entry) => ({...entry, effect: {kind: 'none'}})))
  const {timeMs, actor} = entries[0] ?? {timeMs: 0, actor: ''}
  const change = '{"v":1,"kind":"ticket:del","idens":[]}'
  await book.store.append([{timeMs, actor, change, effect: {kind: 'records', records}}])
  const again = await book.again()
  again.clock.nowMs = nowMs ?? 0
  return await TestProvision.open({}, again)
}

const stored = async (aha: TestProvision) => (await aha.book.store.allRecords()).filter(({table}) => table === 'ticket')

const statesOf = (aha: TestProvision) =>
  Object.fromEntries(aha.tickets.list().map(({ticket, state}) => [ticket.name, state]))

const STATES = {'00.axon': 'pending', '01.axon': 'pending', visi: 'pending', bob: 'used', eve: 'expired'}

describe('tickets of version 1', () => {
  test('are as good as before, by their URLs', async () => {
    const aha = await old()
    expect(statesOf(aha)).toEqual(STATES)
    const session = await aha.session(idens.open)
    expect(await session.call('getProvInfo')).toMatchObject({
      iden: idens.open,
      conf: {'aha:leader': 'axon', 'mysql:passwd': 'needle'},
    })
    expect(aha.provisioning.fullNames()).toContain(`axon.${NETWORK}`)
    const user = await aha.session(idens.user)
    await user.sign('signUserCsr', `visi@${NETWORK}`, await newKey())
    expect(statesOf(aha)).toEqual({...STATES, '00.axon': 'claimed', visi: 'used'})
    await expect(aha.session(idens.expired)).rejects.toMatchObject({telepath: 'NoSuchName'})
    await aha.tickets.revoke(idens.begun.slice(0, 8), 'unix/root')
    expect(Object.keys(statesOf(await aha.again())).toSorted()).toEqual(['00.axon', 'bob', 'eve', 'visi'])
  })

  test('are what the entries of version 1 leave', async () => {
    const replayed = new Map<string, Ticket>()
    for (const {change} of entries) {
      for (const {idenSha256, ticket} of ticketRecords(replayed, decodeTicketChange(change, ticketSecrets))) {
        if (ticket === undefined) replayed.delete(idenSha256)
        else replayed.set(idenSha256, ticket)
      }
    }
    expect(replayed).toEqual((await old()).ledger.pending)
  })

  test('lose their records when they are changed', async () => {
    const aha = await old()
    const user = await aha.session(idens.user)
    await user.sign('signUserCsr', `visi@${NETWORK}`, await newKey())
    const keys = (await stored(aha)).map(({key}) => key)
    expect(keys).toHaveLength(5)
    expect(keys).not.toContain(idens.user)
    expect(keys).toContain(ticketSecrets.hash(idens.user))
    expect(keys).toContain(idens.open)
  })

  test('are written anew, once: no record has a secret then', async () => {
    const aha = await old()
    const before = (await aha.book.store.allEntries()).length
    expect(await aha.ledger.withoutIdens('registry:tickets')).toBe(5)
    expect(await aha.ledger.withoutIdens('registry:tickets')).toBe(0)
    expect(await aha.book.store.allEntries()).toHaveLength(before + 1)
    const texts = (await stored(aha)).map(({key, value}) => `${key} ${value}`)
    expect(texts).toHaveLength(5)
    for (const needle of NEEDLES) expect(texts.join('\n')).not.toContain(needle)
    const again = await aha.again()
    again.book.clock.nowMs = nowMs ?? 0
    expect(await again.ledger.withoutIdens('registry:tickets')).toBe(0)
    expect(statesOf(again)).toEqual(STATES)
    expect(again.ledger.pending).toEqual(aha.ledger.pending)
    expect(await (await again.session(idens.open)).call('getProvInfo')).toMatchObject({
      conf: {'mysql:passwd': 'needle'},
    })
  })

  test('are kept as they are while the store refuses', async () => {
    const aha = await old()
    aha.book.store.isBroken = true
    await expect(aha.ledger.withoutIdens('registry:tickets')).rejects.toMatchObject({code: 'REG_STORE_FAILED'})
    aha.book.store.isBroken = false
    const again = await aha.again()
    expect(await again.ledger.withoutIdens('registry:tickets')).toBe(5)
  })
})

test('what stands in store and log redeems nothing', async () => {
  const aha = await TestProvision.open()
  onTestFinished(() => aha.book[Symbol.dispose]())
  const iden = await aha.service('00.axon', {conf: {'mysql:passwd': 'needle'}})
  const [ticket] = aha.ledger.pending.values()
  const texts = [
    ...(await aha.book.store.allEntries()).map(({change}) => change),
    ...(await stored(aha)).map(({value}) => value),
  ]
  for (const needle of [iden, iden.slice(8), 'needle']) expect(texts.join('\n')).not.toContain(needle)
  for (const guess of [ticket?.idenSha256 ?? '', ticket?.short ?? '', ticket?.idenSha256.slice(0, 32) ?? '']) {
    await expect(aha.session(guess)).rejects.toMatchObject({telepath: 'NoSuchName'})
  }
})
