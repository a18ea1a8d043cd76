import {describe, expect, onTestFinished, test} from 'vitest'
import {FETCH_AGAIN_MS} from '../../src/registry/ticket.ts'
import {ticketSecrets} from '../../src/server/ticket-secrets.ts'
import {NETWORK, newKey, TestProvision} from '../support/provision.ts'

async function fresh(): Promise<TestProvision> {
  const made = await TestProvision.open({expiresMs: 60_000})
  onTestFinished(() => made.book[Symbol.dispose]())
  return made
}

const statesOf = (aha: TestProvision) => aha.tickets.list().map(({ticket, state}) => [ticket.name, state])

describe('the list of tickets', () => {
  test('tells of each whether it waits, is claimed, was used or has expired', async () => {
    const aha = await fresh()
    const user = await aha.user('visi')
    const claimed = await aha.service('00.axon', {expires: 'never'})
    aha.book.clock.nowMs += 1000
    await aha.user('bob')
    const session = await aha.session(user)
    await session.sign('signUserCsr', `visi@${NETWORK}`, await newKey())
    const claim = await aha.session(claimed, '192.0.2.7')
    expect(statesOf(aha)).toEqual([
      ['visi', 'used'],
      ['00.axon', 'claimed'],
      ['bob', 'pending'],
    ])
    expect(aha.tickets.list(claimed.slice(0, 8))).toMatchObject([
      {claim: {from: '192.0.2.7', sinceMs: aha.book.clock.nowMs}},
    ])
    claim.close()
    aha.book.clock.nowMs += FETCH_AGAIN_MS
    expect(statesOf(aha)).toEqual([
      ['visi', 'used'],
      ['00.axon', 'pending'],
      ['bob', 'expired'],
    ])
  })
})

describe('a ticket', () => {
  test('is revoked by the beginning of its iden, even while it is claimed', async () => {
    const aha = await fresh()
    const [iden, other] = [await aha.service(), await aha.service('01.axon')]
    const session = await aha.session(iden)
    expect(await aha.tickets.revoke(iden.slice(0, 8), 'unix/root')).toMatchObject({
      ticket: {name: '00.axon'},
      state: 'claimed',
    })
    await expect(session.sign('signHostCsr', `00.axon.${NETWORK}`, await newKey())).rejects.toMatchObject({
      telepath: 'NoSuchName',
    })
    expect([...(await aha.again()).ledger.pending.values()].map(({short}) => short)).toEqual([other.slice(0, 8)])
  })

  test('that was used cannot be revoked: what it was good for has happened', async () => {
    const aha = await fresh()
    const iden = await aha.user()
    const session = await aha.session(iden, '192.0.2.7')
    await session.sign('signUserCsr', `visi@${NETWORK}`, await newKey())
    await expect(aha.tickets.revoke(iden, 'unix/root')).rejects.toMatchObject({
      code: 'REG_CONFLICT',
      message: expect.stringMatching(/^the one-time URL [0-9a-f]{8} of visi was used at .* from 192\.0\.2\.7$/),
    })
    expect(aha.ledger.pending.size).toBe(1)
  })

  test.each([
    ['0000000', 'REG_BAD_REQUEST'],
    ['00.axon', 'REG_BAD_REQUEST'],
    ['0'.repeat(9), 'REG_BAD_REQUEST'],
    ['0'.repeat(33), 'REG_BAD_REQUEST'],
    ['0'.repeat(32), 'REG_NOT_FOUND'],
    ['0'.repeat(8), 'REG_NOT_FOUND'],
  ])('is not found by %j', async (id, code) => {
    const aha = await fresh()
    await aha.service()
    await expect(aha.tickets.revoke(id, 'unix/root')).rejects.toMatchObject({code})
    expect(aha.ledger.pending.size).toBe(1)
  })

  test('is not revoked when another one begins the same way', async () => {
    const aha = await fresh()
    const iden = await aha.service()
    const [ticket] = aha.ledger.pending.values()
    if (ticket === undefined) throw new Error('there is no ticket')
    const other = `${iden.slice(0, 8)}${'f'.repeat(24)}`
    const twin = {...ticket, idenSha256: ticketSecrets.hash(other)}
    await aha.ledger.change({kind: 'ticket:add', ticket: twin, dropped: []}, 'test')
    await expect(aha.tickets.revoke(iden.slice(0, 8), 'unix/root')).rejects.toMatchObject({code: 'REG_CONFLICT'})
    await aha.tickets.revoke(other, 'unix/root')
    expect([...aha.ledger.pending.keys()]).toEqual([ticketSecrets.hash(iden)])
  })
})
